"""The gate's stage of instructions, which most machines hide: sets as a PMU would fill them.

They are written by the project's own writer and read back, as the gate does.
"""

import random
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest
from sets import a_run

from bench.gate.decide import Decision, decide, suspects
from bench.gate.github import workflow_commands
from bench.gate.words import headline
from bench.probes import PROBES, Measurement
from bench.results import ResultSet, ResultWriter, load

INSTRUCTIONS = "instructions_per_packet"
PER_PACKET = {INSTRUCTIONS: 21_000.0, "cycles_per_packet": 17_000.0, "cpu_per_packet": 6e-6}
CELL = f"{INSTRUCTIONS}[veth,native]"
BLOCKS = 6


class Planted:
    """Sessions of `cpu`: instructions scatter by 0.2 %, all else by 10 %."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._noise = random.Random(5)

    def session(
        self,
        name: str,
        more: Mapping[str, float] | None = None,
        *,
        unseen: Mapping[str, Collection[int]] | None = None,
        canary: float = 1.0,
    ) -> ResultSet:
        """Write one and read it. more: metric → factor. unseen: metric → blocks without it."""
        run = a_run(("veth",), ("native",), ("cpu",), BLOCKS)
        more, unseen = more or {}, unseen or {}
        with ResultWriter.create(self._folder / name, run) as writer:
            for trial in writer.pending():
                writer.record_canary(trial.block, {"system_call": 1e-7 * canary}, ())
                samples = {
                    metric: [value * more.get(metric, 1) * self._scatter(metric)]
                    for metric, value in PER_PACKET.items()
                    if trial.block not in unseen.get(metric, ())
                }
                writer.record(trial, Measurement(samples))
            return load(writer.finish())

    def _scatter(self, metric: str) -> float:
        return self._noise.lognormvariate(0, 0.002 if metric == INSTRUCTIONS else 0.1)


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


ALL = range(1, BLOCKS + 1)
RISE = {INSTRUCTIONS: 1.04}


def verdicts(decision: Decision) -> dict[str, str]:
    return {found.metric: found.verdict for found in decision.findings}


def test_a_rise_of_instructions_that_no_time_shows_fails_at_that_stage(planted: Planted) -> None:
    old, new = planted.session("old"), planted.session("new", RISE)
    assert suspects(old, new) == {("veth", "native", "cpu")}
    decision = decide(old, new, planted.session("again", RISE))
    assert (decision.exit_code, decision.decided_by) == (1, "instructions")
    assert verdicts(decision) == {
        INSTRUCTIONS: "worse",
        "cycles_per_packet": "cannot tell",
        "cpu_per_packet": "cannot tell",
    }
    assert headline(decision) == "failed: 1 confirmed regression, decided by instructions"
    [error] = [line for line in workflow_commands(decision) if line.startswith("::error")]
    assert f"{CELL}: 21" in error
    assert "worse, twice" in error


def test_instructions_decide_before_times_that_got_worse_as_well(planted: Planted) -> None:
    slower = {**RISE, "cpu_per_packet": 2.0}
    decision = decide(
        *(
            planted.session(name, slower if name != "old" else {})
            for name in ("old", "new", "again")
        )
    )
    assert {f.metric for f in decision.findings if f.fails} == {INSTRUCTIONS, "cpu_per_packet"}
    assert decision.decided_by == "instructions"
    assert [found.stage for found in decision.findings] == ["instructions", "time", "time"]


def test_instructions_are_judged_where_the_machine_drifted_too_far_for_times(
    planted: Planted,
) -> None:
    old = planted.session("old")
    slower = {**RISE, "cpu_per_packet": 2.0}
    new, again = (planted.session(name, slower, canary=1.5) for name in ("new", "again"))
    decision = decide(old, new, again)
    assert (decision.exit_code, decision.decided_by) == (1, "instructions")
    assert verdicts(decision)["cpu_per_packet"] == "cannot tell"
    assert [problem.name for problem in decision.problems] == ["times"]


def test_a_rise_within_their_margin_or_seen_once_passes(planted: Planted) -> None:
    old = planted.session("old")
    assert decide(old, planted.session("a little", {INSTRUCTIONS: 1.01})).exit_code == 0
    once = decide(old, planted.session("new", RISE), planted.session("again"))
    assert (once.exit_code, headline(once)) == (
        0,
        "passed: 1 of 3 cells got worse once and not again",
    )


def test_fewer_instructions_are_better(planted: Planted) -> None:
    decision = decide(planted.session("old"), planted.session("new", {INSTRUCTIONS: 0.9}))
    assert decision.exit_code == 0
    assert verdicts(decision)[INSTRUCTIONS] == "better"


def test_instructions_that_are_not_observed_any_more_are_no_success(planted: Planted) -> None:
    old, new = planted.session("old"), planted.session("new", unseen={INSTRUCTIONS: ALL})
    decision = decide(old, new)
    assert (decision.exit_code, decision.verdict) == (4, "incomplete")
    assert [(problem.name, problem.reason) for problem in decision.problems] == [
        (CELL, f"{new.path}: is not observed any more, cpu was measured")
    ]


def test_times_fail_the_gate_where_instructions_are_missing(planted: Planted) -> None:
    slower, unseen = {"cpu_per_packet": 2.0}, {INSTRUCTIONS: ALL}
    new, again = (planted.session(name, slower, unseen=unseen) for name in ("new", "again"))
    decision = decide(planted.session("old"), new, again)
    assert (decision.exit_code, decision.decided_by) == (1, "time")
    assert CELL in {problem.name for problem in decision.problems}


def test_instructions_of_too_few_blocks_are_no_success_and_of_most_a_warning(
    planted: Planted,
) -> None:
    old = planted.session("old")
    most = decide(old, planted.session("most", unseen={INSTRUCTIONS: {2}}))
    assert (most.exit_code, [part.name for part in most.partly]) == (0, [CELL])
    few = decide(old, planted.session("few", unseen={INSTRUCTIONS: range(1, BLOCKS)}))
    assert (few.exit_code, [problem.name for problem in few.problems]) == (4, [CELL])


def test_what_neither_session_has_observed_is_said(planted: Planted) -> None:
    blind = {INSTRUCTIONS: ALL, "cycles_per_packet": ALL}
    decision = decide(*(planted.session(name, unseen=blind) for name in ("old", "new")))
    assert decision.exit_code == 0
    [note] = [text for text in decision.notes if "neither" in text]
    assert note.startswith("observed in neither session, so not gated: ")
    assert INSTRUCTIONS in note
    assert INSTRUCTIONS in PROBES["cpu"].metrics
    seen = decide(planted.session("saw"), planted.session("sees"))
    assert not any(INSTRUCTIONS in text for text in seen.notes)
