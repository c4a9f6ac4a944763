"""What a gate may take: both looks in one budget, each of blocks enough to see anything at all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection

from bench.counts import TOLERANCES
from bench.errors import UsageError
from bench.gate.rules import stage_of
from bench.labelings import blocks_needed, can_show
from bench.probes import PROBES
from bench.results import ResultSet

MINUTE = 60


def needed(baseline: ResultSet, probes: Collection[str]) -> int:
    """The fewest blocks with which a look at these probes can have a verdict.

    Counts have one from a single block. Raises UsageError where the baseline has too few blocks for
    any verdict on times, however many are measured now.
    """
    metrics = [metric for probe in probes for metric in PROBES[probe].metrics]
    if not any(metric not in TOLERANCES and stage_of(metric).fails for metric in metrics):
        return 1
    run = baseline.run
    old = len({t.block for t in run.plan} - {t.block for t in run.pending()})
    for new in range(1, run.asked.blocks + 1):
        if can_show(old, new):
            return new
    instead = ", or gate counts alone (--ledger-only)" if "ledger" in run.asked.probes else ""
    raise UsageError(
        f"{baseline.path}: has {old} whole blocks, too few to show any change of a time; measure a "
        f"new baseline of {blocks_needed()} blocks at least{instead}"
    )


def blocks_within(seconds: float, block: float, least: int, most: int) -> int:
    """How many blocks of so many seconds each look can have: the second may need as many.

    Raises UsageError where they are fewer than `least`.
    """
    fit = int(seconds / (2 * block))
    if fit < least:
        blocks = "1 block" if least == 1 else f"{least} blocks"
        raise UsageError(
            f"--budget {seconds / MINUTE:g}: is too short to see anything: that takes {blocks}, "
            "and as many once more if something got worse; "
            f"--budget {math.ceil(2 * least * block / MINUTE)} would do"
        )
    return min(fit, most)


class Clock:
    """The budget as it is spent; `seconds` of None: as much as it takes."""

    def __init__(self, seconds: float | None, now: Callable[[], float] = time.monotonic) -> None:
        self.seconds = math.inf if seconds is None else seconds
        self._now = now
        self._begun = now()

    @property
    def spent(self) -> float:
        """Seconds since it was started."""
        return self._now() - self._begun

    def first_is_over(self, done: int, least: int) -> bool:
        """Whether the first look must end after `done` blocks, for the second to find its time.

        With fewer than the `least` that can show anything it would be for nothing, so then it goes
        on: if nothing got worse, no second look is needed.
        """
        reserved = least if done >= least else 0
        return self.spent * (done + 1 + reserved) / done > self.seconds

    def fit(self, block: float) -> float:
        """How many blocks of so many seconds fit into what is left."""
        return max(0.0, self.seconds - self.spent) / block

    def second_is_over(self) -> Callable[[int], bool]:
        """Asked after each block of the second look that begins now: must it end there?"""
        begun = self.spent
        return lambda done: self.spent + (self.spent - begun) / done > self.seconds
