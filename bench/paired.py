"""What paired blocks say: both sides were measured in every block of one session.

What disturbs a whole block disturbs both sides, so it leaves their quotient alone: the values here
are logarithms of new over old, one for each block, turned so that larger is worse. Were both sides
the same, each would be as likely to have the other sign, because the order within a block was
drawn. That is all that the p-values rest on. They come from changing the signs of whole blocks,
all metrics together; the statistic is Wilcoxon's signed rank with a cap, and its exact distribution
also gives the interval. The cap: no block counts more than the one in the middle. Where trials fall
into two states, as those of `rtt` do when the scheduler finds a faster way in one of ten, a fifth
of the differences are far away on either side; uncapped, they would outweigh all others.

Rows of every array are blocks, columns are metrics.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.metrics import METRICS, worse_by
from bench.sequential import (
    ALARM,
    INTERVAL,
    MISS,
    Answer,
    Conclusion,
    Limits,
    Look,
    Paired,
    Verdict,
    why_enough,
)

Array = NDArray[np.float64]

MAX_FLIPS = 20_000
_ALL_FLIPS = 13
"""Up to so many blocks every pattern of signs is tried, else MAX_FLIPS that are drawn."""
_CAP = Fraction(1, 2)
_TIE = 1e-9
"""Sums in another order differ in the last digits; equal statistics must count as equal."""


# ---- one metric ---------------------------------------------------------------------------------


def scores(ranks: Array, n: int) -> Array:
    """What each of n ranks counts: itself, up to the middle one, which is the most."""
    return np.minimum(ranks, math.ceil(n * _CAP))


@lru_cache
def score_chances(n: int) -> Array:
    """For each t, the chance that the scores with a plus sum up to t, all signs being by chance.

    They are the coefficients of the product over all scores s of (1 + q^s) / 2: exact up to 53
    blocks, where they are multiples of 2^-53.
    """
    given = [int(score) for score in scores(np.arange(1.0, n + 1), n)]
    chances = np.zeros(sum(given) + 1)
    chances[0] = 1
    for score in given:
        with_plus = chances[:-score] / 2
        chances /= 2
        chances[score:] += with_plus
    chances.flags.writeable = False
    return chances


@lru_cache
def critical_sum(n: int, tail: Fraction) -> int | None:
    """The largest signed sum of scores that is exceeded with more than the chance `tail`.

    None where no sum is exceptional enough.
    """
    above = np.cumsum(score_chances(n)[::-1])
    most = len(above) - 1
    below = int(np.searchsorted(above, float(tail), side="right"))
    return most - 2 * below if below else None


def signed_sum(differences: Array) -> float:
    """The scores of the absolute values, each with its value's sign, added up."""
    return float(np.sign(differences) @ scores(_ranks(np.abs(differences)), len(differences)))


def exceeded(differences: Array, critical: float | None) -> float:
    """The limit up to which the signed sum of what lies above it exceeds `critical`.

    The sum falls as the limit rises, and only where that passes a Walsh average: the mean of two
    of the values, or one of them.
    """
    if critical is None:
        return -math.inf
    first, second = np.triu_indices(len(differences))
    averages = np.sort((differences[first] + differences[second]) / 2)
    between = [averages[0] - 1, *((averages[1:] + averages[:-1]) / 2), averages[-1] + 1]

    def falls_short(place: int) -> bool:
        return signed_sum(differences - between[place]) <= critical + _TIE

    place = bisect_left(range(len(between)), True, key=falls_short)
    return float(averages[place - 1]) if place else -math.inf


def centre(differences: Array) -> float:
    """Hodges and Lehmann's estimate: the limit about which the signed sum is nothing."""
    return (exceeded(differences, 0) - exceeded(-differences, 0)) / 2


def interval(differences: Array, tail: Fraction) -> tuple[float, float]:
    """Bounds for the centre, each wrong with at most the chance `tail`."""
    critical = critical_sum(len(differences), tail)
    return exceeded(differences, critical), -exceeded(-differences, critical)


def own_p(differences: Array) -> float:
    """The chance of so large a signed sum of one metric, by its exact distribution."""
    chances = score_chances(len(differences))
    reached = math.ceil((signed_sum(differences) + len(chances) - 1) / 2 - _TIE)
    return float(chances[max(0, reached) :].sum())


