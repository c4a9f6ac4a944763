"""How far sets that follow each other resemble each other: the machine drifts.

Shuffled as if they did not, any drift would look like a change (`search.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from bench.stats import LEVEL

Array = NDArray[np.float64]

_FEWEST = 20
"""Values from which a correlation can be told at all."""
_SPREAD = 1.5
"""Standard error, times the root of their number, of the logarithm of how much further values two
apart differ than neighbours, where there is no correlation (by simulation, from 60 values on)."""
_COMMON = 4 / 3
"""Standard errors from which the median of all series is no accident. That of many scatters less
than a single one, unless whatever disturbs a set disturbs all its cells alike."""
_TOO_LARGE = 27
"""Times the median of squares of normal values: 3.5 standard deviations."""
_POSSIBLE = np.arange(0, 0.9901, 0.001)
_FAR = 1 + _POSSIBLE + _POSSIBLE**2 + _POSSIBLE**3
"""How much further values four apart differ than neighbours where correlations are `_POSSIBLE`."""


def correlations(series: Sequence[Array]) -> list[float]:
    """The correlation of neighbours in each series, 0 where it may be chance; below 1.

    That there is any is believed if the clearest is significant at 5 %, corrected for the number of
    series, or if the median is. Then each series has its own, however small: one that drifts and
    is taken not to costs a false alarm, the reverse a little power. Where the median is significant
    none has less than that, and series too short to tell have it as well. Counts that hardly vary
    have none.
    """
    ratios = [_further(values, 2) if len(values) >= _FEWEST else None for values in series]
    scores = [
        math.log(ratio) * math.sqrt(len(values)) / _SPREAD
        for ratio, values in zip(ratios, series, strict=True)
        if ratio is not None
    ]
    if not scores:
        return [0.0] * len(series)
    common = float(np.median(scores)) > _COMMON
    if not common and max(scores) <= NormalDist().inv_cdf(1 - float(LEVEL) / len(scores)):
        return [0.0] * len(series)
    own = [
        None if ratio is None else _correlation(values, ratio)
        for ratio, values in zip(ratios, series, strict=True)
    ]
    least = float(np.median([r for r in own if r is not None])) if common else 0.0
    missing = [least if len(values) < _FEWEST else 0.0 for values in series]
    return [
        instead if r is None else max(r, least) for r, instead in zip(own, missing, strict=True)
    ]


def _correlation(values: Array, twice: float) -> float:
    """Exact where correlations go on as r, r², r³, …: the larger of two estimates.

    The one from values two apart is wide, the one from values four apart takes more of a change of
    level for correlation. An estimate that is too small means false alarms, one too large less.
    """
    far = _further(values, 4) or 1.0
    return float(np.clip(max(twice - 1, np.interp(far, _FAR, _POSSIBLE)), 0, _POSSIBLE[-1]))


def _further(values: Array, step: int) -> float | None:
    """Mean squares of differences: of values `step` apart to neighbours'. None: all are equal."""
    near, far = _difference(values, 1), _difference(values, step)
    return far / near if near > 0 and far > 0 else None


def _difference(values: Array, step: int) -> float:
    """The mean square of differences, without the few that are too large to be noise.

    A change of level is in one difference of neighbours, but in two of values two apart.
    """
    squares = (values[step:] - values[:-step]) ** 2
    usual: Array = squares[squares <= _TOO_LARGE * np.median(squares)]
    return float(usual.mean())
