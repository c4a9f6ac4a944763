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
_LOST = 0.15
"""Share of the variance that correlation adds to sums which runs may miss; see `run_length`."""
_SHORT_OF_CORRELATION, _LONGEST_RUN = 20, 50
_TOO_LARGE = 27
"""Times the median of squares of normal values: 3.5 standard deviations."""


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

    within: variance of the values when the change that seems clearest is taken out.
    """

    series: int
    start: int
    end: int
    split: int
    observed: float
    within: float
    shuffled: Array


def search(series: Sequence[Array], run: int = 1) -> list[Searched]:
    """Find the changes of level in each series.

    run: values that follow each other and are kept together when the order is shuffled.

    Were the order of the sets an accident in every series, the chance of *any* change found in
    *any* of them would be at most 5 %. After a change has been found the stretches that are left
    are one family again, at 5 %.
    """
    found = [Searched() for _ in series]
    whole = ((number, 0, len(values)) for number, values in enumerate(series))
    stretches = _measured(whole, series, run)
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
        stretches = kept + _measured(_parts(divided), series, run)
    for result, values in zip(found, series, strict=True):
        result.changes = _placed(values, sorted(result.changes, key=lambda change: change.at))
    _note_visible(found, stretches, series, run)
    return found


def run_length(series: Iterable[Array]) -> tuple[int, float]:
    """How many values in a row should be kept together, and the correlation of neighbours.

    Sessions near in time may resemble each other: the machine drifts. Shuffled one by one they
    would make any drift look like a change. The correlation r is taken from how much further values
    two apart differ than neighbours do, as the median over all series. Runs are so long that sums
    over them have lost at most 15 % of the variance that correlation adds to sums, if it goes on as
    r, r², r³, …: kept in runs of L, they lack 2r / L(1 - r²) of it.
    """
    estimates, sizes = [], []
    for values in series:
        if len(values) < _SHORT_OF_CORRELATION:
            continue
        near, far = (_difference(values, step) for step in (1, 2))
        if near > 0:
            estimates.append(far / near - 1)
            sizes.append(len(values))
    if not estimates:
        return 1, 0.0
    found = min(float(np.median(estimates)), 0.99)
    # Twice its standard error in one series without correlation, about: less may be chance.
    if found <= 2 / math.sqrt(float(np.median(sizes))):
        return 1, max(found, 0.0)
    return min(math.ceil(2 * found / _LOST / (1 - found**2)), _LONGEST_RUN), found


def _difference(values: Array, step: int) -> float:
    """The mean square of differences, without the few that are too large to be noise.

    A change of level is in one difference of neighbours, but in two of values two apart.
    """
    squares = (values[step:] - values[:-step]) ** 2
    usual: Array = squares[squares <= _TOO_LARGE * np.median(squares)]
    return float(usual.mean())


# ---- one stretch --------------------------------------------------------------------------------


def _measured(
    parts: Iterable[tuple[int, int, int]], series: Sequence[Array], run: int
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
        orders = _orders(length, run)
        for number, start, end in alike:
            values = _fenced(series[number][start:end])
            total = float(values @ values)
            between = _between(values[orders])
            shuffled = _clearness(between.max(axis=0), total, length)
            split = int(between[:, 0].argmax())
            within = max(total - float(between[split, 0]), 0.0) / (length - 2)
            measured.append(
                _Stretch(
                    series=number,
                    start=start,
                    end=end,
                    split=SHORTEST + split,
                    observed=float(shuffled[0]),
                    within=within + _FLOOR**2,
                    shuffled=shuffled,
                )
            )
    return measured


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


def _clearness(between: Array, total: float, n: int) -> Array:
    """The logarithm of the likelihood ratio of a change to none, twice: comparable over lengths."""
    within = np.maximum(total - between, 0) / (n - 2) + _FLOOR**2
    clearness: Array = (n - 2) * np.log1p(between / within / (n - 2))
    return clearness


def _orders(n: int, run: int) -> NDArray[np.intp]:
    """Columns of positions, the first in true order.

    Runs are shuffled as wholes. The oldest values, which do not fill one, stay where they are.
    """
    runs, rest = divmod(n, run)
    rows = np.tile(np.arange(runs, dtype=np.intp), (SHUFFLES, 1))
    rows[1:] = np.random.default_rng((n, run)).permuted(rows[1:], axis=1)
    inside = (rows[:, :, np.newaxis] * run + np.arange(run)).reshape(SHUFFLES, -1)
    oldest = np.tile(np.arange(rest), (SHUFFLES, 1))
    return np.ascontiguousarray(np.concatenate([oldest, rest + inside], axis=1).T)


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
    found: list[Searched], stretches: Sequence[_Stretch], series: Sequence[Array], run: int
) -> None:
    """Say of each series which step in the middle of its last stretch would have been found."""
    if not stretches:
        return
    maxima = np.sort(np.max([stretch.shuffled for stretch in stretches], axis=0))
    critical = float(maxima[SHUFFLES - 1 - math.floor(LEVEL * SHUFFLES)])
    for stretch in stretches:
        n = stretch.end - stretch.start
        if stretch.end == len(series[stretch.series]) and n // run >= FEWEST:
            squared = (n - 2) * math.expm1(critical / (n - 2))
            found[stretch.series].visible = math.sqrt(squared * stretch.within * 4 / n)
