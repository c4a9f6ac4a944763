"""Comparing two result sets: what it says, what it refuses, and with which exit status."""

import random
from pathlib import Path
from typing import Any

import pytest
from comparing import edit, run_command, two_sets, verdicts
from sets import BASE, Value, a_run, carry_out, noisy, write_set

from bench.compare import compare
from bench.errors import UsageError
from bench.labelings import blocks_needed
from bench.results import PlannedTrial, ResultWriter, load, partial_of

# ---- verdicts -----------------------------------------------------------------------------------


def test_comparing_a_set_with_itself_shows_no_change(tmp_path: Path) -> None:
    results = write_set(tmp_path / "a", a_run(), noisy(1))
    comparison = compare(results, results)
    assert {row.ratio for row in comparison.rows} == {1.0}
    assert {row.verdict for row in comparison.rows} == {"cannot tell"}
    assert len(comparison.rows) == 8
    assert comparison.differences == []
    assert run_command(tmp_path / "a", tmp_path / "a").exit_code == 0


def test_a_ratio_below_one_is_worse_for_throughput_and_better_for_time(tmp_path: Path) -> None:
    comparison = compare(*two_sets(tmp_path, tcp_goodput=0.7, rtt=0.7))
    assert verdicts(comparison) == {"tcp_goodput": {"slower"}, "rtt": {"faster"}}
    assert all(0.65 < row.ratio < 0.75 for row in comparison.rows)
    assert run_command(tmp_path / "old", tmp_path / "new").exit_code == 1
    assert run_command(tmp_path / "new", tmp_path / "old").exit_code == 1


def test_an_improvement_alone_is_no_regression(tmp_path: Path) -> None:
    two_sets(tmp_path, tcp_goodput=1.4, rtt=0.7)
    assert run_command(tmp_path / "old", tmp_path / "new", "--strict").exit_code == 0


def test_a_change_within_the_margin_has_no_verdict(tmp_path: Path) -> None:
    old, new = two_sets(tmp_path, tcp_goodput=0.8, rtt=1.25)
    assert verdicts(compare(old, new, 0.05)) == {"tcp_goodput": {"slower"}, "rtt": {"slower"}}
    within = compare(old, new, 0.4)
    assert {row.verdict for row in within.rows} == {"cannot tell"}
    assert {row.reason for row in within.rows} == {"a change, if any, is within the margin of 40 %"}
    assert run_command(tmp_path / "old", tmp_path / "new", "--margin", "40").exit_code == 0
    strict = run_command(tmp_path / "old", tmp_path / "new", "--margin", "40", "--strict")
    assert strict.exit_code == 3


def test_too_few_blocks_are_said_with_how_many_it_takes(tmp_path: Path) -> None:
    old, new = two_sets(tmp_path, {"blocks": 3}, tcp_goodput=0.1)
    three = write_set(tmp_path / "three", a_run(blocks=3), noisy(1))
    comparison = compare(three, new)
    assert {row.reason for row in comparison.rows} == {
        "too few blocks: no change can be shown with fewer than 4"
    }
    assert {(row.low, row.high, row.visible) for row in comparison.rows} == {(None, None, None)}
    assert blocks_needed() == 4
    assert len(old.run.plan) == 32


