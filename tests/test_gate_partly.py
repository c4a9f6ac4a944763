"""Cells that miss blocks of a session: said by `compare`, never passed over by the gate."""

import random
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from comparing import run_command
from gated import counted, timed
from imagined import imagine
from sets import a_run, noisy, write_set

from bench.compare import compare
from bench.gate.decide import decide, suspects
from bench.gate.github import workflow_commands
from bench.gate.markdown import markdown
from bench.metrics import delay_id
from bench.results import Failure, PlannedTrial, ResultSet, load


def without(results: ResultSet, metric: str, blocks: Collection[int]) -> ResultSet:
    """The set, had its probe left the metric out in these blocks."""
    kept = tuple(s for s in results.samples if s.metric != metric or s.block not in blocks)
    assert len(kept) < len(results.samples)
    return replace(results, samples=kept)


def test_compare_names_the_cell_and_in_how_many_of_how_many_blocks(tmp_path: Path) -> None:
    value = noisy(1)

    def lost_once(trial: PlannedTrial) -> list[float] | str:
        lost = (trial.block, trial.variant, trial.arm, trial.probe) == (2, "veth", "native", "rtt")
        return "the server died" if lost else value(trial)

    write_set(tmp_path / "old", a_run(), lost_once)
    write_set(tmp_path / "new", a_run(), noisy(2))
    [partly] = compare(load(tmp_path / "old"), load(tmp_path / "new")).partly
    assert (partly.name, partly.blocks, partly.planned) == ("rtt[veth,native]", 3, 4)
    done = run_command(tmp_path / "old", tmp_path / "new")
    says = f"Partly measured: rtt[veth,native]: {tmp_path / 'old'}: only in 3 of 4 blocks: "
    assert f"{says}the server died" in done.stdout
    assert done.exit_code == 0


def test_a_metric_that_the_probe_left_out_of_a_block_is_named_though_no_trial_failed() -> None:
    old, new = counted("old", 4), without(counted("new", 4), "wakeups", {2})
    comparison = compare(old, new)
    assert [str(partly) for partly in comparison.partly] == [
        "wakeups[tun-relay,native]: new: only in 3 of 4 blocks: its trials did not fail, their "
        "warnings may say why"
    ]
    assert compare(old, counted("new", 4)).partly == []


def test_whole_blocks_of_fewer_blocks_miss_nothing() -> None:
    assert compare(timed("old", 1, 8), timed("new", 2, 5)).partly == []


def test_a_count_of_most_blocks_passes_with_a_warning() -> None:
    decision = decide(counted("old", 4), without(counted("new", 4), "wakeups", {2, 3}))
    assert (decision.exit_code, decision.problems) == (0, [])
    [partly] = decision.partly
    assert (partly.blocks, partly.planned) == (2, 4)
    warnings = [x for x in workflow_commands(decision) if x.startswith("::warning")]
    assert len(warnings) == 1
    assert "wakeups[tun-relay,native]: new: only in 2 of 4 blocks" in warnings[0]
    assert "- Partly measured: wakeups\\[tun-relay,native\\]" in markdown(decision)


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_count_of_fewer_than_half_of_the_blocks_of_either_side_is_incomplete(side: str) -> None:
    sets = {name: counted(name, 4) for name in ("old", "new")}
    sets[side] = without(sets[side], "wakeups", {1, 2, 3})
    decision = decide(sets["old"], sets["new"])
    assert (decision.exit_code, decision.verdict, decision.partly) == (4, "incomplete", [])
    [problem] = decision.problems
    assert problem.name == "wakeups[tun-relay,native]"
    assert f"{side}: only in 1 of 4 blocks" in problem.reason


def test_a_time_of_too_few_blocks_for_a_verdict_is_incomplete_and_of_enough_a_warning() -> None:
    old, new = timed("old", 1, 8), timed("new", 2, 8)
    enough = decide(old, without(new, "rtt", {1}))
    assert (enough.exit_code, [p.name for p in enough.partly]) == (0, ["rtt[veth,native]"])
    decision = decide(old, without(new, "rtt", range(1, 8)))
    assert (decision.exit_code, decision.partly) == (4, [])
    [problem] = decision.problems
    assert problem.name == "rtt[veth,native]"
    assert problem.reason.startswith("too few blocks: no change can be shown with fewer than ")
    assert problem.reason.count("new: only in 1 of 8 blocks") == 1


def without_all(results: ResultSet, metric: str) -> ResultSet:
    return without(results, metric, range(1, results.run.asked.blocks + 1))


