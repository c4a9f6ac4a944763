"""Percentiles of delays that were kept in histograms, and how sure they are.

A trial's datagrams are not independent: a stall hits hundreds in a row. So the stream is cut into
slices of equal length. With x the percentile found, and F(b) the share of slice b's datagrams that
took no longer than x, the standard error of F is taken from how the slices differ, and Student's
interval of F gives two ranks; what stands there, of all datagrams, are the interval's ends (batch
means of the indicator). It is never narrower than the binomial one of independent datagrams.

What was lost counts as a delay longer than any.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
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
    wanted, before = share * total, 0
    if wanted <= 0:
        return None
    for bucket, count in counts.items():
        if before + count >= wanted:
            low, high = bucket_bounds(bucket)
            return (low + (wanted - before) / count * (high - low)) / 1e9
        before += count
    return None


def share_within(counts: Counts, total: int, seconds: float) -> float:
    """The share of `total` datagrams that took at most `seconds`; undoes `quantile`."""
    found, limit = 0.0, seconds * 1e9
    for bucket, count in counts.items():
        low, high = bucket_bounds(bucket)
        found += count * min(1.0, max(0.0, (limit - low) / (high - low)))
    return found / total


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
