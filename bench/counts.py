"""From two series of counts to a verdict: counts are told from one another by a tolerance.

What is counted and not timed (the ledger) scatters by next to nothing, may be nothing at all, and
has no distribution worth a test: a packet that is copied once more is copied once more in every
block. So no logarithms and no intervals here. A count has changed where all of one session's blocks
lie beyond all of the other's by more than its tolerance.
"""

from __future__ import annotations

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
    """How far counts of the same thing may lie apart: `absolute` + `relative` · the old one."""

    absolute: float
    relative: float = 0.01

    def of(self, old: float) -> float:
        """The largest difference from `old` that is none."""
        return self.absolute + self.relative * abs(old)


TOLERANCES: dict[str, Tolerance] = {
    # What the path makes of a packet, whenever it gets to it.
    "working_calls": Tolerance(0.1),
    "copies": Tolerance(0.1),
    "memory_copies": Tolerance(0.1),
    "copied_bytes": Tolerance(8.0),
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

    change: new - old. tolerance: by so much all new blocks must lie beyond all old ones to be told
    from them, and so the smallest change that is seen.
    reason: why there is no verdict, else empty.
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


def judge_counts(pairs: Sequence[Pair]) -> list[CountRow]:
    """Judge cells whose metrics have a tolerance, each by itself; a row for each, in order."""
    return [_judge(pair) for pair in pairs]


def _judge(pair: Pair) -> CountRow:
    before, after = list(pair.old.blocks.values()), list(pair.new.blocks.values())
    old, new = statistics.median(before), statistics.median(after)
    tolerance = TOLERANCES[pair.cell.metric].of(old)
    verdict: CountVerdict = "same"
    if abs(new - old) > tolerance:
        gap = max(min(after) - max(before), min(before) - max(after))
        apart = gap > tolerance
        verdict = _direction(pair.cell.metric, new - old) if apart else "cannot tell"
    return CountRow(
        **pair.cell._asdict(),
        unit=pair.old.unit,
        old=old,
        new=new,
        old_blocks=len(before),
        new_blocks=len(after),
        change=new - old,
        tolerance=tolerance,
        verdict=verdict,
        reason="some blocks of the two sessions are alike" if verdict == "cannot tell" else "",
    )


def _direction(metric: str, change: float) -> CountVerdict:
    return "better" if (change > 0) == (METRICS[metric].better == "higher") else "worse"
