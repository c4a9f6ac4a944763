"""Percentiles of delays that were kept in histograms, and how sure they are.

A trial's datagrams are not independent: a stall hits hundreds in a row. So the stream is cut into
slices of equal length. With x the percentile found, and F(b) the share of slice b's datagrams that
took no longer than x, the standard error of F is taken from how the slices differ, and Student's
interval of F gives two ranks; what stands there, of all datagrams, are the interval's ends (batch
means of the indicator). It is never narrower than the binomial one of independent datagrams.

What was lost counts as a delay longer than any.
"""

from __future__ import annotations

import bisect
import itertools
import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.native.delay import bucket_bounds

Counts = Mapping[int, int]
"""Bucket → how many."""

SLICES = 20
_T = 2.093
"""97.5th percentile of Student's t with SLICES - 1 degrees of freedom, """
_Z = 1.96
"""and of the normal distribution."""


@dataclass(frozen=True)
class Estimate:
    """A percentile in seconds and its 95 % interval.

    None where it lies beyond what arrived, or an end before or behind everything.
    """

    value: float | None
    low: float | None
    high: float | None


def pooled(slices: Sequence[Counts]) -> Counts:
    """The histogram of all slices."""
    total: Counter[int] = Counter()
    for counts in slices:
        total.update(counts)
    return dict(sorted(total.items()))


def quantile(counts: Counts, total: int, share: float) -> float | None:
    """Seconds that `share` of `total` datagrams took at most; None where so many did not arrive.

    Within a bucket times are taken as spread evenly. counts: in the order of buckets.
    """
    return quantiles(counts, total, [share])[0]


def quantiles(counts: Counts, total: int, shares: Sequence[float]) -> list[float | None]:
    """The same for several shares, which rise, in one pass."""
    found: list[float | None] = []
    items = iter(counts.items())
    bucket, count, before = 0, 0, 0
    for share in shares:
        wanted = share * total
        if wanted <= 0:
            found.append(None)
            continue
        while before + count < wanted:
            before += count
            bucket, count = next(items, (-1, 0))
            if bucket < 0:
                return [*found, *[None] * (len(shares) - len(found))]
        low, high = bucket_bounds(bucket)
        found.append((low + (wanted - before) / count * (high - low)) / 1e9)
    return found


def share_within(counts: Counts, total: int, seconds: float) -> float:
    """The share of `total` datagrams that took at most `seconds`; undoes `quantile`."""
    return within(counts, total)(seconds)


def within(counts: Counts, total: int) -> Callable[[float], float]:
    """The same for as many times as one likes: seconds → share."""
    ordered = sorted(counts.items())
    bounds = [bucket_bounds(bucket) for bucket, _ in ordered]
    before = list(itertools.accumulate((count for _, count in ordered), initial=0))
    lows = [low for low, _ in bounds]

    def share(seconds: float) -> float:
        limit = seconds * 1e9
        place = bisect.bisect_right(lows, limit) - 1
        if place < 0:
            return 0.0
        low, high = bounds[place]
        return (before[place] + ordered[place][1] * min(1.0, (limit - low) / (high - low))) / total

    return share


def estimate(slices: Sequence[Counts], sizes: Sequence[int], share: float) -> Estimate:
    """A percentile of a stream that was cut into SLICES of `sizes` datagrams."""
    counts, total = pooled(slices), sum(sizes)
    value = quantile(counts, total, share)
    if value is None:
        return Estimate(None, None, None)
    parts = zip(slices, sizes, strict=True)
    shares = [share_within(part, size, value) for part, size in parts]
    half = max(
        _T * statistics.stdev(shares) / math.sqrt(len(shares)),
        _Z * math.sqrt(share * (1 - share) / total),
    )
    low, high = quantile(counts, total, share - half), quantile(counts, total, share + half)
    return Estimate(value, low, high)