@pytest.mark.parametrize("seed", range(6))
def test_a_verdict_is_given_exactly_where_the_change_could_be_seen(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    names = tuple(f"v{i}" for i in range(6))
    factors = {name: chance.uniform(0.7, 1.4) for name in names}
    run = a_run(variants=names, blocks=6)
    old = write_set(tmp_path / "old", run, noisy(seed, 0.04))
    new = write_set(tmp_path / "new", run, noisy(seed + 100, 0.04, **factors))
    rows = compare(old, new).rows
    for row in rows:
        assert row.low is not None
        assert row.high is not None
        assert row.visible is not None
        assert row.low <= row.ratio <= row.high
        size = max(row.ratio, 1 / row.ratio) - 1
        # Step-down p-values are at least those of the steps before: that may cost a verdict.
        if row.verdict != "cannot tell":
            assert size >= row.visible
            assert row.p <= 0.05
            assert not 1 / 1.05 <= row.low <= 1.05
            assert not 1 / 1.05 <= row.high <= 1.05
        elif row.p <= 0.05:
            assert size <= row.visible
    assert len({row.verdict for row in rows}) > 1


def test_cells_that_miss_blocks_are_tested_apart_and_it_is_said(tmp_path: Path) -> None:
    def failing_once(trial: PlannedTrial) -> list[float] | str:
        cell = (trial.block, trial.variant, trial.arm, trial.probe)
        return "no" if cell == (3, "veth", "native", "rtt") else slower(trial)

    run, slower = a_run(blocks=8), noisy(2, rtt=1.5)
    old = write_set(tmp_path / "old", run, noisy(1))
    comparison = compare(old, write_set(tmp_path / "new", run, failing_once))
    assert [row.new_blocks for row in comparison.rows].count(7) == 1
    assert "cells that miss blocks which others have (1 of 8)" in comparison.notes[0]
    assert verdicts(comparison)["rtt"] == {"slower"}


def failing(cell: tuple[str, str, str], blocks: set[int], value: Value) -> Value:
    """`value`, but with no result for the cell (variant, arm, probe) in some blocks."""

    def failing_value(trial: PlannedTrial) -> list[float] | str:
        here = (trial.variant, trial.arm, trial.probe) == cell and trial.block in blocks
        return f"lost in block {trial.block}" if here else value(trial)

    return failing_value


def test_failing_more_often_in_new_is_no_success(tmp_path: Path) -> None:
    cell, value = ("veth", "native", "rtt"), noisy(1)
    old = write_set(tmp_path / "old", a_run(), value)
    worse = write_set(tmp_path / "worse", a_run(), failing(cell, {2, 3, 4}, noisy(2)))
    comparison = compare(old, worse)
    assert [(item.name, item.reason) for item in comparison.failed] == [
        ("rtt[veth,native]", f"{worse.path}: 3 of 4 trials failed: lost in block 2")
    ]
    assert len(comparison.rows) == 8
    result = run_command(tmp_path / "old", tmp_path / "worse")
    assert result.exit_code == 3
    assert "3 of 4 trials failed: lost in block 2" in result.stdout
    assert run_command(tmp_path / "worse", tmp_path / "worse").exit_code == 0
    assert run_command(tmp_path / "worse", tmp_path / "old").exit_code == 0


def test_failures_are_counted_by_their_share_of_the_trials_that_were_tried(tmp_path: Path) -> None:
    cell = ("veth", "native", "rtt")
    old = write_set(tmp_path / "old", a_run(blocks=8), failing(cell, {1, 2}, noisy(1)))
    same = write_set(tmp_path / "same", a_run(blocks=4), failing(cell, {1}, noisy(2)))
    assert compare(old, same).failed == []
    with ResultWriter.create(tmp_path / "worse", a_run(blocks=8)) as writer:
        carry_out(writer, failing(cell, {1, 2}, noisy(2)), 4 * 8)
        worse = load(writer.finish("interrupted"))
    assert "2 of 4 trials failed" in compare(old, worse).failed[0].reason


def test_a_regression_counts_more_than_a_failure(tmp_path: Path) -> None:
    write_set(tmp_path / "old", a_run(), noisy(1))
    slower = noisy(2, tcp_goodput=0.5)
    write_set(tmp_path / "new", a_run(), failing(("veth", "native", "rtt"), {2}, slower))
    assert run_command(tmp_path / "old", tmp_path / "new").exit_code == 1


# ---- refusals -----------------------------------------------------------------------------------


def refusal(tmp_path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        compare(load(tmp_path / "old"), load(tmp_path / "new"))
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(tmp_path), "")


def test_sets_of_different_arms_are_refused_by_name(tmp_path: Path) -> None:
    write_set(tmp_path / "old", a_run(arms=("native",)), noisy(1))
    write_set(tmp_path / "new", a_run(arms=("parity",)), noisy(1))
    wanted = "nothing to compare: no arms in common; /old has native; /new has parity"
    assert refusal(tmp_path) == wanted


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ({"variants": ("tun",)}, "no scenarios in common; /old has veth, vxlan; /new has tun"),
        ({"probes": ("dns",)}, "no probes in common; /old has tcp_goodput, rtt; /new has dns"),
        (
            {"sha256": "cd" * 32},
            "the scenario file of veth has changed; the scenario file of vxlan",
        ),
        (
            {"settings": {"tcp_goodput": {"seconds": 2.0}, "rtt": {"seconds": 2.0}}},
            "rtt was done otherwise: seconds 1.0 → 2.0",
        ),
    ],
)
def test_sets_with_nothing_comparable_are_refused(
    tmp_path: Path, new: dict[str, Any], message: str
) -> None:
    write_set(tmp_path / "old", a_run(), noisy(1))
    BASE["dns"], value = 1.0, noisy(1)
    with ResultWriter.create(tmp_path / "new", a_run(**new)) as writer:
        carry_out(writer, lambda trial: "no" if trial.probe == "dns" else value(trial))
        writer.finish()
    assert message in refusal(tmp_path)


