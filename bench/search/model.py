"""What a search is told, and what it gives: kept with the results as JSON."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

LATE = 0.01
"""Share of the asked rate that a sender may lack before its trial says nothing of the path."""

SHARED = 0.1
"""Share of a trial in which somebody else may be on the same core before its failing says nothing:
what is shared takes a third longer."""

APART = 0.25
"""The same of cores that are further apart than they can be: a packet takes half as long again."""

LOWEST = 1000.0
"""Datagrams a second that every path is expected to carry."""

FLOOD = 20e6
"""Datagrams a second that no generator reaches."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to search; the goals differ in their loss alone. The names are those of RFC 9971.

    goals: shares of the datagrams that may be lost, rising.
    first, final: seconds of the shortest trials, and of those that decide.
    duration_sum: seconds of trials that a load needs to be judged.
    exceed_ratio: share of these that may be bad at a rate that counts as passed.
    width: relative, between the bounds in the end. preceding: coarser steps that lead there.
    time_limit: seconds after which the search ends with what it has.
    patience: share of these that may go to trials in which somebody else was on our cores, and as
        much to those in which our cores were apart.
    stability: trials at a tenth of what a flood brings, which must lose nothing.
    buffer: bytes of socket buffer at the receiver. batch: see `traffic.Stream`.
    gather: seconds; what falls due meanwhile is handed to the kernel at once, which cuts it apart
        before the first device (0: each by itself).
    """

    goals: tuple[float, ...] = (0.0, 0.001, 0.005)
    first: float = 0.125
    final: float = 0.25
    duration_sum: float = 1.25
    exceed_ratio: float = 0.5
    width: float = 0.01
    preceding: int = 2
    expansion: int = 2
    time_limit: float = 30.0
    patience: float = 0.25
    stability: int = 4
    buffer: int = 4 << 20
    batch: int = 32
    gather: float = 40e-6


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One rate that was offered once.

    purpose: "flood", "stability" or "search".
    asked, offered: datagrams a second. seconds: that it was to last.
    received: in the end; overdue: of these, what came so late that a queue must have been filling.
    lost: place → datagrams that were dropped there.
    shared: share of it in which the sender or the receiver had to share its core with a neighbour,
        as far as known.
    apart: share of it in which these two cores were further apart than before, as far as known.
    discarded: said nothing of the path, and it was tried again: the sender was late, or the trial
        failed and was disturbed.
    """

    purpose: str = "search"
    asked: float
    offered: float
    seconds: float
    sent: int
    received: int
    overdue: int = 0
    lost: dict[str, int] = {}
    shared: float = 0.0
    apart: float = 0.0
    discarded: bool = False

    @property
    def missing(self) -> int:
        """What did not arrive in time."""
        return self.sent - self.received + self.overdue

    @property
    def failed(self) -> bool:
        """Whether it had any loss, or was late: a machine in disorder may be why, not the path."""
        return self.missing > 0 or self.late

    @property
    def disturbed_by(self) -> tuple[str, ...]:
        """Which of `shared` and `apart` may be why it failed; none where it did not."""
        most = {"apart": APART, "shared": SHARED}
        return tuple(by for by in most if self.failed and getattr(self, by) > most[by])

    @property
    def late(self) -> bool:
        """Whether less was offered than asked, so that the rate asked for was not tried."""
        return self.offered < (1 - LATE) * self.asked

    @property
    def unsent(self) -> int:
        """Datagrams that were asked for and not offered, where these matter."""
        return max(0, round(self.asked * self.seconds) - self.sent) if self.late else 0

    @property
    def loss_ratio(self) -> float:
        """What is held against a goal: what went missing, and what a late sender did not send."""
        wanted = self.sent + self.unsent
        return (self.missing + self.unsent) / wanted if wanted else 1.0


Attempt = Callable[[float, float], Trial]
"""Offers a rate (datagrams a second) for some seconds."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for one goal.

    goal: share that may be lost. rate: the conditional throughput, datagrams a second that arrive
        where `lower` are offered; None where no rate satisfied the goal.
    lower, upper: the relevant bounds; upper is None where nothing was too much.
    limited_by: "path"; "sender": the path did not lose, but its work, done within the sender's
        system calls, left the sender no time for more; "generator": the same is true without any
        path, or nothing that was offered was too much; "time": the search ended before anything
        was; "nothing": no rate satisfied the goal.
    """

    goal: float
    rate: float | None
    lower: float | None
    upper: float | None
    limited_by: str


_DISTURBANCES = {
    "shared": "somebody else was on our cores",
    "apart": "the CPUs of sender and receiver were further apart than in others",
}


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a search found, and all it saw.

    generator_limit: datagrams a second that the generator sends where they are dropped at once;
        None where that could not be found out, `reasons` says why.
    stable: nothing was lost at a tenth of what a flood brings.
    realtime: sender and receiver ran ahead of everything else on their CPUs.
    complete: the search came to its end; else the bounds are what there was when time was up.
    """

    options: Options
    size: int
    found: tuple[Found, ...]
    generator_limit: float | None
    stable: bool
    realtime: bool = False
    complete: bool
    trials: tuple[Trial, ...]
    reasons: tuple[str, ...] = ()

    def of(self, goal: float) -> Found:
        """What was found for a goal."""
        return next(found for found in self.found if found.goal == goal)

    def warnings(self) -> tuple[str, ...]:
        """What whoever reads the rates should know."""
        name = f"packet rate of {self.size} bytes"
        said = []
        if not self.stable:
            said.append(f"{name}: unstable, the path loses packets at a tenth of its rate")
        if any(found.limited_by == "generator" for found in self.found):
            said.append(f"{name}: generator-limited, the path may carry more")
        elif self.generator_limit is None:
            said.append(f"{name}: whether it is generator-limited is not known")
        if not self.realtime:
            said.append(f"{name}: without real-time priority (root has it) the rates vary more")
        if not self.complete:
            said.append(f"{name}: the search ran out of time, its bounds are wider than asked")
        counted = [t for t in self.trials if t.purpose == "search" and not t.discarded]
        failed = sum(trial.failed for trial in counted)
        for by, what in _DISTURBANCES.items():
            if disturbed := sum(by in trial.disturbed_by for trial in counted):
                said.append(
                    f"{name}: in {disturbed} of the {failed} trials that failed {what}; they count "
                    "all the same, as trying again did not help: the path may carry more"
                )
        for found in self.found:
            if found.rate is None:
                said.append(f"{name}: no rate was found at which at most {found.goal:.1%} are lost")
        return tuple(said)
