"""Paired statistics and planned looks: against brute force, tables and simulation."""

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import pytest

from bench import paired, sequential
from bench.errors import UsageError
from bench.paired import centre, conclude, flipped, interval, judge, own_p, score_chances
from bench.results import Cell, Series
from bench.sequential import (
    Conclusion,
    Limits,
    Look,
    Paired,
    cut_short,
    fewest,
    glance,
    plan_looks,
)

ONCE = Fraction(1)
ANY_CHANGE = Limits(margin=0)


def pair(differences: Sequence[float], metric: str = "rtt") -> Paired:
    """A metric whose new side has these logarithms of new over old, block by block."""
    cell = Cell("veth", "native", metric)
    old = Series("s", metric, dict.fromkeys(range(1, len(differences) + 1), 1.0))
    new = {block: math.exp(d) for block, d in enumerate(differences, 1) if not math.isnan(d)}
    return Paired(cell, old, Series("s", metric, new))


# ---- one metric ---------------------------------------------------------------------------------


def capped(differences: Sequence[float]) -> float:
    """The signed sum of scores, the slow way."""
    order = sorted(range(len(differences)), key=lambda i: abs(differences[i]))
    cap = (len(differences) + 1) // 2
    return sum(min(rank, cap) * math.copysign(1, differences[i]) for rank, i in enumerate(order, 1))


