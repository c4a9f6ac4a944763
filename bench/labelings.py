"""What so many blocks of two sessions can show at all, before anything is known of them.

Nothing here needs numpy, whose threads a program that is going to fork must not have.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

from bench.stats import LEVEL, mann_whitney_cut

MAX_LABELINGS = 20_000


def smallest_p(old: int, new: int) -> Fraction:
    """The smallest p-value that relabelling so many blocks can give.

    With as many blocks in both sessions, exchanging them gives the same statistic once more.
    """
    labelings = min(math.comb(old + new, old), MAX_LABELINGS)
    return Fraction(2 if old == new else 1, labelings)


def can_show(old: int, new: int, level: Fraction = LEVEL) -> bool:
    """Whether so many blocks can show any difference at all, however large it is."""
    return mann_whitney_cut(old, new) > 0 and smallest_p(old, new) <= level


def blocks_needed(level: Fraction = LEVEL) -> int:
    """The fewest blocks in each of two sessions with which any difference at all can be shown."""
    return next(n for n in itertools.count(1) if can_show(n, n, level))
