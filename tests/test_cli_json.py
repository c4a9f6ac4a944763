"""One document for machines, from every command whose result a machine may want."""

import dataclasses
import json
import re
from pathlib import Path

import click
import msgspec
import pytest
from capabilities import require_root_namespaces
from comparing import two_sets
from files import ROOT
from program import vnetbench
from screens import complaint, here
from sets import a_run, noisy, write_set
from test_peers import a_set

from bench import peers, summary
from bench.cli import cli
from bench.cli.scenarios import Listed
from bench.doctor import model as doctor
from bench.doctor import offloads
from bench.doctor.examine import Examination
from bench.ledger import Ledger
from bench.ledger.model import Check, Load, Overhead
from bench.results import CellSummary
from bench.why import model as why
from bench.why.claims import Verdict

WITHOUT = {
    "export": "its FORMATs are documents of other tools",
    "pump": "prints its counters as JSON in any case",
    "shell": "is for a person",
    "completion": "prints a script for a shell",
}
STRUCTS = {
    "run": (summary.Document, summary.Measured, summary.NotMeasured),
    "peers": (peers.Document, peers.Row, peers.Entry, peers.NotMeasured),
    "list": (Listed,),
    "ledger": (Ledger, Load, Check, Overhead),
    "doctor": (Examination, doctor.Finding),
    "doctor --offloads": (offloads.Document, offloads.Finding),
    "why": (
        *(why.Answer, why.Estimate, why.Price, why.Share, why.Gap),
        *(why.Effect, why.Interaction, why.Ablation, why.Bridge, Verdict),
    ),
}
"""Command → what its document is made of."""
ELSEWHERE = {field.name for field in msgspec.structs.fields(CellSummary)}
"""Keys of summary.json, which docs/results.md describes."""


def section(command: str) -> str:
    """What docs/commands.md says of a command's document."""
    text = (ROOT / "docs/commands.md").read_text()
    [found] = re.findall(rf"^### {command}\n(.*?)(?=^### |\Z)", text, re.DOTALL | re.MULTILINE)
    return str(found)


def keys(kind: type) -> set[str]:
    if dataclasses.is_dataclass(kind):
        return {field.name for field in dataclasses.fields(kind)}
    return {field.name for field in msgspec.structs.fields(kind)}


def undocumented(command: str, names: set[str]) -> list[str]:
    return [name for name in sorted(names) if f"`{name}`" not in section(command)]


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_prints_json_or_has_a_reason_not_to(name: str) -> None:
    options = [o for p in cli.commands[name].params if isinstance(p, click.Option) for o in p.opts]
    assert ("--json" in options) != (name in WITHOUT)


@pytest.mark.parametrize("command", STRUCTS)
def test_every_key_is_documented(command: str) -> None:
    names = {name for kind in STRUCTS[command] for name in keys(kind)}
    assert undocumented(command, names - ELSEWHERE) == []


def test_a_scenario_is_one_document() -> None:
    ended = here("show", "flannel-udp", "-p", "batch=16", "--json")
    document = json.loads(ended.out)
    assert (ended.status, ended.err) == (0, "")
    assert document["format"] == 1
    assert document["name"] == "flannel-udp[batch=16]"
    assert document["parameters"]["batch"] == 16
    assert document["path"][0] == "ctr-a:eth0"
    assert any(line.startswith("ip link add") or "ip -n" in line for line in document["commands"])
    assert undocumented("show", {*document, *document["switches"]["batch"]}) == []


@pytest.mark.usefixtures("namespaces")
def test_what_runs_here_is_one_document() -> None:
    done = vnetbench("list", "veth", "vxlan", "--json")
    document = json.loads(done.stdout)
    assert done.stderr == ""
    assert [one["name"] for one in document["scenarios"]] == ["veth", "vxlan"]
    assert document["scenarios"][0]["runs"] is True
    assert document["scenarios"][0]["obstacle"] is None
    assert undocumented("list", {*document, *document["scenarios"][0]}) == []


@pytest.mark.usefixtures("namespaces")
def test_what_was_captured_is_one_document(tmp_path: Path) -> None:
    done = vnetbench("capture", "veth", "-o", tmp_path / "pcaps", "--json")
    document = json.loads(done.stdout)
    assert {Path(one["file"]) for one in document["captures"]} == set(
        (tmp_path / "pcaps").iterdir()
    )
    assert all(one["packets"] >= 2 for one in document["captures"])
    assert undocumented("capture", {*document, *document["captures"][0]}) == []