# ---- all metrics --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flipped:
    """What changing signs says of several metrics, one entry for each.

    p: chance, were no metric above its limit, of any of them looking at least so far above.
    bound: the limit that would just have been exceeded at the level, minus infinity where none is.
    """

    p: Array
    bound: Array


def flipped(differences: Array, limit: float, level: Fraction, seed: int = 0) -> Flipped:
    """Test for each column whether it lies above `limit`; NaN is a block without that metric.

    p-values are adjusted by Westfall and Young's step-down maxT procedure.
    """
    signed, norms = _signed_scores(differences - limit)
    flips = _flips(len(differences), seed)
    observed = signed.sum(axis=0)
    order = np.argsort(-observed, kind="stable")
    # The largest statistic of a metric and all after it, for each pattern of signs.
    maxima = (flips @ signed[:, order])[:, ::-1]
    maxima = np.maximum.accumulate(maxima, axis=1)[:, ::-1]
    p = np.empty_like(observed)
    p[order] = np.maximum.accumulate((maxima >= observed[order] - _TIE).mean(axis=0))
    allowed = math.floor(level * len(flips))
    critical = float(np.partition(maxima[:, 0], len(flips) - 1 - allowed)[-1 - allowed])
    columns = zip(differences.T, norms, strict=True)
    bounds = np.array([exceeded(d[~np.isnan(d)], critical * float(norm)) for d, norm in columns])
    if not allowed:  # even what no other pattern reaches is no exception at this level
        bounds[:] = -math.inf
    return Flipped(p, bounds)


def _signed_scores(values: Array) -> tuple[Array, Array]:
    """The signed scores of each column, scaled to variance one."""
    signed = np.zeros_like(values)
    for column, target in zip(values.T, signed.T, strict=True):
        there = ~np.isnan(column)
        ranks = _ranks(np.abs(column[there]))
        target[there] = np.sign(column[there]) * scores(ranks, len(ranks))
    norms = np.sqrt((signed**2).sum(axis=0))
    norms[norms == 0] = 1
    return signed / norms, norms


