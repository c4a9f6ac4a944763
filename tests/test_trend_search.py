"""The search for change points: how often it cries wolf, and what it finds."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest

from bench.stats import shift
from bench.trend import search as module
from bench.trend.correlation import correlations
from bench.trend.effect import effect
from bench.trend.search import Array, search


def places(found: list[module.Searched]) -> list[list[int]]:
    return [[change.at for change in result.changes] for result in found]


def share(hits: int, of: int) -> float:
    """The share of alarms, less three standard errors of 5 %."""
    return hits / of - 3 * math.sqrt(0.05 * 0.95 / of)


@pytest.mark.parametrize("kind", ["normal", "wild", "counts", "together"])
def test_a_history_without_a_change_rarely_raises_any_alarm_in_any_cell(kind: str) -> None:
    rng, histories, alarms = np.random.default_rng(1), 300, 0
    for _ in range(histories):
        values = 0.03 * rng.standard_normal((6, 30))
        if kind == "wild":  # one session in ten is far off
            values += rng.exponential(0.5, (6, 30)) * (rng.random((6, 30)) < 0.1)
        elif kind == "counts":
            values = np.log(4 + rng.integers(0, 2, (6, 30)))
        elif kind == "together":  # all cells of a session share its disturbance
            values += 0.1 * rng.standard_normal(30)
        alarms += any(map(bool, places(search(list(values)))))
    assert share(alarms, histories) <= 0.05


def test_a_step_of_a_tenth_in_one_of_ten_cells_is_found_within_one_set_of_its_place() -> None:
    rng, histories, found = np.random.default_rng(2), 50, 0
    for _ in range(histories):
        values = 0.025 * rng.standard_normal((10, 40))
        step = int(rng.integers(6, 35))
        values[3, step:] += math.log(1.1)
        result = places(search(list(values)))
        found += len(result[3]) == 1 and abs(result[3][0] - step) <= 1
    assert found >= 0.9 * histories


def test_the_change_beside_a_true_one_is_no_more_often_false() -> None:
    rng, histories, false = np.random.default_rng(3), 600, 0
    for _ in range(histories):
        values = 0.02 * rng.standard_normal((6, 40))
        values[0, 20:] += 0.3
        result = places(search(list(values)))
        assert 20 in result[0]
        false += len(result[0]) > 1 or any(map(bool, result[1:]))
    assert share(false, histories) <= 0.05


def test_a_change_and_its_repair_are_both_found() -> None:
    values = 0.02 * np.random.default_rng(4).standard_normal(60)
    values[20:35] += 0.2
    assert places(search([values])) == [[20, 35]]


def test_p_is_the_share_of_orders_that_look_as_changed() -> None:
    values = np.array([0.0, 0.11, 0.03, 0.06, 0.09, 0.14, 0.05, 0.16])

    def clearness(before: tuple[int, ...]) -> float:
        first = values[list(before)]
        rest = np.delete(values, list(before))
        return abs(float(first.mean() - rest.mean()))

    # Of eight values a change is only looked for in the middle: the orders are as many as the
    # ways to choose four, and total variance is the same in all.
    ways = [clearness(chosen) for chosen in itertools.combinations(range(8), 4)]
    exact = sum(way >= clearness((0, 1, 2, 3)) - 1e-12 for way in ways) / len(ways)
    [stretch] = module._measured([(0, 0, 8)], [values], [0.0])
    [p] = module._adjusted([stretch])
    assert 0.1 < exact < 0.5
    assert p == pytest.approx(exact, abs=0.05)


def test_fewer_than_eight_sets_show_nothing_and_eight_the_clearest() -> None:
    step = np.array([0.0] * 4 + [0.5] * 4)
    assert places(search([step[1:]])) == [[]]
    assert places(search([step])) == [[4]]
    assert math.isinf(search([step[1:]])[0].visible)


def test_one_wild_session_does_not_hide_a_change_nor_make_one() -> None:
    values = 0.01 * np.random.default_rng(5).standard_normal(40)
    values[10] += 3.0
    assert places(search([values])) == [[]]
    values[25:] += 0.1
    assert places(search([values])) == [[25]]


def test_counts_that_never_vary_show_one_more_and_nothing_else() -> None:
    same = np.full(30, math.log(4))
    more = np.concatenate([same[:24], np.full(6, math.log(5))])
    assert places(search([same, more])) == [[], [24]]


def test_what_is_visible_is_found_and_half_of_it_is_not() -> None:
    rng = np.random.default_rng(6)
    hits = {0.5: 0, 1.5: 0}
    for _ in range(40):
        values = list(0.02 * rng.standard_normal((4, 40)))
        visible = search(values)[0].visible
        for size in hits:
            step = np.where(np.arange(40) < 20, 0.0, size * visible)
            hits[size] += bool(search([values[0] + step, *values[1:]])[0].changes)
    assert hits[0.5] <= 10
    assert hits[1.5] >= 36


def drifting(rng: np.random.Generator, cells: int, sets: int, correlation: float) -> list[Array]:
    """Series whose neighbours resemble each other."""
    values = rng.standard_normal((cells, sets))
    for i in range(1, sets):
        fresh = math.sqrt(1 - correlation**2) * values[:, i]
        values[:, i] = correlation * values[:, i - 1] + fresh
    return list(0.02 * values)


def histories_with_drift(
    which: str, number: int, sets: int = 200
) -> Iterator[tuple[list[Array], list[float]]]:
    """Six series of which two or all drift; with the correlations that were noticed."""
    rng = np.random.default_rng(7)
    for _ in range(number):
        series = drifting(rng, 6 if which == "all drift" else 2, sets, 0.6)
        if which == "some drift":
            series += drifting(rng, 4, sets, 0.0)
        elif which == "counts do not":
            series += [np.log(4 + rng.integers(0, 2, sets)) for _ in range(2)]
            series += [np.full(sets, math.log(4))] * 2
        yield series, correlations(series)


@pytest.mark.parametrize("which", ["all drift", "some drift", "counts do not"])
def test_drift_from_set_to_set_is_noticed_in_any_series_and_not_taken_for_change(
    which: str,
) -> None:
    histories, alarms, one_by_one = 60, 0, 0
    for series, noticed in histories_with_drift(which, histories):
        assert min(noticed[:2]) > 0.3
        alarms += any(map(bool, places(search(series, noticed))))
        one_by_one += any(map(bool, places(search(series))))
    assert one_by_one > 0.6 * histories, "the drift is as large as to look like change"
    assert share(alarms, histories) <= 0.05


def test_what_changed_is_found_beside_series_that_drift_and_in_them() -> None:
    found = {"steady": 0, "late, drifting": 0, "a count": 0}
    for series, noticed in histories_with_drift("counts do not", 20):
        step = np.where(np.arange(200) < 194, 0.0, 0.12)
        count = np.where(np.arange(200) < 196, 0.0, math.log(5 / 4))
        white = 0.02 * np.random.default_rng(8).standard_normal(200)
        changed = [series[0] + step, series[1], white + step, *series[2:5], series[5] + count]
        result = search(changed, correlations(changed))
        found["steady"] += bool(result[2].changes)
        found["late, drifting"] += bool(result[0].changes)
        found["a count"] += bool(result[-1].changes)
        assert noticed[5] == 0, "what never varies does not drift"
    assert found == {"steady": 20, "late, drifting": pytest.approx(19, abs=1), "a count": 20}


def test_what_is_visible_in_drift_is_found_and_half_of_it_is_not() -> None:
    hits = {0.5: 0, 1.5: 0}
    for series, noticed in histories_with_drift("all drift", 20, 100):
        visible = search(series, noticed)[0].visible
        for size in hits:
            step = np.where(np.arange(100) < 50, 0.0, size * visible)
            hits[size] += bool(search([series[0] + step, *series[1:]], noticed)[0].changes)
    assert hits[0.5] <= 5
    assert hits[1.5] >= 18


def test_series_without_drift_are_rarely_taken_to_have_any() -> None:
    rng = np.random.default_rng(8)
    taken = sum(any(correlations(drifting(rng, 6, 60, 0.0))) for _ in range(300))
    assert share(taken, 300) <= 0.05


def test_series_too_short_to_tell_drift_as_most_others_do() -> None:
    long, [short] = drifting(rng := np.random.default_rng(9), 5, 200, 0.6), drifting(rng, 1, 19, 0)
    assert correlations([*long, short])[-1] == pytest.approx(0.6, abs=0.15)
    assert correlations([short]) == [0.0]
    assert correlations([]) == []


def test_changes_of_level_are_not_taken_for_drift() -> None:
    values = 0.01 * np.random.default_rng(8).standard_normal((8, 100))
    values[:, 30:60] += 0.2
    assert correlations(list(values)) == [0.0] * 8


def test_the_interval_of_a_change_covers_its_size_as_often_as_it_says() -> None:
    rng, hits = np.random.default_rng(9), {(5, 9): 0, (30, 40): 0}
    for m, n in hits:
        for _ in range(400):
            found = effect(rng.standard_normal(m), rng.standard_normal(n) + 1)
            hits[m, n] += found.low <= 1 <= found.high
    assert all(count / 400 >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 400) for count in hits.values())


@pytest.mark.parametrize(("m", "n"), [(20, 30), (17, 31), (300, 8)])
def test_the_effect_of_many_sets_is_that_of_the_exact_distribution(m: int, n: int) -> None:
    rng = np.random.default_rng(10)
    old, new = rng.standard_normal(m), rng.standard_normal(n)
    found, exact = effect(old, new), shift(old[-200:].tolist(), new.tolist())
    assert found.estimate == pytest.approx(exact.estimate)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.03)
