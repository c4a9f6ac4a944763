"""What the gate measures: the same as its baseline, or a refusal in one line."""

import re
from pathlib import Path

import pytest
from gated import COUNTS
from imagined import imagine
from msgspec.structs import replace
from sets import a_run, noisy, write_set

from bench.errors import UsageError
from bench.gate.budget import Clock
from bench.gate.plan import confirmation, measure_again
from bench.labelings import can_show
from bench.probes import PROBES
from bench.results import ResultSet, ResultWriter, Run, load, partial_of
from bench.run import estimate_seconds


def baseline_of(tmp_path: Path, **changes: object) -> ResultSet:
    run = a_run(variants=("veth",), arms=("native",), blocks=6)
    asked = replace(run.asked, **changes)
    return write_set(tmp_path / "old", replace(run, asked=asked), noisy(1))


def test_the_gate_measures_what_the_baseline_measured(tmp_path: Path) -> None:
    baseline = baseline_of(tmp_path)
    chosen, run = measure_again(baseline, seed=7)
    assert list(chosen) == ["veth"]
    assert run.asked == replace(baseline.run.asked, seed=7)
    cells = {(t.block, t.variant, t.arm, t.probe) for t in baseline.run.plan}
    assert {(t.block, t.variant, t.arm, t.probe) for t in run.plan} == cells
    _, rtt = measure_again(baseline, ("rtt",), seed=7)
    assert {t.probe for t in rtt.plan} == {"rtt"}
    assert rtt.asked.settings == {"rtt": {"seconds": 1.0}}


def test_the_second_look_is_of_what_got_worse_in_another_order(tmp_path: Path) -> None:
    _, run = measure_again(baseline_of(tmp_path), seed=7)
    again = confirmation(run, {("veth", "native", "rtt")}, 8)
    assert [(t.block, t.probe) for t in again.plan] == [(block, "rtt") for block in range(1, 7)]
    assert again.asked.seed == 8
    assert again.id != run.id
    assert (run.purpose, again.purpose) == ("session", "second look")


@pytest.mark.parametrize(
    ("changes", "probes", "message"),
    [
        ({"probes": ("rtt", "telepathy")}, (), "telepathy: not a probe of this vnetbench"),
        ({"profile": "why"}, (), "is of vnetbench why"),
        ({}, ("ledger",), "has no probe ledger; it has tcp_goodput, rtt"),
        ({"scenarios": ("atlantis",)}, (), 'no scenario "atlantis"'),
        ({"scenarios": ("vxlan",)}, (), "there is no veth any more"),
        ({"overrides": ("warp=9",)}, (), 'no selected scenario has a parameter "warp"'),
    ],
)
def test_a_baseline_that_cannot_be_measured_again_is_refused_in_one_line(
    tmp_path: Path, changes: dict[str, object], probes: tuple[str, ...], message: str
) -> None:
    baseline = baseline_of(tmp_path, **changes)
    with pytest.raises(UsageError) as caught:
        measure_again(baseline, probes, seed=1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


QUICK = {p: dict(PROBES[p].settings["quick"]) for p in ("tcp_goodput", "rtt")}


def seconds_of(run: Run, blocks: int) -> float:
    """What so many blocks of a run will take."""
    one = [trial for trial in run.plan if trial.block == 1]
    return blocks * estimate_seconds(one, run.asked.settings)


def test_a_budget_holds_both_looks_and_takes_blocks_away(tmp_path: Path) -> None:
    baseline = baseline_of(tmp_path, settings=QUICK)
    _, whole = measure_again(baseline, seed=1)
    assert whole.asked.blocks == 6
    for blocks, expected in ((6, 3), (9, 4), (10, 5), (12, 6), (100, 6)):
        _, run = measure_again(baseline, seed=1, budget=1.001 * seconds_of(whole, blocks))
        assert run.asked.blocks == expected
        everything = {(t.variant, t.arm, t.probe) for t in run.plan}
        again = confirmation(run, everything, 2)
        both = [*run.plan, *again.plan]
        assert len(both) <= blocks * len(everything)


def test_a_budget_that_can_show_nothing_is_refused_with_one_that_can(tmp_path: Path) -> None:
    baseline = baseline_of(tmp_path, settings=QUICK)
    _, whole = measure_again(baseline, seed=1)
    with pytest.raises(UsageError) as caught:
        measure_again(baseline, seed=1, budget=seconds_of(whole, 5))
    said = re.search(
        r"too short to see anything: that takes 3 blocks, .*; --budget (\d+) would do$",
        str(caught.value),
    )
    assert said is not None
    _, run = measure_again(baseline, seed=1, budget=60 * int(said[1]))
    assert run.asked.blocks >= 3
    assert can_show(6, run.asked.blocks)
    assert not can_show(6, 2)


def test_counts_can_be_told_from_a_single_block(tmp_path: Path) -> None:
    settings = {"ledger": dict(PROBES["ledger"].settings["quick"])}
    run = a_run(("veth",), ("native",), ("ledger",), 3, settings)
    baseline = imagine("old", run, lambda _: {"copies": 2.0})
    block = seconds_of(run, 1)
    assert measure_again(baseline, seed=1, budget=2.5 * block)[1].asked.blocks == 1
    with pytest.raises(UsageError, match="that takes 1 block, and as many once more"):
        measure_again(baseline, seed=1, budget=1.5 * block)


def test_a_baseline_of_too_few_blocks_for_times_is_refused_before_measuring() -> None:
    both = a_run(("veth",), ("native",), ("rtt", "ledger"), 3)
    baseline = imagine("old", both, lambda t: {"rtt": 1e-5} if t.probe == "rtt" else COUNTS)
    with pytest.raises(UsageError) as caught:
        measure_again(baseline, seed=1)
    assert str(caught.value) == (
        "old: has 3 whole blocks, too few to show any change of a time; measure a new baseline of "
        "4 blocks at least, or gate counts alone (--ledger-only)"
    )
    assert measure_again(baseline, ("ledger",), seed=1)[1].asked.blocks == 3


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_first_look_leaves_the_time_of_a_second_one_that_can_show_something() -> None:
    time = Time()
    clock = Clock(100, time)
    over = []
    for done in range(1, 10):
        time.now += 10
        over.append(clock.first_is_over(done, 4))
    assert over == [False] * 5 + [True] * 4  # six blocks and four more are 100 seconds
    assert clock.fit(5) == pytest.approx(2)


def test_a_machine_too_slow_for_two_looks_is_given_the_whole_budget_for_the_first() -> None:
    time = Time()
    clock = Clock(100, time)
    over = []
    for done in range(1, 5):
        time.now += 24
        over.append(clock.first_is_over(done, 4))
    assert over == [False, False, False, True]
    assert clock.fit(24) < 4


def test_the_second_look_ends_where_another_block_would_pass_the_end_of_the_budget() -> None:
    time = Time()
    clock = Clock(100, time)
    time.now += 65
    over = clock.second_is_over()
    ended = []
    for done in range(1, 5):
        time.now += 10
        ended.append(over(done))
    assert ended == [False, False, True, True]


def test_without_a_budget_nothing_ends_early() -> None:
    time = Time()
    clock = Clock(None, time)
    over = clock.second_is_over()
    time.now += 1e6
    assert not clock.first_is_over(1, 4)
    assert not over(1)


def test_a_baseline_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    with ResultWriter.create(tmp_path / "killed", a_run()):
        pass
    with pytest.raises(UsageError, match="its run has not finished; resume it"):
        measure_again(load(partial_of(tmp_path / "killed")), seed=1)
