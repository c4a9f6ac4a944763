"""From a path to its rates: what comes before the search, and what is made of its answer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from bench.errors import CannotMeasure
from bench.probes.base import Path
from bench.search import bounds, library
from bench.search.limit import generator_limit
from bench.search.model import FLOOD, LOWEST, Attempt, Found, Options, SearchResult, Trial
from bench.search.tester import ready_for_trials

_AGAIN = 2
"""Times that a trial with a late sender is repeated."""
_LEAST_DISTURBED = 4
"""One trial in so many counts, however much of a neighbour was on its cores."""
_NEAR = 0.9
"""Share of the generator's limit above which it may be what limits."""
_MARGIN = 1.2
"""How much more than a flood offered is worth trying, where the limit is not known."""


def search_rates(
    path: Path,
    size: int = 64,
    options: Options | None = None,
    destinations: Sequence[str] = (),
) -> SearchResult:
    """Search the rates of `size`-byte payloads that `path` carries from client to server.

    destinations: addresses that take turns, all of which must lead to the server; none: its own.
    Raises CannotMeasure, also where nothing of a flood arrives.
    """
    options = options or Options()
    reasons: list[str] = []

    def limit() -> float | None:
        rate, reason = generator_limit(size, options)
        reasons.extend([reason] if reason else [])
        return rate

    with ready_for_trials(path, size, options, destinations) as tester:
        result = search(tester.run, options, limit)
        return replace(
            result,
            size=size,
            realtime=tester.realtime,
            reasons=(*result.reasons, *reasons),
        )


def search(
    attempt: Attempt, options: Options, measured_limit: Callable[[], float | None]
) -> SearchResult:
    """The same of whatever `attempt` tries.

    measured_limit: datagrams a second that the generator reaches without a path, where that can be
        known; asked again where it seems to be near, for the machine may have been slow.
    """
    begin = time.monotonic()
    limit = measured_limit()
    log = _Log(attempt, options)
    flood = log.try_once("flood", limit or FLOOD, options.final)
    if flood.received == 0:
        raise CannotMeasure("packet rate: nothing of what was sent arrived")
    tenth = max(LOWEST, flood.received / flood.seconds / 10)
    steady = [
        log.try_until_sound("stability", tenth, options.final) for _ in range(options.stability)
    ]
    highest = max(limit or _MARGIN * flood.offered, flood.offered, 2 * LOWEST)
    complete, reasons = True, list[str]()
    answer: dict[float, library.Bounds] = {}
    try:
        left = options.time_limit - (time.monotonic() - begin)
        answer = library.find(log.for_search, options, LOWEST, highest, max(left, 0.001))
    except library.OutOfTime as error:
        complete, reasons = False, [f"the search was ended: {error}"]
    used = log.used()
    bounds_of = {goal: answer.get(goal) or _so_far(used, goal, options) for goal in options.goals}
    if limit is not None and any(_is_near(found, limit) for found in bounds_of.values()):
        limit = max(limit, measured_limit() or 0.0)
    return SearchResult(
        options=options,
        size=0,
        found=tuple(
            _found(goal, found, used, limit, complete) for goal, found in bounds_of.items()
        ),
        generator_limit=limit,
        stable=not any(trial.missing for trial in steady),
        complete=complete,
        trials=tuple(log.trials),
        reasons=tuple(reasons),
    )


class _Log:
    """All trials, and which of them say something."""

    def __init__(self, attempt: Attempt, options: Options) -> None:
        self.trials: list[Trial] = []
        self._attempt, self._most = attempt, max(options.goals)
        patience = options.patience * options.time_limit
        self._patience = {"apart": patience, "shared": patience}
        self._unreached = float("inf")

    def used(self) -> list[Trial]:
        """Those that the search went by."""
        return [t for t in self.trials if t.purpose == "search" and not t.discarded]

    def try_once(self, purpose: str, rate: float, seconds: float) -> Trial:
        self.trials.append(replace(self._attempt(rate, seconds), purpose=purpose))
        return self.trials[-1]

    def try_until_sound(self, purpose: str, rate: float, seconds: float) -> Trial:
        """Try a rate, again where the trial does not tell of the path."""
        again = _AGAIN if rate < self._unreached else 0
        while True:
            trial = self.try_once(purpose, rate, seconds)
            if by := self._to_be_repeated(trial):
                self._patience[by] -= trial.seconds
            elif self._was_late(trial) and again > 0:
                again -= 1
            else:
                if self._was_late(trial):
                    self._unreached = min(self._unreached, rate)
                return trial
            self.trials[-1] = replace(trial, discarded=True)

    def _was_late(self, trial: Trial) -> bool:
        """Whether the sender was late: that is not the path's doing.

        Unless it was late each time: then the sender cannot follow, and what it did not send counts
        as if it had been lost. A path that lost more than any goal allows of less than was asked
        has failed all the same.
        """
        return trial.late and trial.missing <= self._most * trial.sent

    def _to_be_repeated(self, trial: Trial) -> str | None:
        """What disturbed a trial that failed, if trials may still be made again for that.

        A disturbance makes no trial succeed. Where neighbours are never gone, the least disturbed
        quarter of the trials counts all the same; and where patience is at its end, all do.
        """
        shares = sorted(t.shared for t in self.trials)
        usual = {"shared": shares[len(shares) // _LEAST_DISTURBED]}
        for by in trial.disturbed_by:
            if self._patience[by] > 0 and getattr(trial, by) > usual.get(by, 0.0):
                return by
        return None

    def for_search(self, rate: float, seconds: float) -> Trial:
        """A trial that the library asks for."""
        return self.try_until_sound("search", rate, seconds)


def _so_far(trials: Sequence[Trial], goal: float, options: Options) -> library.Bounds:
    """What trials say that the library was not done with."""
    lower, upper = bounds.relevant(trials, goal, options)
    at_lower = [trial for trial in trials if trial.asked == lower]
    rate = bounds.conditional_throughput(at_lower, options) if at_lower else None
    return library.Bounds(lower, upper, rate)


def _found(
    goal: float,
    found: library.Bounds,
    trials: Sequence[Trial],
    limit: float | None,
    complete: bool,
) -> Found:
    return Found(
        goal=goal,
        rate=_arriving(found, trials),
        lower=found.lower,
        upper=found.upper,
        limited_by=_limit(found, trials, limit, complete),
    )


def _arriving(found: library.Bounds, trials: Sequence[Trial]) -> float | None:
    """The conditional throughput, of what was offered: a sender may lack LATE of what was asked."""
    if found.throughput is None:
        return None
    shares = [trial.offered / trial.asked for trial in trials if trial.asked == found.lower]
    return found.throughput * min(1.0, statistics.median(shares or [1.0]))


def _is_near(found: library.Bounds, limit: float) -> bool:
    return found.lower is not None and found.lower >= _NEAR * limit


def _limit(
    found: library.Bounds, trials: Sequence[Trial], limit: float | None, complete: bool
) -> str:
    """What kept the rate from being higher; see `Found`."""
    if found.lower is None:
        return "nothing"
    if found.upper is None:  # what is tried ends where the generator does, or seemed to
        return "generator" if complete else "time"
    if limit is not None and _is_near(found, limit):
        return "generator"
    too_much = [trial for trial in trials if trial.asked == found.upper]
    lost, unsent = sum(t.missing for t in too_much), sum(t.unsent for t in too_much)
    return "path" if lost > unsent else "sender"
