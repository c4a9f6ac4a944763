"""Result sets for other tools: each format as its tool reads it."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from imagined import imagine
from sets import a_run, noisy, write_set

from bench.cli.export import export as command
from bench.export import EXPORTS, openmetrics
from bench.metrics import METRICS
from bench.results import ResultSet, summarise

SMALLER, BIGGER = "github-action-benchmark-smaller", "github-action-benchmark-bigger"


@pytest.fixture
def results(tmp_path: Path) -> ResultSet:
    run = a_run(variants=("veth", "vxlan[mtu=1400]"), blocks=6)
    return write_set(tmp_path / "a", run, noisy(1))


def range_as_the_action_reads_it(text: str) -> float:
    """By the pattern of its `extractRangeInfo`, which wants two characters of a number."""
    found = re.search(r"(\+-|±)\s*(\d.+)", text)
    assert found, text
    return float(found[2])


def test_github_action_benchmark_gets_each_direction_by_itself(results: ResultSet) -> None:
    found = {name: json.loads(EXPORTS[name](results)) for name in (SMALLER, BIGGER)}
    assert {entry["name"].split("[")[0] for entry in found[SMALLER]} == {"rtt"}
    assert {entry["name"].split("[")[0] for entry in found[BIGGER]} == {"tcp_goodput"}
    medians = {f"{c.metric}[{c.variant},{c.arm}]": c.median for c in summarise(results)}
    entries = [*found[SMALLER], *found[BIGGER]]
    assert {entry["name"]: entry["value"] for entry in entries} == medians
    for entry in entries:
        assert entry.keys() == {"name", "unit", "value", "range", "extra"}
        assert 0 < range_as_the_action_reads_it(entry["range"]) < 0.1 * entry["value"]


@pytest.mark.parametrize("spread", [0, 2])
def test_github_action_benchmark_reads_the_range_of_counts_of_one_digit(spread: int) -> None:
    chance = iter(range(1_000))
    results = imagine(
        "counts",
        a_run(variants=("veth",), arms=("native",), probes=("rtt",), blocks=6),
        lambda _: {"syscalls": 6 + spread * (-1) ** next(chance)},
    )
    [entry] = json.loads(EXPORTS[SMALLER](results))
    assert range_as_the_action_reads_it(entry["range"]) == spread


def test_bencher_gets_a_benchmark_for_each_path_and_arm(results: ResultSet) -> None:
    found = json.loads(EXPORTS["bencher"](results))
    assert found.keys() == {f"{v}/{a}" for v in results.run.variants for a in ("native", "parity")}
    for measures in found.values():
        assert measures.keys() == {"tcp_goodput", "rtt"}
        for metric in measures.values():
            assert metric["lower_value"] < metric["value"] < metric["upper_value"]


def test_too_few_blocks_have_a_value_and_no_bounds(tmp_path: Path) -> None:
    few = write_set(tmp_path / "few", a_run(blocks=2), noisy(1))
    assert json.loads(EXPORTS["bencher"](few))["veth/native"]["rtt"].keys() == {"value"}
    assert all("range" not in entry for entry in json.loads(EXPORTS[SMALLER](few)))
    assert 'stat="low"' not in EXPORTS["openmetrics"](few)


def test_openmetrics_names_end_with_their_unit_and_the_text_with_its_end(
    results: ResultSet,
) -> None:
    text = EXPORTS["openmetrics"](results)
    assert text.endswith("\n# EOF\n")
    assert text.count("# EOF") == 1
    units = dict(re.findall(r"^# UNIT (\S+) (\S+)$", text, re.MULTILINE))
    assert units == {
        "vnetbench_rtt_seconds": "seconds",
        "vnetbench_tcp_goodput_bits_per_second": "bits_per_second",
    }
    for name, unit in units.items():
        assert name.endswith(f"_{unit}")
        assert f"# TYPE {name} gauge\n" in text
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    label = r'\w+="(?:[^"\\\n]|\\["\\n])*"'
    for line in samples:
        assert re.fullmatch(rf"[a-z_]+\{{{label}(,{label})*\}} -?[0-9.e+-]+", line), line
    assert len(samples) == len(set(samples)) == 8 * 3


def test_openmetrics_escapes_what_a_name_may_hold(tmp_path: Path) -> None:
    odd = write_set(tmp_path / "odd", a_run(variants=('a"b\\c',)), noisy(1))
    assert r'variant="a\"b\\c"' in EXPORTS["openmetrics"](odd)


def test_every_metric_has_a_word_for_its_unit_in_openmetrics() -> None:
    assert {metric.unit for metric in METRICS.values()} <= openmetrics._UNITS.keys()


def test_every_metric_has_a_name_of_its_own_that_openmetrics_allows() -> None:
    run = a_run(variants=("veth",), arms=("native",), probes=("rtt",), blocks=1)
    text = EXPORTS["openmetrics"](imagine("all", run, lambda _: dict.fromkeys(METRICS, 1.0)))
    names = re.findall(r"^# TYPE (.*) gauge$", text, re.MULTILINE)
    assert len(set(names)) == len(METRICS)
    assert [name for name in names if not re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name)] == []


def test_the_command_prints_or_writes_and_refuses_in_one_line(
    results: ResultSet, tmp_path: Path
) -> None:
    shown = CliRunner().invoke(command, ["bencher", str(results.path)])
    assert shown.exit_code == 0
    file = tmp_path / "out.json"
    CliRunner().invoke(command, ["bencher", str(results.path), "-o", str(file)])
    assert file.read_text() == shown.stdout == EXPORTS["bencher"](results)
    refused = CliRunner().invoke(command, ["bencher", str(results.path), "-o", str(tmp_path)])
    assert "is a folder; name a file with -o" in str(refused.exception)