def _ranks(values: Array) -> Array:
    """1 for the smallest; equal ones share the mean of their ranks."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty_like(values)
    ranks[order] = np.arange(1.0, len(values) + 1)
    ordered = values[order]
    if (ordered[1:] == ordered[:-1]).any():
        _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _flips(blocks: int, seed: int) -> Array:
    """Rows of signs; the first, the observed one, changes nothing."""
    if blocks <= _ALL_FLIPS:
        return _all_flips(blocks)
    return _drawn_flips(1 << (blocks - 1).bit_length(), seed)[:, :blocks]


@lru_cache
def _all_flips(blocks: int) -> Array:
    patterns = np.arange(2**blocks)[:, None] >> np.arange(blocks) & 1
    signs: Array = (1 - 2 * patterns).astype(np.float64)
    return signs


@lru_cache
def _drawn_flips(blocks: int, seed: int) -> Array:
    """Drawing them takes longer than using them, so looks at fewer blocks use a part of these."""
    flips = np.random.default_rng(seed).choice((-1.0, 1.0), (MAX_FLIPS, blocks))
    flips[0] = 1
    return flips


# ---- looks --------------------------------------------------------------------------------------


def conclude(pairs: Sequence[Paired], looks: Sequence[Look], limits: Limits) -> Conclusion:
    """Take one look after the other until one of them is enough, or there are no more.

    The last of `looks` need not be the last that was planned; whether it is, its share tells: all
    shares together are one.
    """
    answers: list[Answer] = []
    spent = Fraction(0)
    for number, look in enumerate(looks, 1):
        spent += look.share
        answers = _remembering(answers, judge(pairs, look, limits))
        if (why := why_enough(answers, spent == 1)) or number == len(looks):
            return Conclusion(answers=answers, looks=number, blocks=look.blocks, stopped=why)
    raise ValueError("there are no looks")


def judge(pairs: Sequence[Paired], look: Look, limits: Limits) -> list[Answer]:
    """One look at all metrics that were measured on both sides in some block."""
    pairs = [pair for pair in (p.until(look.blocks) for p in pairs) if pair.shared]
    if not pairs:
        return []
    differences = _differences(pairs)
    level = ALARM * look.share
    margin = math.log1p(limits.margin)
    worse = flipped(differences, margin, level)
    better = _better(differences, margin, level)
    return [
        _answer(pair, d[~np.isnan(d)], float(p), float(bound), float(other), look.share, limits)
        for pair, d, p, bound, other in zip(
            pairs, differences.T, worse.p, worse.bound, better, strict=True
        )
    ]


def _better(differences: Array, margin: float, level: Fraction) -> Array:
    """p-values of the other direction, or ones where none can come down to the level."""
    columns = (column[~np.isnan(column)] for column in differences.T)
    # Adjusting only raises a p-value, and most sessions need not be flipped for this.
    if min(own_p(-margin - column) for column in columns) > level:
        return np.ones(differences.shape[1])
    return flipped(-differences, margin, level).p


def _differences(pairs: Sequence[Paired]) -> Array:
    blocks = sorted({block for pair in pairs for block in pair.old.blocks})
    rows = [[_difference(pair, block) for pair in pairs] for block in blocks]
    return np.array(rows, dtype=np.float64)


def _difference(pair: Paired, block: int) -> float:
    """How much worse the new side was in a block; NaN where one of the two is missing."""
    if block not in pair.old.blocks or block not in pair.new.blocks:
        return math.nan
    return worse_by(pair.cell.metric, pair.old.blocks[block], pair.new.blocks[block])


def _answer(
    pair: Paired,
    d: Array,
    p: float,
    bound: float,
    better_p: float,
    share: Fraction,
    limits: Limits,
) -> Answer:
    estimate = centre(d)
    low, high = interval(d, INTERVAL / 2 * share)
    _, ceiling = interval(d, MISS * share)
    verdict: Verdict = "cannot tell"
    level = float(ALARM * share)
    if p <= level:
        verdict = "slower"
    elif better_p <= level:
        verdict = "faster"
    cleared = ceiling < math.log1p(limits.look_for)
    seen = math.expm1(math.log1p(limits.margin) + max(0.0, estimate - bound))
    lower_is_better = METRICS[pair.cell.metric].better == "lower"
    ends = (low, high) if lower_is_better else (-high, -low)
    return Answer(
        **pair.cell._asdict(),
        unit=pair.old.unit,
        old=statistics.median(pair.old.blocks[block] for block in pair.shared),
        new=statistics.median(pair.new.blocks[block] for block in pair.shared),
        blocks=len(d),
        ratio=math.exp(estimate if lower_is_better else -estimate),
        low=math.exp(ends[0]) if math.isfinite(low) else None,
        high=math.exp(ends[1]) if math.isfinite(low) else None,
        p=float(better_p if verdict == "faster" else p),
        level=level,
        verdict=verdict,
        cleared=cleared,
        visible=seen if math.isfinite(seen) else None,
        reason="" if verdict != "cannot tell" else _reason(cleared, share, limits),
    )


def _reason(cleared: bool, share: Fraction, limits: Limits) -> str:
    if cleared:
        return f"a slowdown of {100 * limits.look_for:g} % or more is ruled out"
    if not share:
        return "no verdict yet: it was interrupted before the next look"
    return "the change, if any, is smaller than what could be seen"


def _remembering(before: Sequence[Answer], now: Sequence[Answer]) -> list[Answer]:
    """The answers of a look, with what an earlier one had shown: each look has its own budget."""
    known = {(answer.variant, answer.arm, answer.metric): answer for answer in before}
    return [_kept(known.get((a.variant, a.arm, a.metric), a), a) for a in now]


def _kept(before: Answer, now: Answer) -> Answer:
    if before.verdict == "faster" and now.verdict == "cannot tell":
        return msgspec.structs.replace(
            now,
            verdict="faster",
            p=before.p,
            level=before.level,
            cleared=before.cleared or now.cleared,
            reason="",
        )
    if before.cleared and not now.cleared:
        reason = before.reason if now.verdict == "cannot tell" else ""
        return msgspec.structs.replace(now, cleared=True, reason=reason)
    return now
