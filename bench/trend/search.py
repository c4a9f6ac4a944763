"""Change points of many series at once, with p-values that pay for having searched.

Series hold logarithms, one value for each session. Binary segmentation: each stretch of a series
is divided where its two parts differ most; where that is no accident, both parts are searched in
turn. `docs/comparing.md` explains it to the reader who has to believe it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.stats import LEVEL as _LEVEL

Array = NDArray[np.float64]

LEVEL = float(_LEVEL)
SHORTEST = 4
"""Fewest values on either side of a change: the fewest that have a 95 % interval (4 of 4)."""
FEWEST = 2 * SHORTEST
"""Fewest values in which a change can be found."""
SHUFFLES = 1_000
"""Orders that are compared, the true one among them."""
_FLOOR = 0.002
"""Spread, in log units (0.2 %), that is added to that of the values: counts that are equal in all
sets would otherwise divide by nothing."""
_FENCE, _NARROWEST = 3.0, 0.02
"""Values further than so many interquartile ranges outside the quartiles count as that far (Tukey's
outer fence); the range counts as at least 2 %. It does not depend on the order of the values, so it
takes nothing from the test's validity, and one wild session cannot hide a change."""


@dataclass(frozen=True, slots=True)
class Change:
    """`at`: position of the first value after it. p: adjusted over all series and all places."""

    at: int
    p: float


@dataclass(slots=True)
class Searched:
    """What was found in one series.

    changes: in order. visible: the smallest step (log units) amid the last stretch that would have
    been found there, infinite where none would have been.
    """

    changes: list[Change] = field(default_factory=list)
    visible: float = math.inf


@dataclass(eq=False, slots=True)
class _Stretch:
    """A part of a series, and how clearly it seems to change: in truth, and in other orders.

    within: variance of the values when the change that seems clearest is taken out. inflation: how
    much more correlation lets sums of them vary.
    """

    series: int
    start: int
    end: int
    split: int
    observed: float
    within: float
    inflation: float
    shuffled: Array


def search(series: Sequence[Array], correlations: Sequence[float] = ()) -> list[Searched]:
    """Find the changes of level in each series.

    correlations: of neighbours, 0 to below 1, one for each series; none given means 0.

    Were the order of the sets an accident in every series, the chance of *any* change found in
    *any* of them would be at most 5 %. After a change has been found the stretches that are left
    are one family again, at 5 %. Where neighbours are correlated it is what is new in each set
    whose order counts as an accident; see `_reordered`.
    """
    correlations = correlations or [0.0] * len(series)
    found = [Searched() for _ in series]
    whole = ((number, 0, len(values)) for number, values in enumerate(series))
    stretches = _measured(whole, series, correlations)
    while stretches:
        chances = _adjusted(stretches).tolist()
        divided: list[_Stretch] = []
        kept: list[_Stretch] = []
        for stretch, p in zip(stretches, chances, strict=True):
            (divided if p <= LEVEL else kept).append(stretch)
            if p <= LEVEL:
                found[stretch.series].changes.append(Change(stretch.start + stretch.split, p))
        if not divided:
            break
        stretches = kept + _measured(_parts(divided), series, correlations)
    for result, values in zip(found, series, strict=True):
        result.changes = _placed(values, sorted(result.changes, key=lambda change: change.at))
    _note_visible(found, stretches, series)
    return found


# ---- one stretch --------------------------------------------------------------------------------


def _measured(
    parts: Iterable[tuple[int, int, int]],
    series: Sequence[Array],
    correlations: Sequence[float],
) -> list[_Stretch]:
    """Measure each part (number of the series, start, end) that is long enough.

    Parts of one length are shuffled alike, so sessions keep their cells together: whatever ties the
    cells of a session to each other is kept.
    """
    by_length: dict[int, list[tuple[int, int, int]]] = {}
    for part in parts:
        if (length := part[2] - part[1]) >= FEWEST:
            by_length.setdefault(length, []).append(part)
    measured = []
    for length, alike in by_length.items():
        orders = _orders(length)
        for part in alike:
            number, start, end = part
            values = _fenced(series[number][start:end])
            measured.append(_stretch(part, values, orders, correlations[number]))
    return measured


def _stretch(
    part: tuple[int, int, int], values: Array, orders: NDArray[np.intp], correlation: float
) -> _Stretch:
    number, start, end = part
    n = len(values)
    inflation = (1 + correlation) / (1 - correlation)
    total: float | Array = float(values @ values)
    if correlation:
        sums = _reordered(values, orders, correlation)
        total = np.einsum("ij,ij->j", sums, sums)
    else:
        sums = values[orders]
    between = _between(sums)
    shuffled = _clearness(between.max(axis=0), total, n, inflation)
    split = int(between[:, 0].argmax())
    within = max(float(values @ values) - float(between[split, 0]), 0.0) / (n - 2)
    return _Stretch(
        series=number,
        start=start,
        end=end,
        split=SHORTEST + split,
        observed=float(shuffled[0]),
        within=within + _FLOOR**2,
        inflation=inflation,
        shuffled=shuffled,
    )


