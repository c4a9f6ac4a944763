"""What is skipped for something that is missing ends every command that measures alike: with 3."""

import os
from pathlib import Path
from typing import Any

import pytest
from program import PROGRAM, vnetbench
from sets import measurement, noisy
from small_why import __file__ as small_why

from bench import peers
from bench import run as runner
from bench.probes import PROBES
from bench.results import Asked, ResultWriter, load
from bench.scenario import Variant

NO_PROGRAMS: dict[str, Any] = {"env": {"PATH": os.devnull}}


def skipped(folder: Path) -> set[str]:
    run = load(folder).run
    assert run.status == "complete"
    assert all(failure.missing for failure in run.failures)
    return {failure.variant for failure in run.failures}


@pytest.mark.usefixtures("tuns")
def test_a_run(tmp_path: Path) -> None:
    asked = ("run", "veth", "socat", "--probe", "rtt", "--arm", "native", "--blocks", 1)
    done = vnetbench(*asked, "--no-repeat", "-o", tmp_path / "a", status=3, **NO_PROGRAMS)
    assert "skipped: rtt[socat,native] block 1: socat is not installed" in done.stderr
    assert skipped(tmp_path / "a") == {"socat"}


@pytest.mark.usefixtures("tuns")
def test_a_comparison_of_peers(tmp_path: Path) -> None:
    chosen = peers.taking_part("tun-udp")
    interrupted_before_socat(tmp_path / "a", chosen)
    done = vnetbench("peers", "--resume", tmp_path / "a", status=3, **NO_PROGRAMS)
    assert "socat: skipped: socat is not installed" in done.stdout
    assert skipped(tmp_path / "a") == {"socat"}
    # Nothing is measured here: what was measured before is shown.
    vnetbench("peers", "--from", tmp_path / "a")


def interrupted_before_socat(folder: Path, chosen: dict[str, Variant]) -> None:
    """A set that lacks one program only."""
    asked = Asked(
        scenarios=("tun-udp",),
        overrides=(),
        profile=peers.PROFILE,
        settings={"rtt": dict(PROBES["rtt"].settings["quick"])},
        probes=("rtt",),
        arms=("native",),
        blocks=1,
        seed=1,
    )
    run = runner.whole_run(asked, chosen)
    last = sorted(run.plan, key=lambda trial: trial.variant == "socat")
    with ResultWriter.create(folder, run) as writer:
        value = noisy(1)
        for trial in last[:-1]:
            writer.record(trial, measurement(trial, value(trial)))
        writer.finish("interrupted")


@pytest.mark.slow
@pytest.mark.usefixtures("tuns")
def test_an_explanation(tmp_path: Path) -> None:
    program = (PROGRAM[0], small_why)
    asked = ("why", "flannel-udp", "vxlan", "--beside", "socat", "--measure", "serial")
    done = vnetbench(
        *(*asked, "--arm", "native", "--blocks", 1, "--seed", 1, "-o", tmp_path / "a"),
        status=3,
        program=program,
        **NO_PROGRAMS,
    )
    assert "not measured, or in few blocks: socat" in done.stdout
    assert skipped(tmp_path / "a") == {"socat"}
    vnetbench("why", "--from", tmp_path / "a", program=program, **NO_PROGRAMS)
