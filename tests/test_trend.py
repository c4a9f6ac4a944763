"""`vnetbench trend`: what it says of a history, and with which exit status."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from files import ROOT
from histories import after, history

from bench.cli.trend import trend as command
from bench.errors import UsageError
from bench.trend.epochs import concerning
from bench.trend.history import trend
from bench.trend.model import History, Trend

SETS = 24


def run_command(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def cells(found: Trend) -> dict[str, History]:
    return {f"{c.metric}[{c.variant},{c.arm}]": c for c in found.cells}


def verdicts(found: Trend) -> dict[str, list[tuple[int, str]]]:
    """Where each cell that changed did, and how."""
    return {
        name: [(change.after, change.verdict) for change in cell.changes]
        for name, cell in cells(found).items()
        if cell.changes
    }


def per_epoch(found: Trend) -> dict[str, list[int]]:
    return {name: [e.sets for e in cell.epochs] for name, cell in cells(found).items()}


# ---- changes ------------------------------------------------------------------------------------


def test_a_step_is_found_where_it_was_planted_and_nowhere_else(tmp_path: Path) -> None:
    found = trend([history(tmp_path, SETS, after(15, vxlan=1.1))])
    assert set(verdicts(found)) == {
        f"{metric}[vxlan,{arm}]"
        for metric in ("tcp_goodput", "rtt")
        for arm in ("native", "parity")
    }
    for name, changes in verdicts(found).items():
        better = "faster" if name.startswith("tcp") else "slower"
        assert changes == [(15, better)]
    change = cells(found)["rtt[vxlan,native]"].changes[0]
    assert (change.before, change.old_sets, change.new_sets) == (14, 15, 9)
    assert 1.08 < change.low <= change.ratio <= change.high < 1.12
    assert change.new / change.old == pytest.approx(1.1, rel=0.02)
    assert change.p <= 0.05


def test_a_history_without_a_change_has_none(tmp_path: Path) -> None:
    found = trend([history(tmp_path, SETS)])
    assert verdicts(found) == {}
    assert len(found.cells) == 8
    assert all(cell.visible is not None and cell.visible < 0.05 for cell in found.cells)


def test_a_change_within_the_margin_is_small(tmp_path: Path) -> None:
    history(tmp_path, SETS, after(12, rtt=1.08))
    assert {v for c in verdicts(trend([tmp_path])).values() for _, v in c} == {"slower"}
    assert {v for c in verdicts(trend([tmp_path], margin=0.2)).values() for _, v in c} == {"small"}
    assert (
        "within the margin of 20 % (--all shows them)"
        in run_command(tmp_path, "--margin", 20).stdout
    )
    assert "1.08" in run_command(tmp_path, "--margin", 20, "--all").stdout
    with pytest.raises(UsageError, match="expected 0 or more"):
        trend([tmp_path], margin=-1)


def test_only_what_is_asked_for_is_searched(tmp_path: Path) -> None:
    history(tmp_path, SETS, variants=("veth", "veth[mtu=1400]"))
    found = trend([tmp_path], metrics=["rtt"], arms=["parity"], scenarios=["veth[mtu=1400]"])
    assert list(cells(found)) == ["rtt[veth[mtu=1400],parity]"]
    assert len(trend([tmp_path], scenarios=["veth"]).cells) == 8
    with pytest.raises(UsageError, match="none of the 24 sets has a value of what is asked for"):
        trend([tmp_path], metrics=["teleport"])


def test_too_short_a_history_says_so(tmp_path: Path) -> None:
    found = trend([history(tmp_path, 7, after(4, rtt=3))])
    assert verdicts(found) == {}
    assert found.notes == [
        "8 of 8 cells have too few sets since their last change or new epoch for any later change "
        "to be found; it takes 8"
    ]


def test_values_without_a_ratio_and_unknown_metrics_are_left_out_with_a_note(
    tmp_path: Path,
) -> None:
    history(tmp_path, SETS, after(20, veth=0.0), arms=("native",))
    for file in tmp_path.glob("*/samples.csv"):
        file.write_text(file.read_text().replace("vxlan,native,rtt,s", "vxlan,native,jitter,s"))
    found = trend([tmp_path])
    assert len(cells(found)["rtt[veth,native]"].sets) == 20
    assert "rtt[vxlan,native]" not in cells(found)
    [unknown, zero] = [note for note in found.notes if note.startswith("left out")]
    assert unknown == "left out of 24 sets: jitter[vxlan,native]: not a metric this vnetbench knows"
    assert "left out of 4 sets: " in zero
    assert zero.endswith("a value of 0 or less has no ratio")


# ---- epochs -------------------------------------------------------------------------------------


def from_set(place: int, **changed: Any) -> Callable[[int], dict[str, Any]]:
    return lambda i: changed if i >= place else {}


def test_another_kernel_starts_an_epoch_and_is_no_change(tmp_path: Path) -> None:
    environment = {"kernel_release": "6.18.0"}
    history(tmp_path, SETS, after(12, rtt=1.5), from_set(12, environment=environment))
    found = trend([tmp_path])
    assert verdicts(found) == {}
    assert {tuple(sets) for sets in per_epoch(found).values()} == {(12, 12)}
    assert found.cells[0].epochs[1].differences == ("kernel: 6.1.0 → 6.18.0",)
    out = run_command(tmp_path).stdout
    assert f"New epoch of 8 cells from {tmp_path}/012 (" in out
    assert "kernel: 6.1.0 → 6.18.0" in out


def test_a_change_within_an_epoch_is_found_beside_another_epoch(tmp_path: Path) -> None:
    environment = {"kernel_release": "6.18.0"}
    history(tmp_path, 36, after(25, rtt=1.3), from_set(12, environment=environment))
    assert set(map(tuple, verdicts(trend([tmp_path])).values())) == {((25, "slower"),)}


@pytest.mark.parametrize(
    ("changed", "concerned", "says"),
    [
        ({"sha256": "cd" * 32}, "", "the scenario file of veth has changed"),
        (
            {"settings": {"tcp_goodput": {"seconds": 1.0}, "rtt": {"seconds": 2.0}}},
            "rtt",
            "rtt was done otherwise: seconds 1.0 → 2.0",
        ),
        ({"environment": {"libiperf": "4.0"}}, "tcp_goodput", "libiperf: 3.12 → 4.0"),
    ],
)
def test_a_change_of_the_measurement_starts_an_epoch_of_the_cells_it_concerns(
    tmp_path: Path, changed: dict[str, Any], concerned: str, says: str
) -> None:
    history(tmp_path, SETS, changes=from_set(12, **changed), environment={"libiperf": "3.12"})
    found = trend([tmp_path], scenarios=["veth"])
    assert {cell.metric for cell in found.cells if [e.sets for e in cell.epochs] == [12, 12]} == (
        {concerned} if concerned else {"tcp_goodput", "rtt"}
    )
    assert {e.differences for cell in found.cells for e in cell.epochs[1:]} == {(says,)}


def test_what_is_under_test_and_what_is_not_known_start_no_epoch(tmp_path: Path) -> None:
    def environment(i: int) -> dict[str, Any]:
        facts = {
            "git_revision": f"{i:02x}" * 20 + "-dirty",
            "vnetbench": f"0.{i}",
            "load_average": [i, 1, 1],
        }
        return {"environment": facts | ({"cpu_model": "X"} if i % 3 else {})}

    history(tmp_path, SETS, after(12, rtt=1.5), environment)
    found = trend([tmp_path])
    assert {tuple(sets) for sets in per_epoch(found).values()} == {(SETS,)}
    assert len(verdicts(found)) == 4
    assert found.sets[12].revision == "0c" * 20 + "-dirty"
    assert f"({found.sets[12].started}, 0c0c0c0c0c0c-dirty)" in run_command(tmp_path).stdout


def test_two_machines_in_one_folder_have_an_epoch_each(tmp_path: Path) -> None:
    def turns(i: int) -> dict[str, Any]:
        return {"environment": {"machine": "AB"[i % 2]}}

    def factors(i: int) -> dict[str, float]:
        return {"rtt": (2 if i % 2 else 1) * (1.2 if i >= 24 else 1)}

    found = trend([history(tmp_path, 40, factors, turns)], metrics=["rtt"])
    assert {tuple(sets) for sets in per_epoch(found).values()} == {(20, 20)}
    assert {tuple(c) for c in verdicts(found).values()} == {((24, "slower"), (25, "slower"))}


def test_a_kernel_that_was_taken_back_goes_on_with_its_epoch(tmp_path: Path) -> None:
    def kernel(i: int) -> dict[str, Any]:
        return {"environment": {"kernel_release": "6.2" if 10 <= i < 14 else "6.1"}}

    found = trend([history(tmp_path, SETS, after(14, rtt=1.5), kernel)], metrics=["rtt"])
    assert {tuple(sets) for sets in per_epoch(found).values()} == {(20, 4)}
    assert {tuple(c) for c in verdicts(found).values()} == {((14, "slower"),)}
    assert {cell.changes[0].before for cell in found.cells} == {9}


def at_loads(*rates: float) -> Callable[[int], dict[str, Any]]:
    """One of these loads after the other, each as long, for the round trips alone."""
    return lambda i: {
        "conditions": {"rtt": {"base_rate": rates[i * len(rates) // SETS], "realtime": 1.0}}
    }


def test_another_load_starts_an_epoch_of_what_was_measured_at_it(tmp_path: Path) -> None:
    history(tmp_path, SETS, after(12, rtt=1.5), at_loads(1e5, 1.1e5))
    found = trend([tmp_path], scenarios=["veth"], arms=["native"])
    assert verdicts(found) == {}
    assert per_epoch(found) == {
        "tcp_goodput[veth,native]": [SETS],
        "rtt[veth,native]": [12, 12],
    }
    assert cells(found)["rtt[veth,native]"].epochs[1].differences == (
        "rtt was done under other conditions: base_rate 100000.0 → 110000.0",
    )


def test_loads_that_are_alike_are_one_epoch_and_one_that_is_gone_back_to_goes_on(
    tmp_path: Path,
) -> None:
    history(tmp_path, SETS, after(12, rtt=1.5), at_loads(1e5, 1.005e5, 0.995e5))
    assert verdicts(trend([tmp_path], metrics=["rtt"])).keys() == {
        f"rtt[{variant},{arm}]" for variant in ("veth", "vxlan") for arm in ("native", "parity")
    }
    there_and_back = history(tmp_path / "b", SETS, changes=at_loads(1e5, 2e5, 1e5))
    found = trend([there_and_back], metrics=["rtt"])
    assert set(map(tuple, per_epoch(found).values())) == {(16, 8)}


def test_loads_that_creep_away_from_that_of_an_epoch_leave_it(tmp_path: Path) -> None:
    creeping = at_loads(*(1e5 * 1.004**i for i in range(4)))
    found = trend([history(tmp_path, SETS, changes=creeping)], metrics=["rtt"])
    assert set(map(tuple, per_epoch(found).values())) == {(18, 6)}
    assert {cell.epochs[1].differences for cell in found.cells} == {
        (f"rtt was done under other conditions: base_rate 100000.0 → {1e5 * 1.004**3}",)
    }


def test_facts_that_matter_start_an_epoch_but_for_the_program_under_test() -> None:
    assert {"kernel_release", "cpu_model", "cpus_online", "mitigations"} <= set(concerning("rtt"))
    assert not {"git_revision", "vnetbench", "load_average"} & set(concerning("rtt"))
    assert set(concerning("tcp_goodput")) - set(concerning("rtt")) == {"libiperf"}


# ---- output -------------------------------------------------------------------------------------


def test_fail_is_for_a_regression_that_stands(tmp_path: Path) -> None:
    history(tmp_path / "slower", SETS, after(15, rtt=1.2))
    history(tmp_path / "faster", SETS, after(15, rtt=0.8))
    history(tmp_path / "repaired", 36, lambda i: {"rtt": 1.2} if 12 <= i < 24 else {})
    kernel = from_set(24, environment={"kernel_release": "6.18.0"})
    history(tmp_path / "older", 36, after(12, rtt=1.2), kernel)
    status = {
        name: [run_command(tmp_path / name, *fail).exit_code for fail in ([], ["--fail"])]
        for name in ("slower", "faster", "repaired", "older")
    }
    assert status == {"slower": [0, 1], "faster": [0, 0], "repaired": [0, 0], "older": [0, 0]}
    assert "slower" in run_command(tmp_path / "older").stdout


def test_json_is_one_document_and_every_key_is_documented(tmp_path: Path) -> None:
    history(tmp_path, SETS, after(15, rtt=1.2))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/run.json").write_text("{")
    document = json.loads(run_command(tmp_path, "--json").stdout)
    assert document["format"] == 1
    assert len(document["sets"]) == SETS
    assert len(document["left_out"]) == 1
    changed = next(cell for cell in document["cells"] if cell["changes"])
    text = Path(ROOT, "docs/results.md").read_text()
    parts = (document["sets"][0], changed, changed["epochs"][0], changed["changes"][0])
    keys = {*document, *(key for part in parts for key in part)}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_the_tables_fit_80_columns_and_others_are_shown_with_all(tmp_path: Path) -> None:
    names = ("flannel-udp", "flannel-udp[mtu=1400,streams=8]", "tap-bridge")
    history(tmp_path, SETS, after(15, **{"tap-bridge": 1.2}), variants=names)
    out = run_command(tmp_path).stdout
    rows = [line for line in out.splitlines() if "→" in line and "from" not in line]
    assert len(rows) == 4
    assert max(map(len, rows)) <= 80
    assert all("…" not in row and row.split()[-2] in ("faster", "slower") for row in rows)
    assert f"at 1: between {tmp_path}/014 (" in out
    assert "flannel-udp" not in out
    rows = [line for line in run_command(tmp_path, "--all").stdout.splitlines() if "▁" in line]
    assert len(rows) == 4
    assert "flannel-udp" in run_command(tmp_path, "--all").stdout


def test_many_sets_that_are_left_out_take_few_lines(tmp_path: Path) -> None:
    history(tmp_path, 3)
    for number in range(30):
        (tmp_path / f"broken-{number:02}").mkdir()
        (tmp_path / f"broken-{number:02}/run.json").write_text("{")
    out = run_command(tmp_path).stdout
    assert out.count("Left out: ") == 10
    assert "(and 20 lines more like these)" in out


def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """Root may read everything, so here it goes without that right."""
    history(tmp_path, 2)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    program = [sys.executable, "-m", "bench", "trend", str(tmp_path), "--json"]
    command = program if os.geteuid() else [*without, *program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout)["left_out"] == [f"{closed}: cannot be read: Permission denied"]
