"""From real blocks to comparisons: how often `ab`'s own decision is wrong, and how often right.

A session for each of several hundred comparisons would take days. So blocks are measured once, and
comparisons drawn from them, each a stretch of consecutive blocks, so that the machine's drift and
its moods are in it as they were. What shares blocks is not independent, and it is said how much is.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bench.errors import CannotMeasure
from bench.metrics import METRICS
from bench.paired import centre, conclude, interval, worse_by
from bench.results import Cell, ResultSet, Series
from bench.selftest.model import Planted, Rate, Selftest
from bench.sequential import (
    ALARM,
    Answer,
    Conclusion,
    Limits,
    Look,
    Paired,
    fewest,
    plan_looks,
)

AA_COMPARISONS, PLANTED_COMPARISONS = 1000, 400
FACTORS = (1.02, 1.03, 1.05, 1.1)
"""Slowdowns that are planted by multiplying the figures of the second side."""
_MOST = 60
"""Blocks that a comparison may use: what `ab` allows unless told otherwise."""
_TAIL = 0.025

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

    def __init__(self, metrics: Sequence[Measured], limits: Limits, seed: int = 0) -> None:
        """Raises CannotMeasure where there are too few blocks for a single comparison."""
        self.metrics, self.limits = metrics, limits
        self.blocks = len(metrics[0].first)
        self.most = min(_MOST, self.blocks)
        if self.most < fewest(len(metrics)):
            raise CannotMeasure(
                f"{self.blocks} blocks are too few for one comparison of {len(metrics)} metrics; "
                f"it takes {fewest(len(metrics))}, so give it more minutes"
            )
        self.looks: tuple[Look, ...] = plan_looks(self.most, len(metrics))
        self._chance = np.random.default_rng(seed)

    def fresh(self) -> Iterator[Conclusion]:
        """A/A comparisons one after the other; each begins where the one before it ended."""
        start = 0
        while start + self.most <= self.blocks:
            sides: Sides = [(m, m.first, m.second) for m in self.metrics]
            concluded = self._conclude(sides, start)
            yield concluded
            start += concluded.blocks

    def redrawn(self, planted: str | None = None, factor: float | None = None) -> Conclusion:
        """One comparison of a stretch, which of the two alike is old being chance in each block.

        planted: the metric that is compared with its handicapped self; with a `factor`, whose new
        side's figures are so much worse instead.
        """
        start = int(self._chance.integers(0, self.blocks - self.most + 1))
        swap = self._chance.integers(0, 2, self.blocks)
        sides: Sides = []
        for metric in self.metrics:
            both = list(zip(metric.first, metric.second, strict=True))
            old = [pair[s] for pair, s in zip(both, swap, strict=True)]
            new: Sequence[float] = [pair[1 - s] for pair, s in zip(both, swap, strict=True)]
            if metric.cell.metric == planted:
                new = metric.planted if factor is None else _worse(metric, new, factor)
            sides.append((metric, old, new))
        return self._conclude(sides, start)

    def _conclude(self, sides: Sides, start: int) -> Conclusion:
        window = slice(start, start + self.most)
        found = [
            Paired(
                metric.cell,
                *(
                    Series(metric.unit, metric.probe, dict(enumerate(values[window], 1)))
                    for values in (old, new)
                ),
            )
            for metric, old, new in sides
        ]
        return conclude(found, self.looks, self.limits)


def examine(
    results: ResultSet, limits: Limits, seconds: float, tell: Tell, notes: Sequence[str] = ()
) -> Selftest:
    """Everything that a finished run says. seconds: what measuring it took."""
    metrics = measured(results)
    redraw = Redraw(metrics, limits, results.run.asked.seed)
    fresh = list(redraw.fresh())
    tell(f"{AA_COMPARISONS} A/A comparisons")
    same = [redraw.redrawn() for _ in range(AA_COMPARISONS)]
    planted = []
    for metric in metrics:
        for factor in (None, *FACTORS):
            tell(f"planting in {metric.cell.metric}")
            planted.append(_plant(redraw, metric, factor))
    return Selftest(
        results=str(results.path),
        scenario=results.run.asked.scenarios[0],
        probes=results.run.asked.probes,
        blocks=redraw.blocks,
        most=redraw.most,
        independent=redraw.blocks // redraw.most,
        seconds=seconds,
        seconds_per_block=seconds / redraw.blocks * 2 / 3,  # two of the three that a block has
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


def binomial_interval(hits: int, trials: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval for a probability: exact, so never too narrow."""
    low = 0.0 if hits == 0 else _solve(lambda p: 1 - _at_most(hits - 1, trials, p), _TAIL)
    high = 1.0 if hits == trials else _solve(lambda p: -_at_most(hits, trials, p), -_TAIL)
    return low, high


def _at_most(hits: int, trials: int, p: float) -> float:
    logs = (
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        + k * math.log(p) + (trials - k) * math.log1p(-p)
        for k in range(hits + 1)
    )  # fmt: skip
    return math.fsum(map(math.exp, logs))


def _solve(rising: Callable[[float], float], value: float) -> float:
    """The probability at which a rising function reaches a value, by halving."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return (low + high) / 2
