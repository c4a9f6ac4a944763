"""`vnetbench why` from the command to the picture: what a run leaves, and how it goes on."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bench_planted import measured, suspect, without_ablations
from capabilities import require_tun
from program import begin, vnetbench
from screens import complaint
from sets import a_run, noisy, write_set
from small_why import DOSES, KEPT, STEP, TECHNIQUE

import bench.why.design
from bench.probes import PROBES
from bench.results import load
from bench.why.answer import answer
from bench.why.causes import CAUSES
from bench.why.design import design

pytestmark = pytest.mark.slow

SHORT = ("--measure", "serial", "--arm", "native", "--seed", "1")
PATHS = ("flannel-udp", "vxlan")
VARIANTS = 2 + len(DOSES) * len(KEPT) + 1


SMALL: dict[str, Any] = {
    "program": (sys.executable, str(Path(__file__).with_name("small_why.py"))),
    "env": {"PATH": os.devnull},
}
"""How to start a `why` that has few causes. Without a PATH there is no tracer, which takes seconds
for a ledger."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run, and what it printed."""
    require_tun()
    folder = tmp_path_factory.mktemp("why") / "out"
    asked = ("why", *PATHS, *SHORT, "--blocks", 4, "-o", folder)
    return folder, vnetbench(*asked, **SMALL).stdout


# ---- what a run leaves --------------------------------------------------------------------------