def test_arms_probes_and_scenarios_in_common_but_no_cell_are_refused(tmp_path: Path) -> None:
    plan = a_run().plan
    some = [t for t in plan if (t.variant == "veth") == (t.arm == "native")]
    write_set(tmp_path / "old", a_run(plan=tuple(some)), noisy(1))
    rest = tuple(t for t in plan if t not in some)
    write_set(tmp_path / "new", a_run(plan=rest), noisy(1))
    assert "have no scenario, arm and probe in common" in refusal(tmp_path)


def test_only_the_cells_measured_otherwise_are_refused(tmp_path: Path) -> None:
    settings = {"tcp_goodput": {"seconds": 1.0}, "rtt": {"seconds": 9.0}}
    comparison = compare(*two_sets(tmp_path, {"settings": settings}))
    assert verdicts(comparison) == {"tcp_goodput": {"cannot tell"}}
    assert comparison.refused[0].name == "rtt[veth,native]"
    assert {item.reason for item in comparison.refused} == {
        "rtt was done otherwise: seconds 1.0 → 9.0"
    }
    assert comparison.exit_code(strict=False) == 3


def test_a_cell_in_another_unit_is_refused(tmp_path: Path) -> None:
    two_sets(tmp_path)
    edit(tmp_path / "new/samples.csv", "rtt,s", "rtt,ms")
    comparison = compare(load(tmp_path / "old"), load(tmp_path / "new"))
    assert {item.reason for item in comparison.refused} == {"rtt is in s and ms, expected s"}


def test_other_parameters_under_the_same_name_are_refused(tmp_path: Path) -> None:
    two_sets(tmp_path)
    edit(tmp_path / "new/run.json", '"parameters": {}', '"parameters": {"mtu": 1400}')
    assert "veth has other parameters: mtu None → 1400" in refusal(tmp_path)


def test_an_unfinished_set_is_refused(tmp_path: Path) -> None:
    two_sets(tmp_path)
    with ResultWriter.create(tmp_path / "killed", a_run()) as writer:
        carry_out(writer, noisy(1), 20)
    with pytest.raises(UsageError, match=r"killed\.partial: its run has not finished; resume it"):
        compare(load(tmp_path / "old"), load(partial_of(tmp_path / "killed")))


def test_a_margin_that_is_none_is_refused(tmp_path: Path) -> None:
    old, new = two_sets(tmp_path)
    for margin in (-0.01, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="expected 0 or more"):
            compare(old, new, margin)


