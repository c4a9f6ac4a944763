"""What happens to a trial that was disturbed: it is made again, so often and no more."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol, Self, TypeVar

from bench.quality.rule import BUDGET, REPEATS, judge
from bench.results import Attempt, Run


class Watched(Protocol):
    """What one try gave: its values by metric, and what was watched meanwhile."""

    @property
    def samples(self) -> Mapping[str, list[float]]: ...

    @property
    def figures(self) -> Mapping[str, float | None]: ...


Given = TypeVar("Given", bound=Watched)


class Repeats:
    """How many repeats a run has left: a share of the trials (or whatever it makes) begun.

    A run may be planned for far more trials than it ends up with (`ab` stops when the answer is
    clear), so those to come allow for none. From the start there are as many as one trial may have,
    but never more than a share of the whole plan.
    """

    def __init__(self, each: int, *, spent: int, begun: int, most: int) -> None:
        """each: of one trial at most. most: of the whole plan. spent, begun: so far."""
        self._each, self._spent, self._begun, self._most = each, spent, begun, most

    @classmethod
    def of(cls, run: Run) -> Self:
        """Those that are on record are spent, so a run that is resumed has no more than another."""
        # Of a trial that failed when it was repeated, even the last try on record was repeated.
        failed = {failure.trial for failure in run.failures}
        return cls(
            run.asked.repeats,
            spent=sum(len(r.attempts) - (r.trial not in failed) for r in run.quality),
            begun=len(run.ended()),
            most=math.ceil(BUDGET * len(run.plan)),
        )

    def settle(self, measure: Callable[[], Given], attempts: list[Attempt]) -> Given:
        """Measure until nothing disturbs it or no repeat is left; returns what the last try gave.

        Every try is added to `attempts` as soon as it is over, those that do not count with their
        values; the list is the caller's, who so has it where a later try raises.
        """
        self._begun += 1
        allowed = min(self._most, max(REPEATS, math.ceil(BUDGET * self._begun)))
        while True:
            given = measure()
            spoilt = judge(given.figures)
            again = bool(spoilt) and len(attempts) < self._each and self._spent < allowed
            samples = {metric: list(v) for metric, v in given.samples.items()} if again else {}
            attempts.append(Attempt(dict(given.figures), spoilt, samples))
            if not again:
                return given
            self._spent += 1
