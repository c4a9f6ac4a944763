"""Percentiles from histograms are those of the values, and their intervals hold the truth."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from bench.native.delay import BUCKETS, bucket_bounds, bucket_of
from bench.percentiles import SLICES, Counts, estimate, pooled, quantile, share_within


def histogram(values: Sequence[float]) -> Counts:
    """Of seconds."""
    found = Counter(bucket_of(round(value * 1e9)) for value in values)
    return dict(sorted(found.items()))


def sliced(values: Sequence[float]) -> list[Counts]:
    size = len(values) // SLICES
    return [histogram(values[i * size : (i + 1) * size]) for i in range(SLICES)]


def test_buckets_follow_each_other_without_gap_or_overlap() -> None:
    ends = [bucket_bounds(bucket) for bucket in range(BUCKETS)]
    assert ends[0] == (0, 1)
    assert all(high == low for (_, high), (low, _) in pairwise(ends))
    assert all(high - low <= max(1, low / 128) for low, high in ends)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.999])
def test_a_quantile_is_that_of_the_values_within_the_width_of_a_bucket(share: float) -> None:
    draw = random.Random(1)
    values = sorted(draw.lognormvariate(-10, 1) for _ in range(20_000))
    found = quantile(histogram(values), len(values), share)
    assert found == pytest.approx(values[round(share * len(values)) - 1], rel=0.01)


def test_what_was_lost_is_longer_than_any_delay() -> None:
    counts = histogram([1e-3] * 95)
    assert quantile(counts, 100, 0.9) == pytest.approx(1e-3, rel=0.01)
    assert quantile(counts, 100, 0.96) is None
    assert share_within(counts, 100, 1.0) == 0.95


def test_the_share_within_a_quantile_is_the_one_asked_for() -> None:
    draw = random.Random(2)
    counts = histogram([draw.expovariate(1e5) for _ in range(5000)])
    for share in (0.1, 0.5, 0.99):
        at = quantile(counts, 5000, share)
        assert at is not None
        assert share_within(counts, 5000, at) == pytest.approx(share, abs=1e-9)


def test_slices_add_up() -> None:
    values = [n * 1e-6 for n in range(200)]
    assert pooled(sliced(values)) == histogram(values)


def independent(draw: random.Random, count: int) -> list[float]:
    return [draw.expovariate(1e4) for _ in range(count)]


def in_bursts(draw: random.Random, count: int) -> list[float]:
    """Fifty neighbours are all as slow as each other: a fiftieth of the information."""
    level = [draw.expovariate(1e4) for _ in range(count // 50)]
    return [level[n // 50] * draw.uniform(0.99, 1.01) for n in range(count)]


@pytest.mark.parametrize("series", [independent, in_bursts])
def test_the_interval_holds_the_truth_whether_or_not_neighbours_correlate(
    series: Callable[[random.Random, int], list[float]],
) -> None:
    draw, truth, held, times = random.Random(3), 69.3e-6, 0, 120
    for _ in range(times):
        found = estimate(sliced(series(draw, 4000)), [200] * SLICES, 0.5)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert held / times > 0.88  # 95 %, less 3.5 standard deviations


def test_bursts_make_the_interval_wider() -> None:
    draw, widths = random.Random(4), []
    for series in (independent, in_bursts):
        found = estimate(sliced(series(draw, 4000)), [200] * SLICES, 0.5)
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths[1] > 3 * widths[0]


def test_one_stall_leaves_the_tail_without_an_upper_end() -> None:
    values = [20e-6] * 4000
    values[1000:1050] = [5e-3] * 50
    found = estimate(sliced(values), [200] * SLICES, 0.99)
    assert found.value == pytest.approx(5e-3, rel=0.01)
    assert found.low == pytest.approx(20e-6, rel=0.01)
    assert found.high is None
