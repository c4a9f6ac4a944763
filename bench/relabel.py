"""p-values for many cells at once, from relabelling the blocks of two sessions.

Rows of every array are blocks, columns are cells (one metric of one variant in one arm), values
are logarithms of block values.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from bench.labelings import MAX_LABELINGS, smallest_p
from bench.stats import LEVEL

Array = NDArray[np.float64]

TRIM = Fraction(1, 7)
"""Share of a session's values left out at each end, rounded down: the lowest and highest of seven.
With fewer blocks or a larger share, a labeling that exchanges one block of each session would look
as different as the true one, and no p-value could become small."""
FLOOR = 0.005
"""Smallest standard error, in log units (0.5 %), that a difference is divided by: without it two
sessions of equal counts would divide by nothing, and chance agreement would look like precision."""
_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Family:
    """What relabelling says of several cells measured in the same blocks, one entry for each cell.

    p: chance, were no difference larger than the limit, of any of the cells' looking at least so
    far beyond it. distance: by how much (log units) the new values would have to move further apart
    from the old for p to come down to the level, negative where it is there already, infinite
    where so few blocks can never show anything.
    """

    p: Array
    distance: Array


def family(
    values: Array, old: int, level: Fraction = LEVEL, seed: int = 0, *, limit: float = 0.0
) -> Family:
    """Compare the first `old` rows of `values` with the others: rows are blocks, columns cells.

    Values are on a log scale. The statistic of a cell is Yuen's (1974): the difference of the two
    trimmed means divided by its standard error from winsorised variances (and a floor). Trimming
    keeps one bad block of seven or more from hiding a change; with fewer blocks a bad one costs
    power, but never validity. Dividing by the spread within sessions lets a quiet cell show a
    small change beside noisy ones, which ranks cannot with few blocks: over 30 cells, full
    separation of 4 blocks from 4 happens by chance in every second comparison.

    Whole blocks are relabelled, all cells together, so whatever ties cells of a block to each
    other is kept, and p-values are adjusted by Westfall and Young's step-down maxT procedure:
    when the blocks of both sessions are alike, the chance of any p at or below 5 % is at most 5 %.
    Differences up to `limit` (log units, either way) do not count: the new values of each cell are
    first moved that far towards the old, and what is left of the difference must be exceptional.
    It is held against differences of either sign, so that the choice of the direction is paid for.
    All labelings are used up to MAX_LABELINGS, else that many drawn with `seed`, the true one
    among them.
    """
    labelings = _labelings(len(values), old, seed)
    gap, _ = _yuen(values, labelings[:1], old)
    direction = np.copysign(1, gap[0])
    values = values.copy()
    values[old:] -= direction * limit
    gap, error = _yuen(values, labelings[:1], old)
    observed = direction * (gap / error)[0]
    order = np.argsort(-observed, kind="stable")
    maxima = np.concatenate(
        [
            _step_down_maxima(values[:, order], labelings[start : start + _CHUNK], old)
            for start in range(0, len(labelings), _CHUNK)
        ]
    )
    # Sums in another order differ in the last digits; equal statistics must count as equal.
    reached = maxima >= observed[order] * (1 - 1e-9)
    p, distance = np.empty_like(observed), np.empty_like(observed)
    p[order] = np.maximum.accumulate(reached.mean(axis=0))
    allowed = math.floor(level * len(labelings))
    steps = np.sort(maxima, axis=0)[len(labelings) - 1 - allowed]
    # What moves far enough takes the first step that shows nothing, however late its own was.
    shown = np.count_nonzero(p <= float(level))
    steps[shown:] = steps[shown:].max(initial=0)
    critical = np.empty_like(observed)
    critical[order] = steps
    distance[:] = (critical - observed) * error[0]
    if smallest_p(old, len(values) - old) > level:
        distance[:] = math.inf
    return Family(p, distance)


def _labelings(blocks: int, old: int, seed: int) -> NDArray[np.intp]:
    """Rows of block numbers, those called old first; the first row is the true labeling."""
    if math.comb(blocks, old) <= MAX_LABELINGS:
        chosen = itertools.combinations(range(blocks), old)
        return np.array(
            [[*c, *(b for b in range(blocks) if b not in c)] for c in chosen], dtype=np.intp
        )
    rows = np.tile(np.arange(blocks, dtype=np.intp), (MAX_LABELINGS, 1))
    rows[1:] = np.random.default_rng(seed).permuted(rows[1:], axis=1)
    return rows


def _step_down_maxima(values: Array, labelings: NDArray[np.intp], old: int) -> Array:
    """For each labeling and cell: the largest statistic of that cell and all after it."""
    gap, error = _yuen(values, labelings, old)
    statistic = np.abs(gap) / error
    return np.maximum.accumulate(statistic[:, ::-1], axis=1)[:, ::-1]


def _yuen(values: Array, labelings: NDArray[np.intp], old: int) -> tuple[Array, Array]:
    """Difference of trimmed means and its standard error, for each labeling and cell."""
    old_mean, old_error = _trimmed(values[labelings[:, :old]])
    new_mean, new_error = _trimmed(values[labelings[:, old:]])
    return new_mean - old_mean, np.sqrt(old_error + new_error + FLOOR**2)


def _trimmed(groups: Array) -> tuple[Array, Array]:
    """Trimmed mean and its squared standard error along the second of three axes."""
    n = groups.shape[1]
    cut = math.floor(TRIM * n)
    kept = n - 2 * cut
    ordered = np.sort(groups, axis=1)
    middle = ordered[:, cut : n - cut]
    if kept < 2:  # noqa: PLR2004 (one value has no spread)
        return middle.mean(axis=1), np.zeros_like(middle[:, 0])
    ordered[:, :cut], ordered[:, n - cut :] = middle[:, :1], middle[:, -1:]
    squares = ((ordered - ordered.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return middle.mean(axis=1), squares / (kept * (kept - 1))