def test_a_run_prints_its_table_as_one_document(tmp_path: Path) -> None:
    require_root_namespaces()
    command = ("run", "veth", "--probe", "rtt", "--arm", "native", "--blocks", 1, "--json")
    done = vnetbench(*command, "-o", tmp_path / "a")
    document = json.loads(done.stdout)
    assert done.stderr == "", "there is no terminal, so there is no progress"
    assert (document["status"], document["results"]) == ("complete", str(tmp_path / "a"))
    [cell] = document["cells"]
    assert (cell["variant"], cell["metric"], cell["unit"]) == ("veth", "rtt", "s")
    assert cell["ratio"] == 1
    stored = json.loads((tmp_path / "a/summary.json").read_text())
    assert {key: cell[key] for key in stored["cells"][0]} == stored["cells"][0]


def test_the_document_of_a_run_has_what_failed_and_against_what_is_compared(
    tmp_path: Path,
) -> None:
    run = a_run(arms=("native",))
    value = noisy(1)
    results = write_set(
        tmp_path / "a",
        run,
        lambda trial: "lost" if (trial.variant, trial.block) == ("vxlan", 2) else value(trial),
    )
    document = summary.document(results)
    assert [(f.variant, f.probe, f.trials, f.reason) for f in document.failures] == [
        ("vxlan", "tcp_goodput", 1, "lost"),
        ("vxlan", "rtt", 1, "lost"),
    ]
    ratios = {(c.variant, c.metric): c.ratio for c in document.cells}
    medians = {(c.variant, c.metric): c.median for c in document.cells}
    assert ratios["veth", "rtt"] == 1
    assert ratios["vxlan", "rtt"] == medians["vxlan", "rtt"] / medians["veth", "rtt"]


def test_a_comparison_of_peers_is_one_document(tmp_path: Path) -> None:
    results = a_set(tmp_path / "a")
    ended = here("peers", "--from", tmp_path / "a", "--json")
    document = json.loads(ended.out)
    assert (ended.status, ended.err) == (0, "")
    assert document["columns"] == list(peers.COLUMNS)
    rows = {row["name"]: row for row in document["rows"]}
    assert rows["socat"]["entries"][0]["ratio"] == pytest.approx(0.1)
    assert len(rows) == len(results.run.variants)
    assert document["ahead"] == list(peers.ahead(peers.rows(results)))


def test_two_sets_compared_are_one_document_and_an_error_is_none(tmp_path: Path) -> None:
    two_sets(tmp_path)
    ended = here("compare", tmp_path / "old", tmp_path / "new", "--json")
    assert json.loads(ended.out)["format"] == 1
    assert ended.err == ""
    line = complaint("compare", tmp_path / "old", tmp_path / "gone", "--json")
    assert str(tmp_path / "gone") in line


def test_a_history_is_one_document(tmp_path: Path) -> None:
    two_sets(tmp_path)
    ended = here("trend", tmp_path, "--json")
    assert len(json.loads(ended.out)["sets"]) == 2
    assert ended.err == ""


def test_a_report_names_the_files_that_it_wrote(tmp_path: Path) -> None:
    two_sets(tmp_path)
    for more, kind, files in (
        ((), "html", ["report.html"]),
        (("-o", tmp_path / "a.csv"), "csv", [str(tmp_path / "a.csv")]),
        (("--format", "md", "-o", tmp_path / "b"), "md", [str(tmp_path / "b/report.md")]),
    ):
        ended = here("report", tmp_path / "old", *more, "--json")
        document = json.loads(ended.out)
        assert ended.err == ""
        assert (document["format"], document["kind"]) == (1, kind)
        found = [Path(file) for file in document["files"]]
        assert [tmp_path / "old" / file for file in files] == found
        assert all(file.is_file() for file in found)
    assert undocumented("report", set(document)) == []
    line = complaint("report", tmp_path / "old", "--format", "csv", "--json")
    assert line == "--json names the files that were written; name one with -o"


def test_what_a_report_has_is_one_document(tmp_path: Path) -> None:
    two_sets(tmp_path)
    ended = here("report", tmp_path / "old", "--list", "--json")
    document = json.loads(ended.out)
    listed = here("report", tmp_path / "old", "--list").out.splitlines()
    assert {block["name"] for block in document["tables"]} == {
        line.split()[1] for line in listed if line.startswith("table")
    }
    assert document["tables"]
    assert document["figures"]
    assert undocumented("report", {*document, *document["tables"][0]}) == []
