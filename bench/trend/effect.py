"""How large a change was: the ratio of the levels on its two sides, with an interval."""

from __future__ import annotations

import math

import numpy as np

from bench.stats import Shift, shift
from bench.trend.search import Array

_EXACT = 256
"""Up to so many differences the exact distribution is taken; of more, the normal one is as good."""
_NEAREST = 200
"""Sets on each side that are looked at: the interval does not get better of more."""
_NORMAL = 1.959964


def effect(old: Array, new: Array) -> Shift:
    """The shift from `old` to `new`: Hodges and Lehmann's estimate with its 95 % interval.

    Both are in the order of time; the values next to the change count where there are very many.
    """
    old, new = old[-_NEAREST:], new[:_NEAREST]
    m, n = len(old), len(new)
    if m * n <= _EXACT:
        return shift(old.tolist(), new.tolist())
    spread = math.sqrt(m * n * (m + n + 1) / 12)
    low = max(math.floor(m * n / 2 - _NORMAL * spread), 1) - 1
    middle = (m * n - 1) // 2, m * n // 2
    places = low, *middle, m * n - 1 - low
    differences = np.partition(np.subtract.outer(new, old), places, axis=None)
    return Shift(
        float(differences[[*middle]].mean()),
        float(differences[low]),
        float(differences[places[-1]]),
    )
