"""A gate within its budget, on the real kernel: both looks, one of them, or none at all."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from files import ROOT
from gated import timed
from msgspec.structs import replace
from sets import a_run, write_set

from bench import run as runner
from bench.cli.gate import Looking
from bench.gate.budget import Clock
from bench.gate.decide import decide
from bench.gate.words import headline
from bench.probes import PROBES
from bench.results import ResultSet, load
from bench.scenario import find, variants

RTT = {**PROBES["rtt"].settings["quick"], "seconds": 0.01}


def planted(path: Path, rtt: float = 1e-9) -> ResultSet:
    """A baseline of a path with which no real one keeps up."""
    [veth] = variants(find(("veth",)), ())
    run = a_run(("veth",), ("native",), ("rtt",), 4, {"rtt": RTT})
    run = replace(run, variants=runner.records({"veth": veth}))
    return write_set(path, run, lambda _: [rtt])


def gate(baseline: ResultSet, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "bench", "gate", "--baseline", baseline.path, "-o", folder)
    return subprocess.run(
        (*command, *more),
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_what_a_budget_cannot_show_is_not_measured(tmp_path: Path) -> None:
    done = gate(planted(tmp_path / "old"), tmp_path / "new", "--budget", "0.05")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "--budget 0.05: is too short to see anything: that takes 4 blocks, and as many" in line
    assert line.endswith("--budget 1 would do")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.slow
@pytest.mark.usefixtures("namespaces")
def test_a_budget_that_is_enough_holds_both_looks(tmp_path: Path) -> None:
    begun = time.monotonic()
    done = gate(planted(tmp_path / "old"), tmp_path / "new", "--budget", "3", "--json")
    assert time.monotonic() - begun < 180
    assert done.returncode == 1, done.stdout + done.stderr
    assert json.loads(done.stdout)["decided_by"] == "time"
    for name in ("new", "new-again"):
        assert len(load(tmp_path / name).series().popitem()[1].blocks) == 4


def session(name: str, seed: int, **factors: float) -> ResultSet:
    """Times of six blocks, as the probes' quick settings would take them."""
    made = timed(name, seed, 6, **factors)
    settings = {p: dict(PROBES[p].settings["quick"]) for p in ("tcp_goodput", "rtt")}
    asked = replace(made.run.asked, settings=settings)
    return ResultSet(made.path, replace(made.run, asked=asked), made.samples, torn=False)


def late(old: ResultSet) -> Looking:
    """The gate after its first look, when a second of its minute is left."""
    readings = iter([0.0])
    return Looking(old, {}, Clock(60, lambda: next(readings, 59.0)), 0.2)


def test_what_got_worse_when_the_budget_is_spent_is_no_success() -> None:
    old, new = session("old", 1), session("new", 2, rtt=2.0)
    again, why = late(old).second(new)
    assert again is None
    decision = decide(old, new, again, unconfirmed=why)
    assert (decision.exit_code, decision.confirmation) == (4, None)
    assert [(problem.name, problem.reason) for problem in decision.problems] == [
        (
            "rtt[veth,native]",
            "got worse, and was not measured once more: the budget has no time left for blocks "
            "enough to show anything",
        )
    ]
    assert headline(decision).startswith("incomplete: 1 thing ")


def test_where_nothing_got_worse_no_second_look_is_missed() -> None:
    old, new = session("old", 1), session("new", 3)
    again, why = late(old).second(new)
    assert (again, why) == (None, "")
    assert decide(old, new, again, unconfirmed=why).exit_code == 0


def test_a_session_that_its_budget_ended_says_after_how_many_blocks() -> None:
    old, new = timed("old", 1, 6), timed("new", 2, 6)
    plan = tuple(trial for trial in new.run.plan if trial.block <= 4)
    cut = ResultSet(
        new.path,
        replace(new.run, plan=plan, completed=new.run.completed[: len(plan)]),
        tuple(sample for sample in new.samples if sample.block <= 4),
        torn=False,
    )
    decision = decide(old, cut)
    assert decision.exit_code == 0
    assert "new: the budget ended it after 4 of 6 blocks" in decision.notes
