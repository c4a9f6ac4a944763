"""From real blocks to comparisons: how often `ab`'s own decision is wrong, and how often right.

A session for each of several hundred comparisons would take days. So blocks are measured once, and
sessions drawn from them with replacement, in pieces of some consecutive blocks, so that the
machine's moods are in them as they were (a moving-block bootstrap). A session is as long as `ab`
takes at most unless told otherwise. How many real blocks there were is said: no drawing adds to
what they know.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bench.errors import CannotMeasure
from bench.metrics import METRICS, worse_by
from bench.paired import centre, conclude, interval
from bench.remaining import Remaining
from bench.results import Cell, ResultSet, Series
from bench.selftest.model import Planted, Rate, Selftest
from bench.sequential import (
    ALARM,
    MINUTES,
    MOST_BLOCKS,
    Answer,
    Conclusion,
    Limits,
    Look,
    Paired,
    fewest,
    plan_looks,
)
from bench.stats import binomial_interval

AA_COMPARISONS, PLANTED_COMPARISONS = 400, 200
FACTORS = (1.03, 1.05)
"""Slowdowns that are planted by multiplying the figures of the second side."""
_PIECE = 10
"""Blocks in a row that are drawn together; a mood of the machine lasts for two or three."""
_FRESH = 20
"""Blocks of each comparison whose blocks are its own."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Measured:
    """The values of one metric, by block: of the path, of the same again, and handicapped."""

    cell: Cell
    unit: str
    probe: str
    first: Sequence[float]
    second: Sequence[float]
    planted: Sequence[float]
    how: str


Sides = list[tuple[Measured, Sequence[float], Sequence[float]]]


def measured(results: ResultSet) -> list[Measured]:
    """What the run has of every metric, in the blocks that have all of them."""
    bare, same, *_ = results.run.variants
    cells = results.series()
    planted = {
        trial.probe: trial.variant
        for trial in results.run.plan
        if trial.variant not in (bare, same)
    }
    found = []
    for cell, series in cells.items():
        names = (bare, same, planted[series.probe])
        if cell.variant == bare and all(cell._replace(variant=n) in cells for n in names):
            found.append([cells[cell._replace(variant=name)] for name in names])
    if not found:
        raise CannotMeasure(f"{results.path}: no metric was measured of all variants")
    whole = set.intersection(*(set(side.blocks) for sides in found for side in sides))
    blocks = sorted(whole)
    return [
        Measured(
            Cell(bare, results.run.asked.arms[0], _metric(cells, sides[0])),
            sides[0].unit,
            sides[0].probe,
            first=[sides[0].blocks[block] for block in blocks],
            second=[sides[1].blocks[block] for block in blocks],
            planted=[sides[2].blocks[block] for block in blocks],
            how=planted[sides[0].probe],
        )
        for sides in found
    ]


def _metric(cells: Mapping[Cell, Series], wanted: Series) -> str:
    return next(cell.metric for cell, series in cells.items() if series is wanted)


class Redraw:
    """Draws comparisons from measured blocks, and takes `ab`'s decision on each."""

    def __init__(
        self, metrics: Sequence[Measured], limits: Limits, most: int, seed: int = 0
    ) -> None:
        """most: blocks that a comparison may use.

        Raises CannotMeasure where too few were measured to draw from, or `most` is too few.
        """
        self.metrics, self.limits = metrics, limits
        self.blocks = len(metrics[0].first)
        least = max(_FRESH, fewest(len(metrics)))
        if min(self.blocks, most) < least:
            raise CannotMeasure(
                f"{min(self.blocks, most)} blocks are too few for comparisons of {len(metrics)} "
                f"metrics; it takes {least}, so give it more minutes, or fewer probes"
            )
        self.most, self.looks = most, plan_looks(most, len(metrics))
        self._chance = np.random.default_rng(seed)

    def fresh(self) -> Iterator[Conclusion]:
        """Short A/A comparisons one after the other, each of blocks of its own, as they were."""
        looks = plan_looks(_FRESH, len(self.metrics))
        for start in range(0, self.blocks - _FRESH + 1, _FRESH):
            own = slice(start, start + _FRESH)
            yield self._conclude([(m, m.first[own], m.second[own]) for m in self.metrics], looks)

    def redrawn(self, planted: str | None = None, factor: float | None = None) -> Conclusion:
        """One comparison of drawn blocks, which of the two alike is old being chance in each piece.

        Not in each block: that would make any two sides alike, and no false alarm could come of
        what neighbouring blocks share, or of a path that differs from itself.

        planted: the metric that is compared with its handicapped self; with a `factor`, whose new
        side's figures are so much worse instead.
        """
        drawn = self._drawn()
        # Of each drawing by itself: a block drawn twice would else be the same evidence twice.
        pieces = self._chance.integers(0, 2, math.ceil(len(drawn) / _PIECE))
        swap = np.repeat(pieces, _PIECE)[: len(drawn)]
        sides: Sides = []
        for metric in self.metrics:
            both = [(metric.first[block], metric.second[block]) for block in drawn]
            old = [pair[s] for pair, s in zip(both, swap, strict=True)]
            new: Sequence[float] = [pair[1 - s] for pair, s in zip(both, swap, strict=True)]
            if metric.cell.metric == planted:
                handicapped = [metric.planted[block] for block in drawn]
                new = handicapped if factor is None else _worse(metric, new, factor)
            sides.append((metric, old, new))
        return self._conclude(sides, self.looks)

    def _drawn(self) -> list[int]:
        """The blocks of a session: pieces of consecutive ones, with replacement."""
        last = self.blocks - _PIECE
        starts = self._chance.integers(0, last + 1, math.ceil(self.most / _PIECE)).tolist()
        return [start + i for start in starts for i in range(_PIECE)][: self.most]

    def _conclude(self, sides: Sides, looks: Sequence[Look]) -> Conclusion:
        def series(metric: Measured, values: Sequence[float]) -> Series:
            return Series(metric.unit, metric.probe, dict(enumerate(values, 1)))

        found = [
            Paired(metric.cell, series(metric, old), series(metric, new))
            for metric, old, new in sides
        ]
        return conclude(found, looks, self.limits)