def _reordered(values: Array, orders: NDArray[np.intp], correlation: float) -> Array:
    """The series, by column, that what is new in each value would have made in other orders.

    Correlated values cannot be exchanged for each other, but what each adds to its share of the one
    before can. A new series is made of it in the new order, as correlated as the old one was.
    The first value has none before it: it is new as a whole, and larger than the others by the
    factor that goes in and out here.
    """
    larger = 1 / math.sqrt(1 - correlation**2)
    new = values.copy()
    new[1:] -= correlation * values[:-1]
    new[0] /= larger
    made: Array = new[orders]
    made[0] *= larger
    for i in range(1, len(made)):
        made[i] += correlation * made[i - 1]
    made -= made.mean(axis=0)
    return made


def _parts(divided: Iterable[_Stretch]) -> Iterable[tuple[int, int, int]]:
    for stretch in divided:
        middle = stretch.start + stretch.split
        yield stretch.series, stretch.start, middle
        yield stretch.series, middle, stretch.end


def _fenced(values: Array) -> Array:
    """The values as deviations from their mean, none further out than the fences."""
    low, high = np.quantile(values, (0.25, 0.75))
    width = _FENCE * max(high - low, _NARROWEST)
    fenced = np.clip(values, low - width, high + width)
    deviations: Array = fenced - fenced.mean()
    return deviations


def _between(sums: Array) -> Array:
    """For each place of a change (row) the sum of squares between its two sides, by column.

    sums: columns of values whose mean is 0, in some order; it is overwritten.
    """
    n = len(sums)
    for i in range(1, n):  # a row at a time, twice as fast as numpy's cumsum
        sums[i] += sums[i - 1]
    before = np.arange(SHORTEST, n - SHORTEST + 1)
    between = sums[SHORTEST - 1 : n - SHORTEST]
    between *= between
    between *= (n / (before * (n - before)))[:, np.newaxis]
    return between


def _clearness(between: Array, total: float | Array, n: int, inflation: float) -> Array:
    """The logarithm of the likelihood ratio of a change to none, twice: comparable over lengths.

    Dividing by the inflation makes it comparable over correlations, so that the wide swings of one
    series do not hide what changed in another.
    """
    within = np.maximum(total - between, 0) / (n - 2) + _FLOOR**2
    clearness: Array = (n - 2) * np.log1p(between / within / inflation / (n - 2))
    return clearness


def _orders(n: int) -> NDArray[np.intp]:
    """Columns of positions, the first in true order."""
    rows = np.tile(np.arange(n, dtype=np.intp), (SHUFFLES, 1))
    rows[1:] = np.random.default_rng((n, 1)).permuted(rows[1:], axis=1)
    return np.ascontiguousarray(rows.T)


# ---- all stretches ------------------------------------------------------------------------------


def _adjusted(stretches: Sequence[_Stretch]) -> Array:
    """The p-value of each: Westfall and Young's step-down maxT procedure.

    In each shuffled order the largest statistic of all stretches counts, so p pays for the choice
    of the stretch as it does for that of the place.
    """
    observed = np.array([stretch.observed for stretch in stretches])
    order = np.argsort(-observed, kind="stable")
    shuffled = np.stack([stretches[i].shuffled for i in order[::-1]], axis=1)
    maxima = np.maximum.accumulate(shuffled, axis=1)[:, ::-1]
    # Sums in another order differ in the last digits; equal statistics must count as equal.
    reached = maxima >= observed[order] * (1 - 1e-9)
    p = np.empty_like(observed)
    p[order] = np.maximum.accumulate(reached.mean(axis=0))
    return p


def _placed(values: Array, changes: list[Change]) -> list[Change]:
    """Look for the place of each change again, between those of its neighbours.

    It was found in a stretch that held the others as well, which may have pulled at it.
    """
    places = [0, *(change.at for change in changes), len(values)]
    for i in range(1, len(places) - 1):
        start, end = places[i - 1], places[i + 1]
        between = _between(_fenced(values[start:end])[:, np.newaxis])[:, 0]
        places[i] = start + SHORTEST + int(between.argmax())
    return [Change(at, change.p) for at, change in zip(places[1:-1], changes, strict=True)]


def _note_visible(
    found: list[Searched], stretches: Sequence[_Stretch], series: Sequence[Array]
) -> None:
    """Say of each series which step in the middle of its last stretch would have been found."""
    if not stretches:
        return
    maxima = np.sort(np.max([stretch.shuffled for stretch in stretches], axis=0))
    critical = float(maxima[SHUFFLES - 1 - math.floor(LEVEL * SHUFFLES)])
    for stretch in stretches:
        n = stretch.end - stretch.start
        if stretch.end == len(series[stretch.series]):
            squared = (n - 2) * math.expm1(critical / (n - 2)) * stretch.inflation
            found[stretch.series].visible = math.sqrt(squared * stretch.within * 4 / n)
