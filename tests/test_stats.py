"""The statistics against brute force, independent calculations and simulation."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import labelings, relabel, stats
from bench.relabel import family
from bench.stats import binomial_interval, mann_whitney_counts, median_interval, shift

numbers = st.integers(-50, 50).map(float)


@pytest.mark.parametrize("m", range(1, 6))
@pytest.mark.parametrize("n", range(1, 6))
def test_the_mann_whitney_distribution_equals_counting_all_orders(m: int, n: int) -> None:
    counts = [0] * (m * n + 1)
    for first in itertools.combinations(range(m + n), m):
        second = set(range(m + n)) - set(first)
        counts[sum(a > b for a in first for b in second)] += 1
    assert mann_whitney_counts(m, n) == counts


def test_the_interval_for_the_median_uses_the_tabulated_order_statistics() -> None:
    # Conover, Practical Nonparametric Statistics, or any table of the sign test at 5 %.
    table = {6: (1, 6), 8: (1, 8), 9: (2, 8), 10: (2, 9), 12: (3, 10), 15: (4, 12), 20: (6, 15)}
    for n, ends in table.items():
        assert median_interval([float(v) for v in range(n, 0, -1)]) == ends
    assert all(median_interval([1.0] * n) is None for n in range(6))


def test_the_interval_for_the_median_covers_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for values in rng.lognormal(0, 1, (2_000, 10)):
        low, high = median_interval(list(values)) or (math.nan, math.nan)
        hits += low <= 1 <= high
    assert hits / 2_000 >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 2_000)


@settings(deadline=None)
@given(st.lists(numbers, min_size=1, max_size=6), st.lists(numbers, min_size=1, max_size=6))
def test_the_interval_holds_the_shifts_that_an_exact_test_does_not_reject(
    old: list[float], new: list[float]
) -> None:
    found = shift(old, new)
    assert found.low <= found.estimate <= found.high
    if not math.isfinite(found.low):
        return
    # A quarter off whole numbers: without ties the test is exact.
    for rejected in (found.low - 0.25, found.high + 0.25):
        assert brute_force_p(old, [value - rejected for value in new]) <= 0.05
    for kept in (found.low + 0.25, found.high - 0.25):
        if found.low < found.high:
            assert brute_force_p(old, [value - kept for value in new]) > 0.05


def brute_force_p(old: list[float], new: list[float]) -> float:
    """Two-sided exact Mann-Whitney p-value of untied samples, by listing every labeling."""

    def u(first: list[float], second: list[float]) -> int:
        return sum(a > b for a in first for b in second)

    pool, middle = [*old, *new], len(old) * len(new) / 2
    observed = abs(u(new, old) - middle)
    ranks = sorted(range(len(pool)), key=lambda i: (pool[i], i))
    position = {index: float(rank) for rank, index in enumerate(ranks)}
    extreme = total = 0
    for chosen in itertools.combinations(range(len(pool)), len(new)):
        rest = [position[i] for i in range(len(pool)) if i not in chosen]
        extreme += abs(u([position[i] for i in chosen], rest) - middle) >= observed
        total += 1
    return extreme / total


def test_four_blocks_in_each_session_are_the_fewest_that_can_show_anything() -> None:
    assert labelings.blocks_needed() == 4
    assert math.isinf(shift([1.0] * 3, [2.0] * 3).high)
    assert shift([1.0] * 4, [2.0] * 4) == stats.Shift(1.0, 1.0, 1.0)


def welch(old: list[float], new: list[float]) -> float:
    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    def error(values: list[float]) -> float:
        return sum((v - mean(values)) ** 2 for v in values) / len(values) / (len(values) - 1)

    return abs(mean(new) - mean(old)) / math.sqrt(error(old) + error(new) + relabel.FLOOR**2)


def test_adjusted_p_values_equal_westfall_and_young_step_by_step() -> None:
    values = np.random.default_rng(3).normal(0, 0.05, (8, 5))
    values[4:, 1] += 0.4
    values[4:, 3] += 0.07

    def statistics(old: tuple[int, ...]) -> list[float]:
        new = [block for block in range(8) if block not in old]
        return [welch([c[b] for b in old], [c[b] for b in new]) for c in values.T.tolist()]

    observed = statistics((0, 1, 2, 3))
    every = [statistics(old) for old in itertools.combinations(range(8), 4)]
    order = sorted(range(5), key=lambda cell: -observed[cell])
    expected, floor = [0.0] * 5, 0.0
    for step, cell in enumerate(order):
        rest = order[step:]
        hits = sum(max(s[i] for i in rest) >= observed[cell] - 1e-9 for s in every)
        floor = expected[cell] = max(floor, hits / len(every))
    assert family(values, 4).p.tolist() == pytest.approx(expected)
    assert expected[1] <= 0.05 < expected[3]


@pytest.mark.parametrize("blocks", [4, 5, 7])
def test_comparing_a_with_a_over_16_cells_rarely_raises_any_alarm(blocks: int) -> None:
    # Blocks share disturbances across cells, as real ones do, and some are hit hard.
    rng = np.random.default_rng(blocks)
    comparisons = {4: 3_000, 5: 1_500, 7: 100}[blocks]
    spread = np.geomspace(0.002, 0.15, 16)
    alarms = 0
    for _ in range(comparisons):
        values = rng.standard_t(3, (2 * blocks, 16)) * spread
        values += rng.normal(0, 0.05, (2 * blocks, 1))
        alarms += bool((family(values, blocks).p <= 0.05).any())
    assert alarms / comparisons <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / comparisons)


def test_a_planted_change_is_found_beside_noisy_cells_and_an_outlier() -> None:
    rng = np.random.default_rng(7)
    found = false = 0
    for _ in range(20):
        values = rng.normal(0, 1, (14, 16)) * np.geomspace(0.005, 0.1, 16)
        values[7:, 4] += 0.2
        values[9, 4] -= 1.0
        p = family(values, 7).p
        found += p[4] <= 0.05
        false += bool((np.delete(p, 4) <= 0.05).any())
    assert found >= 18
    assert false <= 4


def test_a_changed_count_is_found_and_an_equal_one_is_not() -> None:
    values = np.tile(np.log([12.0, 5.0]), (8, 1))
    values[4:, 0] = math.log(13)
    assert family(values, 4).p.tolist() == [2 / 70, 1.0]


def test_moving_the_new_session_by_the_distance_is_what_a_verdict_takes() -> None:
    values = np.random.default_rng(5).normal(0, 0.03, (12, 1))
    before = family(values, 6)
    assert before.p[0] > 0.05
    assert before.distance[0] > 0
    direction = math.copysign(1, values[6:].mean() - values[:6].mean())
    # The distribution moves along with the session, so the first step falls a little short.
    for _ in range(5):
        values[6:] += direction * max(0.0, family(values, 6).distance[0]) * 1.01
    after = family(values, 6)
    assert after.p[0] <= 0.05
    assert after.distance[0] <= 0


def test_many_blocks_are_relabelled_by_a_recorded_sample_with_the_true_labeling_in_it() -> None:
    values = np.random.default_rng(1).normal(0, 0.05, (24, 3))
    values[12:, 0] += 1
    first, second = family(values, 12), family(values, 12)
    assert first.p.tolist() == second.p.tolist()
    assert first.p[0] == pytest.approx(1 / labelings.MAX_LABELINGS)
    assert family(values, 12, seed=1).p.tolist() != first.p.tolist()
    assert labelings.smallest_p(12, 12) == Fraction(2, labelings.MAX_LABELINGS)


def test_the_interval_of_a_rate_is_the_tabulated_one() -> None:
    # Clopper and Pearson 1934, and the rule of three.
    assert binomial_interval(0, 300) == (0, pytest.approx(0.01222, abs=1e-5))
    assert binomial_interval(10, 10) == (pytest.approx(0.69150, abs=1e-5), 1)
    assert binomial_interval(3, 10) == pytest.approx((0.06674, 0.65245), abs=1e-5)


@pytest.mark.parametrize("p", [0.01, 0.3, 0.5, 0.9])
def test_the_interval_of_a_rate_misses_it_on_either_side_in_at_most_one_of_forty(p: float) -> None:
    trials, above, below = 30, 0.0, 0.0
    for hits in range(trials + 1):
        chance = math.comb(trials, hits) * p**hits * (1 - p) ** (trials - hits)
        low, high = binomial_interval(hits, trials)
        above, below = above + chance * (low > p), below + chance * (high < p)
    assert above <= 0.025
    assert below <= 0.025
    assert above + below > 0