def examine(
    results: ResultSet, limits: Limits, seconds: float, tell: Tell, notes: Sequence[str] = ()
) -> Selftest:
    """Everything that a finished run says. seconds: what measuring it took."""
    metrics = measured(results)
    # Of the three trials of a block a comparison has two.
    each = seconds / len(metrics[0].first) * 2 / 3
    most = int(min(MOST_BLOCKS, 60 * MINUTES / each if each else MOST_BLOCKS))
    redraw = Redraw(metrics, limits, most, results.run.asked.seed)
    fresh = list(redraw.fresh())
    to_plant = [(metric, factor) for metric in metrics for factor in (None, *FACTORS)]
    remaining = Remaining(AA_COMPARISONS + len(to_plant) * PLANTED_COMPARISONS)
    same = []
    for done in range(AA_COMPARISONS):
        tell(f"false alarms, {done} of {AA_COMPARISONS} comparisons{remaining.after(done)}")
        same.append(redraw.redrawn())
    planted = []
    for number, (metric, factor) in enumerate(to_plant):
        left = remaining.after(AA_COMPARISONS + number * PLANTED_COMPARISONS)
        tell(f"planting in {metric.cell.metric}, {number + 1} of {len(to_plant)}{left}")
        planted.append(_plant(redraw, metric, factor))
    return Selftest(
        results=str(results.path),
        scenario=results.run.asked.scenarios[0],
        probes=results.run.asked.probes,
        blocks=redraw.blocks,
        most=redraw.most,
        seconds=seconds,
        seconds_per_block=each,
        margin=limits.margin,
        look_for=limits.look_for,
        alarm=float(ALARM),
        fresh=_rate(fresh, _alarmed),
        redrawn=_rate(same, _alarmed),
        planted=planted,
        notes=list(notes),
    )


def _plant(redraw: Redraw, metric: Measured, factor: float | None) -> Planted:
    name = metric.cell.metric
    size, low, high = _size(metric) if factor is None else (factor - 1, None, None)
    concluded = [redraw.redrawn(name, factor) for _ in range(PLANTED_COMPARISONS)]
    answers = [_answer(each, name) for each in concluded]
    return Planted(
        metric=name,
        how=metric.how if factor is None else f"figures x {factor:g}",
        size=size,
        low=low,
        high=high,
        caught=_rate(concluded, lambda each: _answer(each, name).verdict == "slower"),
        missed=sum(answer.cleared and answer.verdict != "slower" for answer in answers),
    )


def _size(metric: Measured) -> tuple[float, float, float]:
    """How much worse the handicapped path really was, from all blocks, with a 95 % interval."""
    likes = [math.sqrt(a * b) for a, b in zip(metric.first, metric.second, strict=True)]
    worse = [
        worse_by(metric.cell.metric, like, planted)
        for like, planted in zip(likes, metric.planted, strict=True)
    ]
    values = np.array(worse)
    low, high = interval(values, Fraction(1, 40))
    return math.expm1(centre(values)), math.expm1(low), math.expm1(high)


def _worse(metric: Measured, values: Sequence[float], factor: float) -> Sequence[float]:
    lower_is_better = METRICS[metric.cell.metric].better == "lower"
    return [value * factor if lower_is_better else value / factor for value in values]


def _answer(concluded: Conclusion, metric: str) -> Answer:
    return next(answer for answer in concluded.answers if answer.metric == metric)


def _alarmed(concluded: Conclusion) -> bool:
    return any(answer.verdict == "slower" for answer in concluded.answers)


def _rate(concluded: Sequence[Conclusion], hit: Callable[[Conclusion], bool]) -> Rate:
    hits, blocks = sum(map(hit, concluded)), sorted(each.blocks for each in concluded)
    low, high = binomial_interval(hits, len(concluded))
    return Rate(
        hits=hits,
        comparisons=len(concluded),
        rate=hits / len(concluded),
        low=low,
        high=high,
        median_blocks=statistics.median(blocks),
        most_blocks=blocks[-1],
    )
