"""Whose doing it is that a gate is incomplete: the machine's may be passed over, no other."""

import dataclasses
import re
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import get_args

import pytest
from files import ROOT
from gated import counted, timed
from msgspec.structs import replace

from bench.gate.decide import Decision, decide
from bench.gate.problems import Kind
from bench.gate.words import headline
from bench.results import Attempt, Failure, Quality, ResultSet

TOO_MANY = 0.02


def seen(
    name: str,
    missed: float | None,
    lost: Collection[str] = (),
    blocks: int = 2,
    lost_in: Collection[int] = range(1, 9),
    **changes: float,
) -> ResultSet:
    """A ledger whose tracer missed such a share, None: there was none; `lost` has no values."""
    made = counted(name, blocks, **changes)
    quality = tuple(Quality(t.trial, (Attempt({"missed": missed}),)) for t in made.run.plan)
    kept = tuple(s for s in made.samples if s.metric not in lost or s.block not in lost_in)
    return dataclasses.replace(made, run=replace(made.run, quality=quality), samples=kept)


def broken(name: str, *, missing: bool = False) -> ResultSet:
    """A ledger whose pump died in each trial, or for which the machine lacked something."""
    made = counted(name)
    failures = tuple(
        Failure(t.trial, t.block, t.variant, t.arm, t.probe, "the pump died", missing)
        for t in made.run.plan
    )
    run = replace(made.run, completed=(), failures=failures)
    return dataclasses.replace(made, run=run, samples=())


def kinds(decision: Decision) -> set[str]:
    return {problem.kind for problem in decision.problems}


OLD = seen("old", 0.0)


@pytest.mark.parametrize(
    ("missed", "says"), [(None, "there was no tracer"), (TOO_MANY, "missed 2.0% of the events")]
)
def test_what_the_tracer_could_not_observe_is_the_machines(missed: float | None, says: str) -> None:
    decision = decide(OLD, seen("new", missed, {"wakeups", "segments_per_skb"}))
    assert (decision.exit_code, kinds(decision)) == (3, {"machine"})
    assert all(says in problem.reason for problem in decision.problems)
    assert "2 things could not be measured or compared on this machine" in headline(decision)


@pytest.mark.parametrize(
    ("missed", "metric"),
    [(0.0, "wakeups"), (None, "memory_copies"), (TOO_MANY, "syscalls"), (TOO_MANY, "traversals")],
)
def test_what_vanished_though_the_tracer_was_no_reason_is_not(
    missed: float | None, metric: str
) -> None:
    decision = decide(OLD, seen("new", missed, {metric}))
    assert (decision.exit_code, kinds(decision)) == (4, {"broken"})
    assert "on this machine" not in headline(decision)


def test_one_problem_that_is_not_the_machines_is_enough() -> None:
    decision = decide(OLD, seen("new", None, {"wakeups", "memory_copies"}))
    assert (decision.exit_code, kinds(decision)) == (4, {"machine", "broken"})


@pytest.mark.parametrize("missing", [False, True])
def test_a_path_that_does_not_work_any_more_is_not_the_machines(missing: bool) -> None:
    decision = decide(OLD, broken("new", missing=missing))
    assert (decision.exit_code, kinds(decision)) == (4, {"broken"})
    assert "the pump died" in decision.problems[0].reason


def test_a_count_of_few_blocks_is_the_machines_where_the_tracer_missed_the_others() -> None:
    old = seen("old", 0.0, blocks=4)
    few = {"lost": {"wakeups"}, "lost_in": {1, 2, 3}}
    for missed, status in ((TOO_MANY, 3), (0.0, 4)):
        assert decide(old, seen("new", missed, blocks=4, **few)).exit_code == status
    poor = seen("old", TOO_MANY, blocks=4, **few)
    assert decide(poor, seen("new", 0.0, blocks=4)).exit_code == 4


def test_a_count_that_got_worse_is_in_doubt_where_the_tracer_missed_the_second_look() -> None:
    worse = seen("new", 0.0, wakeups=1)
    decision = decide(OLD, worse, seen("again", TOO_MANY, {"wakeups"}))
    assert (decision.exit_code, kinds(decision)) == (4, {"doubtful"})


def test_a_confirmed_regression_is_one_whatever_else_could_not_be_seen() -> None:
    new, again = (seen(name, None, {"wakeups"}, copies=1) for name in ("new", "again"))
    assert decide(OLD, new, again).exit_code == 1


def test_a_machine_that_drifted_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.gate.session.slowdown", lambda *_: 0.5)
    decision = decide(timed("old"), timed("new", 2))
    assert (decision.exit_code, kinds(decision)) == (3, {"machine"})


# ---- what is made of it -------------------------------------------------------------------------


def make_gate(folder: Path, status: int) -> subprocess.CompletedProcess[str]:
    """`make gate-ledger`, had the gate ended with `status`."""
    program = folder / "vnetbench"
    program.write_text(f"#!/bin/sh\nexit {status}\n")
    program.chmod(0o755)
    return subprocess.run(
        ["make", "-o", "setup-trace", "gate-ledger", f"BIN={folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("status", [0, 1, 2, 3, 4, 70, 130])
def test_make_skips_what_the_machine_could_not_observe_and_nothing_else(
    status: int, tmp_path: Path
) -> None:
    done = make_gate(tmp_path, status)
    assert (done.returncode == 0) == (status in (0, 3)), done.stderr
    assert ("skipped" in done.stdout) == (status == 3)


def test_the_line_for_a_machine_without_the_tracer_accepts_nothing_else() -> None:
    text = (ROOT / "docs/ci.md").read_text()
    [line] = [line for line in text.splitlines() if line.startswith("    vnetbench gate … || ")]
    for status in (1, 2, 3, 4, 70, 130):
        command = re.sub("vnetbench gate …", f"(exit {status})", line)
        done = subprocess.run(["bash", "-ec", command], check=False)
        assert (done.returncode == 0) == (status == 3), status


def test_every_kind_of_problem_is_documented() -> None:
    text = (ROOT / "docs/ci.md").read_text()
    assert [kind for kind in get_args(Kind) if f'`"{kind}"`' not in text] == []
