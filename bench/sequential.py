"""When measuring may stop: planned looks at what has been measured, and what each may spend.

Whoever looks after every block and stops when it looks bad will see a regression that is not there
sooner or later. So the looks are planned beforehand, after so many blocks each, and each has a
share of the allowed error: by how much of all blocks it comes after the look before it (an alpha
spending function in the sense of Lan and DeMets, the linear one). A verdict at a look must keep to
that look's share alone, so all looks together keep to the whole, however they depend on each other.

Nothing here needs numpy, whose threads a program that is going to fork must not have; the
statistics of a look are in `paired.py`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

import msgspec

from bench.errors import UsageError
from bench.results import Cell, Series

Verdict = Literal["faster", "slower", "cannot tell"]

ALARM = Fraction(1, 200)
"""Chance, were both sides the same, of `slower` for any metric at any look; of `faster` as much."""
MISS = Fraction(1, 40)
"""Chance, for one metric, that the slowdown that was looked for is ruled out and yet is there."""
INTERVAL = Fraction(1, 20)
"""Chance that the interval of one metric misses the truth at any look."""
MINUTES = 15.0
"""How long a comparison may take unless told otherwise."""
MOST_BLOCKS = 512
"""What fits into a quarter of an hour at most. In a much longer session the early looks' shares
would be less than any p-value of drawn signs can be."""
_FEWEST, _GROWTH, _NEARLY_ALL = 6, 1.4, 0.83
"""Blocks that are too few for anything; from look to look; share beyond which only the last is."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look: after how many blocks, and which share of each budget is its own."""

    blocks: int
    share: Fraction


@dataclass(frozen=True, slots=True)
class Limits:
    """What matters, as fractions.

    margin: changes up to this do not. look_for: the slowdown that must not be overlooked: once all
    metrics are known to have none so large, there is nothing left to measure.
    """

    margin: float = 0.01
    look_for: float = 0.05

    def __post_init__(self) -> None:
        """Raise UsageError for limits that are none."""
        if not 0 <= self.margin < self.look_for < math.inf:
            raise UsageError(
                f"margin {100 * self.margin:g} %, look for {100 * self.look_for:g} %: "
                "expected 0 <= margin < look for"
            )


class Paired(NamedTuple):
    """One metric with what both sides have of it, in blocks of one session."""

    cell: Cell
    old: Series
    new: Series

    @property
    def shared(self) -> list[int]:
        """The blocks in which both sides were measured."""
        return [block for block in self.old.blocks if block in self.new.blocks]

    def until(self, block: int) -> Paired:
        """What there was of it after so many blocks."""
        sides = (
            side._replace(blocks={b: v for b, v in side.blocks.items() if b <= block})
            for side in (self.old, self.new)
        )
        return Paired(self.cell, *sides)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One metric at a look. `old` and `new` are medians of block values, in `unit`.

    blocks: in which both sides were measured. ratio: new over old, Hodges and Lehmann's estimate;
    low, high: an interval that holds at all looks together with 95 %, None where there are too few
    blocks for one. p: of the verdict's own direction, adjusted for all metrics; to be held against
    the look's share of the budget, which is `level`, 0 of a mere glance. cleared: a slowdown as
    large as was looked for is ruled out. visible: the smallest slowdown that would have had a
    verdict at this look, None where none would. reason: why there is no verdict, else empty.
    """

    variant: str
    arm: str
    metric: str
    unit: str
    old: float
    new: float
    blocks: int
    ratio: float
    low: float | None
    high: float | None
    p: float
    level: float
    verdict: Verdict
    cleared: bool
    visible: float | None
    reason: str

    @property
    def open(self) -> bool:
        """Whether more blocks could still say something of use."""
        return self.verdict == "cannot tell" and not self.cleared


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """What a number of looks have come to.

    looks: how many were taken. blocks: after how many the last of them was. stopped: why that was
    enough, or empty.
    """

    answers: list[Answer]
    looks: int
    blocks: int
    stopped: str


def fewest(cells: int) -> int:
    """The fewest blocks with which a single look at so many metrics can find a regression."""
    return next(n for n in itertools.count(_FEWEST) if _reachable(n, n, cells))


def plan_looks(most: int, cells: int) -> tuple[Look, ...]:
    """The looks of a session of at most so many blocks.

    The first comes when its share can be reached at all: with n blocks no p-value is below 2^-n
    for one metric. From then on each has two fifths more blocks than the one before it. Raises
    UsageError for a session that is too short to find anything.
    """
    if most < fewest(cells):
        raise UsageError(
            f"{most} blocks can show nothing of {cells} metrics; expected {fewest(cells)} or more"
        )
    first = next(n for n in range(_FEWEST, most + 1) if _reachable(n, most, cells))
    sizes = []
    while first <= most * _NEARLY_ALL:
        sizes.append(first)
        first = math.ceil(first * _GROWTH)
    sizes.append(most)
    before = (0, *sizes)
    return tuple(
        Look(size, Fraction(size - earlier, most))
        for earlier, size in zip(before, sizes, strict=False)
    )


def cut_short(looks: Sequence[Look], blocks: int) -> tuple[Look, ...]:
    """The looks of a session that ended after so many blocks, for a reason beside the results.

    What has not been spent is the last look's.
    """
    taken = [look for look in looks if look.blocks < blocks]
    return (*taken, Look(blocks, 1 - sum((look.share for look in taken), Fraction(0))))


def glance(looks: Sequence[Look], blocks: int) -> tuple[Look, ...]:
    """The looks of a session that was interrupted after so many blocks and can go on.

    Those taken, and one at what has come since, which spends nothing and so decides nothing: all
    that is left is for the looks to come, however often it is interrupted.
    """
    taken = tuple(look for look in looks if look.blocks <= blocks)
    if taken and taken[-1].blocks == blocks:
        return taken
    return (*taken, Look(blocks, Fraction(0)))


def why_enough(answers: Sequence[Answer], last: bool) -> str:
    """Why no more need be measured after such answers, or nothing."""
    if not answers:
        return "nothing could be measured on both sides"
    if any(answer.verdict == "slower" for answer in answers):
        return "a regression is shown"
    if not any(answer.open for answer in answers):
        return "every metric has its answer"
    return "as many blocks as were allowed" if last else ""


def _reachable(blocks: int, most: int, cells: int) -> bool:
    return cells * Fraction(1, 2**blocks) <= ALARM * Fraction(blocks, most)
