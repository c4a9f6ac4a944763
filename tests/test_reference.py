"""The result sets that are kept in results/ say what they say, and every reader reads them."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from files import ROOT

from bench.compare import compare
from bench.environment import Environment, fingerprint
from bench.errors import UsageError
from bench.export import EXPORTS
from bench.metrics import METRICS
from bench.report import newest
from bench.report.build import build, pictures, tables
from bench.report.theme import svg
from bench.results import load
from bench.results.derived import SUMMARY, summary_json
from bench.trend.read import Reader

RESULTS = ROOT / "results"
KEPT = sorted(re.findall(r"^!/results/([\w-]+)/$", (ROOT / ".gitignore").read_text(), re.MULTILINE))
"""The sets that git does not ignore: all of these must be there."""
OLD = Path(__file__).parent / "data" / "format-1"
"""A set as the first version of all wrote it, before runs had a purpose or a quality."""
LARGEST = 1_500_000
"""Bytes of a kept set, which every clone has to carry."""

kept = pytest.mark.parametrize(
    "path", [*(RESULTS / name for name in KEPT), OLD], ids=lambda p: p.name
)
references = pytest.mark.parametrize("name", [n for n in KEPT if n.startswith("reference")])


def test_the_kept_sets_are_the_ones_that_the_documentation_names() -> None:
    text = (RESULTS / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) == KEPT


@kept
def test_a_kept_set_is_complete_and_small(path: Path) -> None:
    results = load(path)
    assert results.run.status == "complete"
    assert (path / newest.KEPT).exists() == (path != OLD)
    assert results.samples
    assert sum(file.stat().st_size for file in path.rglob("*")) < LARGEST


@kept
def test_its_summary_is_what_its_samples_give(path: Path) -> None:
    assert (path / SUMMARY).read_bytes() == summary_json(load(path))


@kept
def test_compared_with_itself_it_is_the_same(path: Path) -> None:
    results = load(path)
    found = compare(results, results)
    assert found.exit_code(strict=False) in (0, 3)
    assert found.refused == found.only_old == found.only_new == found.differences == []
    for left_out in found.failed:  # such as a delay that no trial could be sure of
        reasons = left_out.reason.split("; ")
        assert reasons[0] == reasons[1], "what is missing on one side is missing on the other"
    assert {row.ratio for row in found.rows} <= {1.0}
    assert all(row.old == row.new for row in found.counts)
    cells = {str(cell) for cell in results.series() if cell.metric in METRICS}
    assert len(found.rows) + len(found.counts) == len(cells)


@kept
@pytest.mark.parametrize("format_", EXPORTS)
def test_it_is_exported_in_every_format(path: Path, format_: str) -> None:
    text = EXPORTS[format_](load(path))
    if format_ == "openmetrics":
        assert text.endswith("# EOF\n")
    else:
        json.loads(text)


@kept
def test_a_history_has_the_medians_of_its_summary(path: Path) -> None:
    """Read in another way, without `load`."""
    summary = json.loads((path / SUMMARY).read_text())["cells"]
    expected = {(c["variant"], c["arm"], c["metric"]): c["median"] for c in summary}
    session = Reader().read(path)
    assert {tuple(cell): value.median for cell, value in session.values.items()} == expected


@kept
def test_it_renders_as_a_report(path: Path) -> None:
    report = build([load(path)])
    assert report.sections
    assert tables(report)
    for number, picture in enumerate(pictures(report)):
        # Half of them for a page, half for a file: drawing is what takes the time.
        drawn = ET.fromstring(svg(picture, themed=number % 2 == 0))  # noqa: S314 (our own)
        assert drawn.tag.endswith("svg")


# ---- where they come from -----------------------------------------------------------------------


@references
def test_a_reference_says_where_it_was_measured_and_with_what(name: str) -> None:
    run = load(RESULTS / name).run
    found = run.environment
    for fact in ("kernel_release", "kernel_version", "cpu_model", "cpus_online", "python"):
        assert found[fact], fact
    assert re.fullmatch("[0-9a-f]{40}", found["git_revision"]), "of a commit, without changes"
    assert re.match(r"20\d\d-", run.started)
    assert run.finished


@references
def test_a_reference_has_only_what_its_readers_need(name: str) -> None:
    """The tools' own output, as it came, is left out: no reader of a kept set asks for it."""
    for file in (RESULTS / name).rglob("*"):
        assert file.relative_to(RESULTS / name).parts[0] not in {"iperf3", "pump", "pyperf"}, file


def test_what_why_found_names_the_set_as_it_is_kept() -> None:
    answer = json.loads((RESULTS / "reference-why" / "why.json").read_text())
    assert answer["results"] == "results/reference-why"


# ---- old ones -----------------------------------------------------------------------------------


def test_a_set_of_the_first_version_has_what_it_had_and_no_more() -> None:
    run = load(OLD).run
    assert run.format == 1
    written = json.loads((OLD / "run.json").read_text())
    assert not {"purpose", "quality", "canaries"} & written.keys(), "it is as old as it says"
    assert (run.purpose, run.quality, run.canaries, run.asked.repeats) == ("session", (), (), 0)


def test_a_new_set_is_compared_with_one_of_the_first_version(tmp_path: Path) -> None:
    """Another machine's, with facts that nobody asked for then: they differ, they do not break."""
    new = tmp_path / "new"
    new.mkdir()
    for file in OLD.iterdir():
        (new / file.name).write_bytes(file.read_bytes())
    document = json.loads((OLD / "run.json").read_text())
    now = {key: value for key, value in vars_of(fingerprint()).items() if value is not None}
    document["environment"] |= now
    document["id"] = "ab" * 16
    (new / "run.json").write_text(json.dumps(document))
    found = compare(load(OLD), load(new))
    assert {row.ratio for row in found.rows} == {1.0}
    assert any("not known →" in difference for difference in found.differences)


def vars_of(environment: Environment) -> dict[str, object]:
    return {name: getattr(environment, name) for name in Environment.__slots__}


def test_a_set_of_a_later_format_is_refused_in_one_line(tmp_path: Path) -> None:
    for file in OLD.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (OLD / "run.json").read_text()
    later = re.sub(r'"format": ?1\b', '"format": 2', text)
    assert later != text
    (tmp_path / "run.json").write_text(later)
    with pytest.raises(UsageError, match="written by a newer vnetbench"):
        load(tmp_path)
