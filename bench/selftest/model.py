"""What a self-test says: the structure of its JSON document."""

from __future__ import annotations

import msgspec

PROFILE = "selftest"
"""What its result set has for a profile."""
ANSWER = "selftest.json"
ALARMS_ALLOWED, POWER_WANTED = 0.01, 0.95
PLANTED = 0.05
"""The slowdown that is planted, and what `ab` looks for."""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """In how many of the comparisons something happened, and after how many blocks they ended.

    low, high: Clopper and Pearson's 95 % interval, as if the comparisons were independent.
    """

    hits: int
    comparisons: int
    rate: float
    low: float
    high: float
    median_blocks: float
    most_blocks: int


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """A regression that was planted in one metric, and how often it was caught.

    how: what was done. size: of the slowdown, a fraction; low, high: its 95 % interval, of all
    blocks, None where the figures themselves were multiplied. missed: how often the slowdown that
    was looked for was ruled out for this metric.
    """

    metric: str
    how: str
    size: float
    low: float | None
    high: float | None
    caught: Rate
    missed: int


class Selftest(msgspec.Struct, frozen=True, kw_only=True):
    """All of it.

    blocks: real ones that were measured. most: blocks that a comparison may use. fresh: short A/A
    comparisons, each of blocks of its own. redrawn: A/A comparisons of sessions drawn from these
    blocks, the two sides exchanged by chance in some of the pieces drawn. seconds_per_block: what a
    block of a comparison takes.
    """

    format: int = 1
    results: str
    scenario: str
    probes: tuple[str, ...]
    blocks: int
    most: int
    seconds: float
    seconds_per_block: float
    margin: float
    look_for: float
    alarm: float
    fresh: Rate
    redrawn: Rate
    planted: list[Planted]
    notes: list[str]

    def passed(self) -> bool:
        """Whether alarms are as rare, and planted handicaps caught as often, as is wanted.

        Of the few fresh comparisons more than chance would be.
        """
        real = [each for each in self.planted if each.low is not None]
        return (
            self.redrawn.rate <= ALARMS_ALLOWED
            and self.fresh.low <= ALARMS_ALLOWED
            and all(each.caught.rate >= POWER_WANTED for each in real)
        )
