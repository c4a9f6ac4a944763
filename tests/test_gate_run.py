"""The gate on real paths: what one more of anything in the pump does to it."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from capabilities import require
from planted_gates import (
    HIDDEN,
    LEDGER,
    PLANTED,
    a_baseline,
    a_scenario,
    gate,
    plant,
    plant_in_one_pump,
)

from bench.errors import CannotMeasure
from bench.ledger import trace
from bench.results import load

pytestmark = [pytest.mark.usefixtures("tuns"), pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def tracing() -> None:
    """Skip where the tracer cannot work; in CI that is a failure."""
    require(trace.missing() is None, f"needs to trace: {trace.missing()}")


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return a_scenario(tmp_path)


@pytest.fixture
def baseline(scenario: Path, tmp_path: Path) -> Path:
    try:
        return a_baseline(scenario, tmp_path)
    except CannotMeasure as error:
        pytest.skip(str(error))


def unseen(decision: dict[str, Any]) -> set[str]:
    """Metrics that the gate could not judge, which are those that a busy machine hides."""
    metrics = {item["name"].partition("[")[0] for item in decision["problems"]}
    assert metrics <= set(HIDDEN)
    return metrics


def test_what_has_not_changed_passes(baseline: Path, tmp_path: Path) -> None:
    done = gate("--baseline", baseline, "--ledger-only", "-o", tmp_path / "new")
    if "is not observed any more" in done.stdout:
        assert done.returncode == 3
        pytest.skip("the machine is too busy for the tracer to see all wake-ups")
    assert done.returncode == 0, done.stdout + done.stderr
    # What a busy machine makes worse once, a second look does not confirm.
    second = (tmp_path / "new-again").exists()
    shown = r"\d+ of \d+ cells got worse once and not again" if second else "no regression shown"
    assert re.search(f"^Gate passed: {shown}", done.stdout, re.MULTILINE), done.stdout
    assert load(tmp_path / "new").run.asked.settings == {"ledger": LEDGER}


@pytest.mark.parametrize(("handicap", "metrics"), PLANTED.items())
def test_one_more_of_anything_for_each_packet_fails(
    handicap: str, metrics: set[str], baseline: Path, scenario: Path, tmp_path: Path
) -> None:
    plant(scenario, handicap)
    done = gate("--baseline", baseline, "--json", "-o", tmp_path / "new")
    assert done.returncode == 1, done.stdout + done.stderr
    decision = json.loads(done.stdout)
    assert (decision["verdict"], decision["decided_by"]) == ("failed", "ledger")
    # On a busy machine the tracer may miss too much to tell of wake-ups; the gate then says so.
    hidden = unseen(decision)
    assert metrics <= {f["metric"] for f in decision["findings"] if f["confirmed"]} | hidden
    assert metrics - hidden
    assert f"mine has other parameters: {handicap} 0 → 1" in decision["differences"]
    assert load(tmp_path / "new-again").run.asked.seed == load(tmp_path / "new").run.asked.seed + 1


def test_one_more_call_in_vain_in_one_of_flannels_pumps_does_not_pass(tmp_path: Path) -> None:
    scenario = a_scenario(tmp_path, "flannel-udp")
    baseline = a_baseline(scenario, tmp_path)
    plant_in_one_pump(scenario, "vain_receives")
    done = gate("--baseline", baseline, "--json", "-o", tmp_path / "new")
    [found] = [f for f in json.loads(done.stdout)["findings"] if f["metric"] == "syscalls"]
    # A busy machine hides calls that wait, and with them some of what is planted, or all of it.
    if found["new"] - found["old"] < 0.7:
        pytest.skip(f"the machine is too busy: {found['old']} calls became {found['new']}")
    assert found["verdict"] == "worse" or found["doubtful"]
    assert done.returncode != 0 or found["confirmed"] is False


def test_on_github_it_annotates_summarises_and_exports(
    baseline: Path, scenario: Path, tmp_path: Path
) -> None:
    plant(scenario, "null_calls")
    summary, report, bencher = (tmp_path / name for name in ("summary", "gate.md", "bencher.json"))
    summary.write_text("before\n")
    done = gate(
        *("--baseline", baseline, "-o", tmp_path / "new", "--markdown", report),
        *("--export", f"bencher={bencher}"),
        environment={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)},
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "\n::error title=vnetbench%3A regression::working_calls[mine,native]: " in done.stdout
    assert summary.read_text() == "before\n" + report.read_text()
    assert report.read_text().startswith("### vnetbench gate failed: ")
    assert json.loads(bencher.read_text())["mine/native"]["working_calls"]["value"] > 1


@pytest.mark.parametrize("planted", [False, True])
def test_what_cannot_be_written_keeps_nothing_from_being_said_and_written(
    planted: bool, baseline: Path, scenario: Path, tmp_path: Path
) -> None:
    if planted:
        plant(scenario, "null_calls")
    bencher, folder = tmp_path / "bencher.json", tmp_path / "a folder"
    folder.mkdir()
    done = gate(
        *("--baseline", baseline, "-o", tmp_path / "new", "--markdown", "/proc/gate.md"),
        *("--export", "openmetrics=/proc/metrics", "--export", f"bencher={bencher}"),
        environment={"GITHUB_STEP_SUMMARY": str(folder)},
    )
    assert "\nGate " in done.stdout
    gone, elsewhere = "cannot be written: No such file or directory", "name another place with"
    says = [
        f"vnetbench: /proc/gate.md: {gone}; {elsewhere} --markdown",
        f"vnetbench: {folder}: cannot be written: Is a directory",
        f"vnetbench: /proc/metrics: {gone}; {elsewhere} --export",
    ]
    assert done.stderr.splitlines()[-3:] == says
    assert "mine/native" in json.loads(bencher.read_text())
    # Where nothing is planted, a machine that is too busy leaves some without a verdict.
    incomplete = "\nGate incomplete: " in done.stdout
    assert done.returncode in ({1} if planted else {3, 4} if incomplete else {2}), done.stdout


def test_a_summary_without_a_folder_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    summary = tmp_path / "gone" / "summary.md"
    done = gate("--baseline", "x", environment={"GITHUB_STEP_SUMMARY": str(summary)})
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert f"{summary}: cannot be written: there is no folder {summary.parent}" in line


def test_where_the_tracer_is_missing_it_says_what_is_not_observed(
    baseline: Path, tmp_path: Path
) -> None:
    done = gate(*("--baseline", baseline, "-o", tmp_path / "new"), environment={"PATH": os.devnull})
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Not judged: wakeups[mine,native]: " in done.stdout
    assert "Gate incomplete: 2 things could not be measured or compared" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Missing option '--baseline'"),
        (("--baseline", "nowhere"), "nowhere: is not a folder; expected a result set"),
        (("--baseline", "x", "-o", "/"), "/: cannot be a result set; name a folder to be made"),
        (("--baseline", "nowhere", "-o", "."), "nowhere: is not a folder"),
        (("--baseline", "x", "--ledger-only", "--probe", "rtt"), "give one of them"),
        (("--baseline", "x", "--json", "--markdown", "-"), "both print"),
        (("--baseline", "x", "--margin", "nan"), "nan is not a finite number"),
        (("--baseline", "x", "--budget", "inf"), "inf is not a finite number"),
        (
            ("--baseline", "x", "--markdown", "no/gate.md"),
            "no/gate.md: cannot be written: there is no folder no; name another place with --mark",
        ),
        (("--baseline", "x", "--markdown", "/"), "/: is a folder; name a file with --markdown"),
        (("--baseline", "x", "--export", "bencher=no/b"), "no/b: cannot be written: there is"),
        (("--baseline", "x", "--export", "csv=a"), "expected FORMAT=FILE, FORMAT one of github"),
    ],
)
def test_a_mistake_is_one_line_with_status_2(arguments: tuple[str, ...], says: str) -> None:
    done = gate(*arguments)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert says in line


def test_a_changed_scenario_that_has_gone_is_one_line(
    baseline: Path, scenario: Path, tmp_path: Path
) -> None:
    scenario.unlink()
    done = gate("--baseline", baseline, "-o", tmp_path / "new")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "mine.toml" in line
