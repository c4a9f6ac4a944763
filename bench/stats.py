"""Estimates and intervals from block values; `relabel.py` has the p-values.

The replication unit is the block, so every function takes one value for each block. Nothing here
assumes a distribution: intervals come from order statistics and from the exact distribution of
the Mann-Whitney statistic. Nothing here needs numpy, whose threads a program that is going to
fork must not have.

What no statistic of two sessions can see is the drift between them: a machine that ran slower
during one whole session. `compare` asks for a practical margin for that reason.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

LEVEL = Fraction(1, 20)
"""Chance of an error allowed to each interval, and to all verdicts of one comparison together."""
_TAIL = float(LEVEL / 2)


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return an interval that holds the population's median with at least 95 % probability.

    Its ends are two of the values (order statistics), chosen by the binomial distribution of the
    number of values below the median. None for fewer than six values, which cannot give one.
    """
    ordered = sorted(values)
    n = len(ordered)
    tail, cut = Fraction(0), 0
    for below in range(n):
        tail += Fraction(math.comb(n, below), 2**n)
        if 2 * tail > LEVEL:
            break
        cut = below + 1
    return (ordered[cut - 1], ordered[n - cut]) if cut else None


@dataclass(frozen=True, slots=True)
class Shift:
    """How far the new values lie above the old: Hodges and Lehmann's estimate, 95 % interval."""

    estimate: float
    low: float
    high: float


def shift(old: Sequence[float], new: Sequence[float]) -> Shift:
    """Estimate the shift from `old` to `new`, two independent samples.

    The estimate is the median of all differences; the interval's ends are two of them, chosen by
    the exact null distribution of the Mann-Whitney statistic. It includes its ends, so ties make
    it cover more often, never less. It is infinite where the samples are too small for one.
    """
    differences = sorted(n - o for o in old for n in new)
    cut = mann_whitney_cut(len(old), len(new))
    low, high = (differences[cut - 1], differences[-cut]) if cut else (-math.inf, math.inf)
    return Shift(statistics.median(differences), low, high)


def mann_whitney_counts(m: int, n: int) -> list[int]:
    """Return, for each u from 0 to m·n, in how many of the orders of m and n values U equals u.

    The counts are the coefficients of the Gaussian binomial, the product over i = 1 … m of
    (1 - q^(n+i)) / (1 - q^i).
    """
    counts = [1] + [0] * (m * n)
    for i in range(1, m + 1):
        for u in range(m * n, n + i - 1, -1):
            counts[u] -= counts[u - n - i]
        for u in range(i, m * n + 1):
            counts[u] += counts[u - i]
    return counts


def mann_whitney_cut(m: int, n: int) -> int:
    """How many differences may be left out at each end of an interval for the shift."""
    total, tail = math.comb(m + n, m), 0
    for u, count in enumerate(mann_whitney_counts(m, n)):
        tail += count
        if Fraction(2 * tail, total) > LEVEL:
            return u
    return 0


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