@pytest.mark.parametrize("now", ["whole", "in one block", "not at all"])
def test_a_time_that_the_baseline_itself_has_too_seldom_is_a_note_and_no_problem(now: str) -> None:
    """Its probe left it out without failing: no gate against this baseline could judge it."""
    old = without(timed("old", 1, 8), "rtt", range(1, 8))
    new = timed("new", 2, 8, rtt=3.0)
    if now != "whole":
        new = without(new, "rtt", range(1, 8 if now == "in one block" else 9))
    decision = decide(old, new)
    assert (decision.exit_code, decision.problems, decision.partly) == (0, [], [])
    name = "rtt[veth,native]"
    assert [note for note in decision.notes if name in note and note.startswith("not gated: ")]


def test_a_probe_that_gave_the_baseline_nothing_and_did_not_fail_is_a_note() -> None:
    old, new = without_all(timed("old", 1, 8), "rtt"), timed("new", 2, 8)
    decision = decide(old, new)
    assert (decision.exit_code, decision.problems) == (0, [])
    assert (
        "not gated: rtt[veth,native]: old: gave no figure, its warnings say why" in decision.notes
    )


def test_counts_that_the_baseline_has_none_of_are_a_problem() -> None:
    """A quiet machine has them: such a baseline is to be made anew."""
    old = replace(counted("old", 4), samples=())
    decision = decide(old, counted("new", 4))
    assert decision.exit_code == 4
    assert [problem.name for problem in decision.problems] == ["ledger[tun-relay,native]"]


@pytest.mark.parametrize("side", ["old", "new"])
def test_what_failed_on_either_side_is_a_problem_however_seldom_the_baseline_has_it(
    side: str,
) -> None:
    sets = {"old": without(timed("old", 1, 8), "rtt", range(1, 8)), "new": timed("new", 2, 8)}
    sets[side] = failing(without_all(timed(side, 1, 8), "rtt"), "rtt")
    decision = decide(sets["old"], sets["new"])
    assert decision.exit_code == 4
    assert any("the server died" in problem.reason for problem in decision.problems)


def failing(results: ResultSet, probe: str) -> ResultSet:
    """The set, had all trials of a probe failed."""
    failures = tuple(
        Failure(t.trial, t.block, t.variant, t.arm, t.probe, "the server died")
        for t in results.run.plan
        if t.probe == probe
    )
    assert failures
    return replace(results, run=msgspec.structs.replace(results.run, failures=failures))


def test_what_the_baseline_lacks_costs_the_other_cells_no_power() -> None:
    """Whatever misses blocks takes a part of the allowed error, where it is to be judged."""

    def visible(old: ResultSet, new: ResultSet) -> float | None:
        found = {f.metric: f.visible for f in decide(old, new).findings}
        return found["tcp_goodput"]

    old, new = timed("old", 1, 4), timed("new", 2, 4)
    alone = visible(without_all(old, "rtt"), without_all(new, "rtt"))
    assert alone is not None
    assert visible(without(old, "rtt", {1, 2}), new) == alone


def test_a_tail_that_is_not_observed_any_more_is_a_note() -> None:
    """Tails advise, and cannot fail a gate: nor can there be a lack of them."""
    run = a_run(variants=("veth",), arms=("native",), probes=("delay_50",), blocks=6)
    draw = random.Random(1)

    def session(name: str, *metrics: str) -> ResultSet:
        return imagine(name, run, lambda _: {m: 1e-5 * draw.uniform(0.9, 1.1) for m in metrics})

    p50, p99 = delay_id(50, "p50"), delay_id(50, "p99")
    decision = decide(session("old", p50, p99), session("new", p50))
    assert (decision.exit_code, decision.problems) == (0, [])
    note = f"{p99}[veth,native]: new: is not observed any more, delay_50 was measured"
    assert note in decision.notes


def test_a_second_look_that_saw_too_little_neither_confirms_nor_clears() -> None:
    old, worse = timed("old", 1, 6), timed("new", 2, 6, rtt=2.0)
    assert suspects(old, worse) == {("veth", "native", "rtt")}
    cleared = decide(old, worse, timed("again", 3, 6))
    assert cleared.exit_code == 0
    blind = decide(old, worse, without(timed("again", 3, 6), "rtt", range(1, 6)))
    assert blind.exit_code == 4
    [problem] = blind.problems
    assert problem.reason.startswith("got worse, and was not measured once more: too few blocks")
    assert "again: only in 1 of 6 blocks" in problem.reason


def test_a_regression_in_the_blocks_that_are_left_fails_all_the_same() -> None:
    old, new, again = (
        without(counted(name, 4, wakeups=more), "wakeups", {2})
        for name, more in (("old", 0), ("new", 2), ("again", 2))
    )
    decision = decide(old, new, again)
    assert (decision.exit_code, decision.decided_by) == (1, "ledger")
    assert [partly.path for partly in decision.partly] == ["old", "new", "again"]