def test_a_run_measures_every_variant_in_every_block(whole: tuple[Path, str]) -> None:
    folder, _ = whole
    with (folder / "samples.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "packet_time"]
    trials = Counter((row["variant"], row["block"]) for row in rows)
    assert len(trials) == VARIANTS * 4
    assert set(trials.values()) == {PROBES["serial"].settings["quick"]["values"]}
    assert all(1e-7 < float(row["value"]) < 1e-2 for row in rows)
    assert load(folder).run.asked.profile == "why"


def test_it_answers_with_times_prices_shares_and_intervals(whole: tuple[Path, str]) -> None:
    folder, _ = whole
    found = json.loads((folder / "why.json").read_text())
    [gap] = found["gaps"]
    assert (gap["slow"], gap["fast"], gap["blocks"]) == (*PATHS, 4)
    assert 0 < gap["gap"]["low"] <= gap["gap"]["value"] <= gap["gap"]["high"]
    explained = sum(share["seconds"]["value"] for share in gap["shares"])
    assert explained + gap["residual"]["value"] == pytest.approx(gap["gap"]["value"])
    prices = {
        price["cause"]: price["seconds"]["value"] for price in found["prices"]["serial,native"]
    }
    assert prices.keys() == set(KEPT)
    assert 10e-9 < prices["calls"] < 5e-6
    [ablation] = found["ablations"]
    assert [effect["factor"] for effect in ablation["effects"]] == [TECHNIQUE]
    assert found["unsound"] == found["notes"] == []


def test_it_prints_what_it_has_found_out(whole: tuple[Path, str]) -> None:
    folder, printed = whole
    assert "one packet at a time: from vxlan to flannel-udp" in printed
    for text in (*(CAUSES[id_].title for id_ in KEPT), "not explained", "Not explained: "):
        assert text in printed
    assert "1400 bytes take" in printed
    for name in ("why.json", "why.svg", "why.png"):
        assert name in printed.splitlines()[-1]
    assert str(folder) in printed


def test_the_picture_has_its_causes_as_text(whole: tuple[Path, str]) -> None:
    folder, _ = whole
    svg = (folder / "why.svg").read_text()
    for text in (*PATHS, "system calls", "not explained", "µs per packet"):
        assert f">{text}" in svg, text
    assert (folder / "why.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_from_its_results_the_same_answer_comes_again(
    whole: tuple[Path, str], tmp_path: Path
) -> None:
    folder, printed = whole
    before = (folder / "why.json").read_text()
    copied = tmp_path / "copied"
    shutil.copytree(folder, copied)
    for name in ("why.json", "why.svg", "why.png"):
        (copied / name).unlink()
    again = vnetbench("why", "--from", copied, **SMALL)
    assert again.stdout == printed.replace(str(folder), str(copied))
    kept = json.loads((copied / "why.json").read_text())
    assert kept == {**json.loads(before), "results": str(copied)}
    assert json.loads(vnetbench("why", "--from", copied, "--json", **SMALL).stdout) == kept
    assert (copied / "why.svg").exists()


def test_where_the_answer_cannot_be_kept_it_is_printed_and_one_line_says_so(
    whole: tuple[Path, str], tmp_path: Path
) -> None:
    folder, printed = whole
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    before = {name: (kept / name).read_bytes() for name in ("why.json", "why.svg", "why.png")}
    (kept / ".why.json.tmp").mkdir()  # in the way, whoever asks
    again = vnetbench("why", "--from", kept, **SMALL)
    assert again.stderr == (
        f"{kept}: cannot be written: Is a directory; the answer is printed only\n"
    )
    assert again.stdout == printed.replace(f"{folder} (why.json, why.svg, why.png)", str(kept))
    assert {name: (kept / name).read_bytes() for name in before} == before


# ---- going on -----------------------------------------------------------------------------------


def begun(folder: Path, blocks: int = 1) -> Iterator[subprocess.Popen[str]]:
    """A run of which some trials have been measured."""
    partial = folder.with_name(f"{folder.name}.partial") / "samples.csv"
    with begin("why", *PATHS, *SHORT, "--blocks", blocks, "-o", folder, **SMALL) as program:
        deadline = time.monotonic() + 30
        while not (partial.exists() and partial.read_text().count("packet_time") >= 10):
            assert program.poll() is None, program.stderr and program.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield program


@pytest.mark.usefixtures("tuns")
def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for program in begun(folder):
        program.kill()
    done_before = {trial.trial for trial in load(tmp_path / "out.partial").run.ended()}
    assert 0 < len(done_before) < VARIANTS + 2

    refused = vnetbench("run", "--resume", folder, status=2, **SMALL)
    assert refused.stderr == f"vnetbench: {folder}: go on with vnetbench why --resume {folder}\n"

    resumed = vnetbench("why", "--resume", folder, "--json", **SMALL)
    assert resumed.stderr == "", "nobody watches"
    assert {trial.trial for trial in load(folder).run.ended()} > done_before
    found = json.loads(resumed.stdout)
    assert found == json.loads((folder / "why.json").read_text())
    assert found["gaps"][0]["blocks"] == 1
    assert found["gaps"][0]["gap"]["low"] is None, "of one block there is no interval"
    assert load(folder).run.status == "complete"


@pytest.mark.usefixtures("tuns")
def test_ctrl_c_keeps_what_was_measured_and_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for program in begun(folder, blocks=50):
        program.send_signal(signal.SIGINT)
        printed, said = program.communicate(timeout=20)
        assert program.returncode == 130
        assert printed == ""
        assert f"interrupted; go on with: vnetbench why --resume {folder}" in said
        assert "Traceback" not in said
    kept = load(folder)
    assert kept.run.status == "interrupted"
    assert len(kept.run.completed) >= 2
    refused = vnetbench("why", "--from", folder, status=2, **SMALL)
    [line] = refused.stderr.splitlines()
    assert "no block has all that was to be measured" in line


# ---- what is planted ----------------------------------------------------------------------------


@pytest.mark.usefixtures("tuns")
def test_a_planted_cause_is_found_with_its_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """System calls, hidden in the pumps' own tables; once more if somebody else was busy.

    So many, between a dose and none, that no noise of a short run is a fifth of what they cost.
    """
    for id_ in CAUSES.keys() - {"calls", "polling", "wakeups"}:
        monkeypatch.delitem(CAUSES, id_)
    instrument = replace(CAUSES["calls"].instrument, step=STEP)
    monkeypatch.setitem(CAUSES, "calls", replace(CAUSES["calls"], instrument=instrument))
    monkeypatch.setattr(bench.why.design, "DOSES", (6,))
    monkeypatch.setenv("PATH", os.devnull)
    paths = (str(suspect(tmp_path, "null_calls", 256)), "flannel-udp")
    chosen = without_ablations(design(*paths, ()))
    assert chosen.notes == []
    assert chosen.variants["suspect"].parameters["null_calls"] == 0, "it is hidden"

    def found(attempt: int) -> tuple[str, float]:
        results = measured(chosen, paths, tmp_path / f"out{attempt}", 4)
        [gap] = answer(results, chosen).gaps
        first = gap.shares[0]
        assert first.cause != "calls" or first.slow - first.fast == pytest.approx(512, abs=0.5)
        return first.cause, first.seconds.value / gap.gap.value

    close = ("calls", pytest.approx(1, abs=0.2))
    assert found(1) == close or found(2) == close


# ---- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["attic"], 'no scenario "attic"'),
        (["veth", "veth"], "veth: there is no gap between a path and itself; name two"),
        (["vxlan"], "vxlan: is what others are compared with; name a FAST path as well"),
        (["flannel-udp[batch=65]"], "expected a whole number from 1 to 64"),
        (["veth", "--beside", "attic"], 'no scenario "attic"'),
        (["veth", "bridge", "host-gw"], "unexpected extra argument"),
        (["--measure", "sctp"], "'sctp' is not one of 'serial', 'stream'"),
        (["--blocks", "0"], "0 is not in the range"),
        (["--claims", "veth"], "--claims takes nothing but --json; leave out SLOW"),
        (["--claims", "--blocks", "3"], "leave out --blocks"),
        (["--from", "somewhere", "veth", "--seed", "1"], "leave out SLOW, --seed"),
        (["--resume", "somewhere", "--arm", "native"], "leave out --arm"),
        (["--from", "a", "--resume", "b"], "--from takes nothing but --json; leave out --resume"),
        (["--from", "nowhere"], "nowhere"),
        (["--resume", "nowhere"], "there is no run to resume"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in complaint("why", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_results_of_another_kind_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path / "a", a_run(), noisy(1))
    line = complaint("why", "--from", tmp_path / "a")
    assert "these results are not of vnetbench why; run it anew" in line


def test_results_of_a_scenario_that_has_changed_are_refused(tmp_path: Path) -> None:
    run = a_run(variants=("vxlan", "veth"), probes=("rtt",))
    asked = msgspec.structs.replace(run.asked, profile="why")
    write_set(tmp_path / "a", msgspec.structs.replace(run, asked=asked), noisy(1))
    line = complaint("why", "--from", tmp_path / "a")
    assert "its scenario file has changed since the run began; run anew" in line
