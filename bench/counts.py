"""From two series of counts to a verdict: counts are told from one another by a tolerance.

What is counted and not timed (the ledger) scatters by next to nothing, may be nothing at all, and
has no distribution worth a test: a packet that is copied once more is copied once more in every
block. So no logarithms and no intervals here.

What disturbs a block hides some of what is done for a packet and never adds to it. So a session's
worst blocks are nearest to the truth: it is worse than another where more than half of its blocks
are worse than all of the other's by more than the tolerance, and then one disturbed block of either
hides nothing. Where fewer are, or medians alone differ, nobody can tell.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from bench.metrics import METRICS

if TYPE_CHECKING:
    from bench.verdict import Pair

CountVerdict = Literal["better", "worse", "same", "cannot tell"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far counts of the same thing may lie apart: `absolute` + `relative` · the old one.

    most: of that for the worse. What a pump does once more it does once more for each packet, and
    no disturbance adds to a count; so half of one is no more than a baseline may have lost, however
    many there are. For the better it is as it is: a busy machine looks better by more than one.
    """

    absolute: float
    relative: float = 0.01
    most: float = 0.5

    def better(self, old: float) -> float:
        """The largest change of `old` for the better that is none."""
        return self.absolute + self.relative * abs(old)

    def worse(self, old: float) -> float:
        """The largest change of `old` for the worse that is none."""
        return min(self.better(old), self.most)


TOLERANCES: dict[str, Tolerance] = {
    # What the path makes of a packet, whenever it gets to it.
    "working_calls": Tolerance(0.1),
    "copies": Tolerance(0.1),
    "memory_copies": Tolerance(0.1),
    "copied_bytes": Tolerance(8.0, most=math.inf),
    "traversals": Tolerance(0.1),
    "segments_per_skb": Tolerance(0.02),
    # What also hangs on when a program gets a CPU: one that is late finds two packets at once,
    # and sleeps and polls once for both. On two CPUs with six others who want them, blocks of
    # system calls lay 13 % apart, of wake-ups 35 %, and always below those of a quiet machine.
    "syscalls": Tolerance(0.2, 0.05),
    "wakeups": Tolerance(0.4, 0.1),
}
"""Metric → its tolerance. All other metrics are compared by the statistics of their blocks."""


class CountRow(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of counts compared. `old` and `new` are medians of block values, in `unit`.

    change: new - old. tolerance: the largest change that way that is none, and of no change, for
    the worse: by more a block must lie beyond those of the other session to be told from them.
    reason: why there is no verdict, else empty. doubtful: it has none, and may have got worse.
    """

    variant: str
    arm: str
    metric: str
    unit: str
    old: float
    new: float
    old_blocks: int
    new_blocks: int
    change: float
    tolerance: float
    verdict: CountVerdict
    reason: str
    doubtful: bool = False


def judge_counts(pairs: Sequence[Pair]) -> list[CountRow]:
    """Judge cells whose metrics have a tolerance, each by itself; a row for each, in order."""
    return [_judge(pair) for pair in pairs]


def _judge(pair: Pair) -> CountRow:
    metric = METRICS[pair.cell.metric]
    # Turned so that more is worse.
    sign = -1 if metric.better == "higher" else 1
    before, after = ([sign * n for n in s.blocks.values()] for s in (pair.old, pair.new))
    old, new = statistics.median(before), statistics.median(after)
    allowed = TOLERANCES[pair.cell.metric]
    worse, better = allowed.worse(old), allowed.better(old)
    tolerance = better if new < old else worse
    risen = sum(n - max(before) > worse for n in after)
    fallen = sum(n - max(after) > better for n in before)
    verdict: CountVerdict = "same"
    if 2 * risen > len(after):
        verdict = "worse"
    elif 2 * fallen > len(before):
        verdict = "better"
    elif risen or abs(new - old) > tolerance:
        verdict = "cannot tell"
    doubtful = verdict == "cannot tell" and (risen > 0 or new > old)
    return CountRow(
        **pair.cell._asdict(),
        unit=pair.old.unit,
        old=sign * old,
        new=sign * new,
        old_blocks=len(before),
        new_blocks=len(after),
        change=sign * (new - old),
        tolerance=tolerance,
        verdict=verdict,
        reason=_reason(risen, doubtful) if verdict == "cannot tell" else "",
        doubtful=doubtful,
    )


def _reason(risen: int, doubtful: bool) -> str:
    """Why nobody can tell."""
    if risen:
        return "got worse in some blocks only"
    if doubtful:
        return "got worse by the median, but an old block was as bad"
    return "some blocks of the two sessions are alike"