# ---- what is not compared is listed -------------------------------------------------------------


def test_an_interrupted_set_is_compared_by_its_whole_blocks(tmp_path: Path) -> None:
    old = write_set(tmp_path / "old", a_run(blocks=6), noisy(1))
    with ResultWriter.create(tmp_path / "new", a_run(blocks=6)) as writer:
        carry_out(writer, noisy(2, rtt=2), 8 * 4 + 3)
        new = load(writer.finish("interrupted"))
    comparison = compare(old, new)
    assert {row.new_blocks for row in comparison.rows} == {4}
    assert comparison.notes == [f"{new.path}: was interrupted; only its 4 whole blocks count"]
    assert verdicts(comparison)["rtt"] == {"slower"}


def test_what_failed_in_one_set_is_listed_and_is_no_success(tmp_path: Path) -> None:
    old, value = write_set(tmp_path / "old", a_run(), noisy(1)), noisy(2)

    def half(trial: PlannedTrial) -> list[float] | str:
        return "veth: no route" if trial.variant == "veth" else value(trial)

    new = write_set(tmp_path / "new", a_run(), half)
    comparison = compare(old, new)
    assert len(comparison.rows) == len(comparison.failed) == 4
    assert comparison.failed[0].name == "tcp_goodput[veth,native]"
    assert comparison.failed[0].reason == f"{new.path}: veth: no route"
    assert comparison.only_old == []
    result = run_command(tmp_path / "old", tmp_path / "new")
    assert result.exit_code == 3
    assert "Not measured: rtt[veth,parity]" in result.stdout
    assert run_command(tmp_path / "new", tmp_path / "new").exit_code == 3


def test_cells_of_one_set_alone_are_listed(tmp_path: Path) -> None:
    comparison = compare(*two_sets(tmp_path, {"variants": ("vxlan", "tun"), "arms": ("native",)}))
    assert [(row.variant, row.arm) for row in comparison.rows] == [("vxlan", "native")] * 2
    assert "rtt[vxlan,parity]" in comparison.only_old
    assert comparison.only_new == ["rtt[tun,native]", "tcp_goodput[tun,native]"]
    assert comparison.exit_code(strict=False) == 0


def test_a_metric_of_a_later_version_is_skipped_with_a_warning(tmp_path: Path) -> None:
    two_sets(tmp_path, tcp_goodput=1.5)
    for name in ("old", "new"):
        edit(tmp_path / name / "samples.csv", "rtt,s", "jitter,s")
    result = run_command(tmp_path / "old", tmp_path / "new")
    assert result.exit_code == 0
    assert "Skipped: jitter[veth,native]: not a metric this vnetbench knows" in result.stdout
    assert run_command(tmp_path / "old", tmp_path / "new", "--strict").exit_code == 3


def test_another_kernel_is_printed_and_no_refusal(tmp_path: Path) -> None:
    two_sets(tmp_path, {"environment": {"kernel_release": "6.18.0", "cpu_model": "X"}})
    result = run_command(tmp_path / "old", tmp_path / "new")
    assert result.exit_code == 0
    assert "Differs: kernel: 6.1.0 → 6.18.0" in result.stdout
    assert "Differs: CPU model: not known → X" in result.stdout


def test_what_differs_inside_the_namespaces_is_printed_once(tmp_path: Path) -> None:
    for name, tso in (("old", True), ("new", False)):
        with ResultWriter.create(tmp_path / name, a_run()) as writer:
            for variant in ("veth", "vxlan"):
                facts = {"h1": {"devices": {"eth0": {"mtu": 1500, "offloads": {"tso": tso}}}}}
                writer.record_facts(variant, "native", facts)
            carry_out(writer, noisy(1))
            writer.finish()
    comparison = compare(load(tmp_path / "old"), load(tmp_path / "new"))
    assert comparison.differences == ["inside: tso: True → False (2 places)"]