@pytest.mark.parametrize("n", range(1, 9))
def test_the_distribution_of_the_signed_sum_equals_counting_all_signs(n: int) -> None:
    most = sum(min(rank, (n + 1) // 2) for rank in range(1, n + 1))
    counts = [0] * (most + 1)
    for signs in itertools.product((1, -1), repeat=n):
        total = capped([rank * sign for rank, sign in enumerate(signs, 1)])
        counts[round(total + most) // 2] += 1
    assert (score_chances(n) * 2**n).tolist() == counts


@pytest.mark.parametrize("n", range(4, 11))
def test_the_interval_holds_what_an_exact_test_does_not_reject(n: int) -> None:
    values = np.random.default_rng(n).normal(0.3, 1, n)
    tail = Fraction(1, 40)
    low, high = interval(values, tail)
    every = [capped([r * s for r, s in enumerate(signs, 1)]) for signs in signs_of(n)]

    def rejected(limit: float) -> bool:
        total = capped(list(values - limit))
        return sum(each >= total for each in every) <= tail * 2**n

    if 2**n < 40:
        assert (low, high) == (-math.inf, math.inf)
        return
    assert rejected(low - 1e-6)
    assert not rejected(low + 1e-6)
    assert low < centre(values) < high
    assert interval(-values, tail) == (-high, -low)


def signs_of(n: int) -> Iterator[tuple[int, ...]]:
    return itertools.product((1, -1), repeat=n)


def test_one_bad_block_of_ten_changes_little() -> None:
    good = [0.01 * i for i in range(9)]
    [answer] = judge([pair([*good, 5.0])], Look(10, ONCE), ANY_CHANGE)
    assert answer.ratio == pytest.approx(math.exp(0.045), abs=0.01)


# ---- all metrics --------------------------------------------------------------------------------


def test_adjusted_p_values_equal_westfall_and_young_step_by_step() -> None:
    values = np.random.default_rng(5).normal(0, 0.03, (7, 4))
    values[:, 1] += 0.08
    values[:, 2] += 0.02
    ranks = np.abs(values).argsort(axis=0).argsort(axis=0) + 1
    signed = np.sign(values) * np.minimum(ranks, 4) / math.sqrt(1 + 4 + 9 + 4 * 16)
    every = [np.array(s) @ signed for s in itertools.product((1, -1), repeat=7)]
    observed = signed.sum(axis=0)
    order = sorted(range(4), key=lambda cell: -observed[cell])
    expected, floor = [0.0] * 4, 0.0
    for step, cell in enumerate(order):
        rest = order[step:]
        hits = sum(max(s[i] for i in rest) >= observed[cell] - 1e-9 for s in every)
        floor = expected[cell] = max(floor, hits / 2**7)
    found = flipped(values, 0.0, Fraction(1, 20))
    assert found.p.tolist() == pytest.approx(expected)
    assert min(expected) < 0.05 < max(expected)


def test_of_one_metric_the_p_value_is_that_of_the_exact_test() -> None:
    values = np.array([[0.3], [-0.1], [0.2], [0.5], [0.4], [-0.05], [0.6], [0.7]])
    minus = 1 + 2  # the two smallest have a minus
    exact = float(score_chances(8)[: minus + 1].sum())
    assert own_p(values[:, 0]) == exact
    assert flipped(values, 0.0, Fraction(1, 20)).p.tolist() == [exact]


@pytest.mark.parametrize("blocks", [10, 20])
def test_the_bound_is_the_limit_that_is_just_not_exceeded(blocks: int) -> None:
    values = np.random.default_rng(2).normal(0.1, 0.05, (blocks, 1))
    level = Fraction(1, 100)
    [bound] = flipped(values, 0.0, level).bound
    assert flipped(values, bound - 1e-6, level).p[0] <= level
    assert flipped(values, bound + 1e-6, level).p[0] > level


def test_where_no_pattern_of_signs_is_exceptional_enough_nothing_is_visible() -> None:
    values = np.random.default_rng(2).normal(0, 0.05, 20)
    [answer] = judge([pair([*values])], Look(20, Fraction(1, 1000)), ANY_CHANGE)
    assert answer.visible is None


def test_a_metric_that_misses_blocks_is_judged_by_those_it_has() -> None:
    whole = [0.2 + 0.01 * i for i in range(12)]
    holes = [math.nan if i % 6 == 0 else value for i, value in enumerate(whole)]
    answers = judge([pair(whole), pair(holes, "packet_time")], Look(12, ONCE), ANY_CHANGE)
    assert [answer.blocks for answer in answers] == [12, 10]
    assert {answer.verdict for answer in answers} == {"slower"}


def test_less_throughput_is_slower_and_less_time_is_faster() -> None:
    falling = [-0.2 - 0.01 * i for i in range(12)]
    answers = judge([pair(falling), pair(falling, "tcp_goodput")], Look(12, ONCE), ANY_CHANGE)
    assert [answer.verdict for answer in answers] == ["faster", "slower"]
    for answer in answers:
        assert answer.low is not None
        assert answer.high is not None
        assert answer.low < answer.ratio < answer.high < 1


def test_a_change_within_the_margin_has_no_verdict_and_is_cleared() -> None:
    values = [0.02 + 0.0001 * i for i in range(12)]
    [answer] = judge([pair(values)], Look(12, ONCE), Limits(margin=0.03))
    assert (answer.verdict, answer.cleared) == ("cannot tell", True)
    assert answer.reason == "a slowdown of 5 % or more is ruled out"
    [answer] = judge([pair(values)], Look(12, ONCE), Limits(margin=0.01))
    assert (answer.verdict, answer.cleared) == ("slower", True)


def test_a_verdict_is_given_exactly_where_the_change_could_be_seen() -> None:
    chance, verdicts = np.random.default_rng(4), set()
    for size in np.linspace(0, 0.1, 21):
        [answer] = judge([pair(chance.normal(size, 0.04, 12))], Look(12, ONCE), Limits())
        assert answer.visible is not None
        assert (answer.verdict == "slower") == (answer.ratio - 1 > answer.visible)
        verdicts.add(answer.verdict)
    assert verdicts >= {"slower", "cannot tell"}


# ---- the plan of looks --------------------------------------------------------------------------


@pytest.mark.parametrize("most", [9, 12, 40, 100, sequential.MOST_BLOCKS])
@pytest.mark.parametrize("cells", [1, 2])
def test_the_looks_share_the_whole_budget_and_each_can_find_something(
    most: int, cells: int
) -> None:
    looks = plan_looks(most, cells)
    assert sum(look.share for look in looks) == 1
    assert looks[-1].blocks == most
    for look in looks:
        all_worse = [pair([0.5 + 0.01 * i for i in range(look.blocks)])] * cells
        assert judge(all_worse, look, Limits())[0].verdict == "slower"


def test_a_session_that_could_show_nothing_is_refused() -> None:
    assert fewest(1) == 8
    with pytest.raises(UsageError, match="7 blocks can show nothing of 1 metrics; expected 8"):
        plan_looks(7, 1)


def test_a_session_cut_short_spends_what_is_left_at_its_end() -> None:
    looks = plan_looks(40, 1)
    for blocks in (3, looks[0].blocks, looks[1].blocks + 1, 39):
        cut = cut_short(looks, blocks)
        assert cut[-1].blocks == blocks
        assert sum(look.share for look in cut) == 1
        assert all(look in looks for look in cut[:-1])


def test_an_interrupted_session_spends_no_more_than_the_looks_it_had() -> None:
    looks = plan_looks(40, 1)
    for blocks in (3, looks[0].blocks, looks[1].blocks + 1, 39):
        seen = glance(looks, blocks)
        assert seen[-1].blocks == blocks
        assert [look for look in seen if look.share] == [x for x in looks if x.blocks <= blocks]


def test_a_glance_estimates_and_decides_nothing() -> None:
    blocks = plan_looks(40, 1)[0].blocks - 1
    much_worse = pair([0.5 + 0.01 * i for i in range(blocks)])
    concluded = conclude([much_worse], glance(plan_looks(40, 1), blocks), Limits())
    [answer] = concluded.answers
    assert answer.ratio > 1.6
    assert (answer.verdict, answer.cleared, concluded.stopped) == ("cannot tell", False, "")
    assert (answer.low, answer.high, answer.visible, answer.level) == (None, None, None, 0)
    assert answer.reason == "no verdict yet: it was interrupted before the next look"


def test_what_an_earlier_look_has_shown_is_not_lost_by_an_interruption() -> None:
    looks = plan_looks(40, 2)
    blocks = looks[0].blocks + 1
    better = pair([-0.3 - 0.01 * i for i in range(blocks)])
    unsettled = pair([0.5 * (-1) ** i for i in range(blocks)], "packet_time")
    faster, unclear = conclude([better, unsettled], glance(looks, blocks), Limits()).answers
    assert (faster.verdict, faster.level > 0) == ("faster", True)
    assert (unclear.verdict, unclear.level) == ("cannot tell", 0)


def test_where_nothing_was_measured_on_both_sides_no_metric_has_its_answer() -> None:
    concluded = conclude([], plan_looks(40, 1), Limits())
    assert (concluded.answers, concluded.looks) == ([], 1)
    assert concluded.stopped == "nothing could be measured on both sides"


@pytest.mark.parametrize(("margin", "look_for"), [(-0.01, 0.05), (0.05, 0.05), (0, math.inf)])
def test_limits_that_are_none_are_refused(margin: float, look_for: float) -> None:
    with pytest.raises(UsageError, match="expected 0 <= margin < look for"):
        Limits(margin, look_for)


# ---- whole sessions, simulated ------------------------------------------------------------------


def sessions(count: int, seed: int, limits: Limits, change: float = 0) -> list[Conclusion]:
    """Sessions of two metrics, of at most 60 blocks; `change` is planted in the second.

    The first has 2 % noise, the second 1.5 % and, in one trial of ten on either side, is a quarter
    faster; what disturbs a block of one disturbs the other.
    """
    chance, looks = np.random.default_rng(seed), plan_looks(60, 2)
    found = []
    for _ in range(count):
        common = chance.normal(0, 0.01, 60)
        moods = chance.choice((-0.3, 0, 0.3), 60, p=(0.09, 0.82, 0.09))
        first = common + chance.normal(0, 0.02, 60)
        second = common + chance.normal(0, 0.015, 60) + moods + change
        found.append(conclude([pair(first), pair(second, "packet_time")], looks, limits))
    return found


def alarmed(concluded: Conclusion) -> bool:
    return any(answer.verdict == "slower" for answer in concluded.answers)


def test_over_all_looks_false_alarms_keep_to_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    # A budget of 5 % shows an excess sooner. The same looks without shares raise 11 %.
    for module in (paired, sequential):
        monkeypatch.setattr(module, "ALARM", Fraction(1, 20))
    # So small a slowdown is never ruled out: every session has all its looks.
    concluded = sessions(300, 1, Limits(margin=0, look_for=1e-9))
    assert {each.looks for each in concluded if not alarmed(each)} == {len(plan_looks(60, 2))}
    assert sum(map(alarmed, concluded)) / 300 <= 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / 300)


def test_as_shipped_a_against_a_raises_no_alarm_and_ends_early() -> None:
    concluded = sessions(150, 2, Limits())
    assert sum(map(alarmed, concluded)) <= 1
    assert np.median([each.blocks for each in concluded]) < 60


def test_a_slowdown_of_5_percent_is_caught() -> None:
    concluded = sessions(100, 3, Limits(), math.log(1.05))
    caught = sum(each.answers[1].verdict == "slower" for each in concluded)
    assert caught >= 93
    assert sum(each.answers[0].verdict == "slower" for each in concluded) <= 1


def test_a_slowdown_as_large_as_was_looked_for_is_seldom_ruled_out() -> None:
    # With a margin so near, few are shown, and all looks are taken.
    limits = Limits(margin=0.0499)
    concluded = sessions(100, 4, limits, math.log(1.05))
    missed = sum(each.answers[1].cleared for each in concluded)
    assert missed / 100 <= 1 / 40 + 2.5 * math.sqrt(0.025 * 0.975 / 100)


def test_the_interval_holds_the_truth_whenever_measuring_stops() -> None:
    truth = math.log(1.03)
    held = 0
    for each in sessions(100, 5, Limits(), truth):
        answer = each.answers[1]
        assert answer.low is not None
        assert answer.high is not None
        held += answer.low <= 1.03 <= answer.high
    assert held / 100 >= 0.95 - 2.5 * math.sqrt(0.05 * 0.95 / 100)
