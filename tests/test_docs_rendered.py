"""The documents with figures are what the kept result sets give, and nothing in them is typed."""

import csv
import json
import re
import shutil
import statistics
from pathlib import Path

import pytest
from docs_tables import load_shares, loads
from docs_words import Contradiction, count
from documents import TEMPLATES
from files import ROOT

from bench.errors import UsageError
from bench.metrics import METRICS
from bench.probes import PROBES
from docs import SETS, Sets, differs, documents, files, left_over, render

KEPT = ROOT / "results"
WRITTEN = sorted(TEMPLATES.glob("*.md.j2"))

MEASURED = re.compile(
    r"\d[\d.,]*(?:\s|-)?(?:[GMk]?bit/s|[µmn]s\b|s\b|[kM]?pps\b|packets? a second|%|x\b|times\b"
    r"|fold\b|Gbit|GB/s|minutes\b)"
)
"""A number with a unit in which something is measured."""
ALLOWED = {
    "95 %": "the level of every interval of this project",
}
COMPARES = re.compile(
    r"\b(?:slower|faster|longer|shorter|larger|largest|smaller|higher|lower|half|twice|thrice|most"
    r"|nearly|dearer|cheaper|better|worse)\b"
)
"""Words that say how figures stand to each other."""
EXPLAINED = {
    "which direction is better": "the heading of a column",
    "noticing when a kernel made one slower": "what the tool is for",
    "Every command has a": "what exit statuses mean",
    "a thread of the lowest priority": "a class of the scheduler",
    "*each packet is copied between": "quotes what is told, which is then checked",
    "*priced* by an experiment": "what is computed",
    "half a round trip of one datagram": "how it is measured",
    "What they are, the largest estimate first": "the loop that follows sorts by share",
    "(it makes the residual smaller)": "arithmetic",
    "Two machines would pay more for a copy": "points to the price above",
}
"""Beginnings of paragraphs that compare nothing measured, and what they do instead."""


def paragraphs(template: Path) -> list[str]:
    """What a template says, in paragraphs; without code, comments and the names of links."""
    text = re.sub(r"\{#.*?#\}", "", template.read_text(), flags=re.DOTALL)
    text = re.sub(r"^    .*$|`[^`\n]*`|\]\([^)]*\)", "", text, flags=re.MULTILINE)
    return [part for part in re.split(r"\n\s*\n", text) if part.strip()]


def test_there_are_templates() -> None:
    assert {template.name for template in WRITTEN} >= {"README.md.j2", "why.md.j2", "metrics.md.j2"}


def test_every_document_is_what_the_kept_sets_give() -> None:
    wanted = {file: text for made in documents(KEPT) for file, text in files(made)}
    found = [line for file, text in wanted.items() for line in differs(file, text)]
    assert found == [], "run make docs"
    assert left_over(wanted) == [], "run make docs"


@pytest.mark.parametrize("template", WRITTEN, ids=lambda template: template.name)
def test_no_template_types_a_measured_figure(template: Path) -> None:
    typed = []
    for part in paragraphs(template):
        text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", part, flags=re.DOTALL)
        typed += [hit for hit in MEASURED.findall(text) if hit not in ALLOWED]
    assert typed == []


@pytest.mark.parametrize("template", WRITTEN, ids=lambda template: template.name)
def test_what_compares_figures_stands_beside_a_figure_or_a_claim(template: Path) -> None:
    bare = []
    for part in paragraphs(template):
        text = re.sub(r"\{%(?! claim| if).*?%\}", "", part, flags=re.DOTALL)
        backed = "{{" in text or "{%" in text
        known = any(reason in " ".join(text.split()) for reason in EXPLAINED)
        if COMPARES.search(text) and not backed and not known:
            bare.append(part)
    assert bare == []


def test_the_page_of_metrics_is_what_the_code_gives() -> None:
    document = render(TEMPLATES / "metrics.md.j2", Sets(KEPT))
    assert differs(document.file, document.text) == [], "run make docs"


def test_every_metric_is_on_its_page_with_unit_and_direction() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    for metric in METRICS.values():
        assert f"| `{metric.id}` | {metric.unit} | {metric.better} | " in text
    given = {metric for probe in PROBES.values() for metric in probe.metrics}
    assert given == METRICS.keys()


def test_the_load_of_a_delay_stands_beside_the_packet_rate_of_its_path() -> None:
    loaded = Sets(KEPT).loaded
    run = json.loads((KEPT / "reference-loaded" / "run.json").read_text())
    base = run["variants"]["flannel-udp"]["conditions"]["native"]["delay_50"]["base_rate"]
    with (KEPT / "reference-loaded" / "samples.csv").open() as opened:
        rates = [
            float(row["value"])
            for row in csv.DictReader(opened)
            if (row["variant"], row["metric"]) == ("flannel-udp", "packet_rate_64")
        ]
    share = base / 2 / statistics.median(rates)
    assert load_shares(loaded, 50)["flannel-udp"] == pytest.approx(share)
    [row] = [row for row in loads(loaded, [50]).splitlines() if "`flannel-udp`" in row]
    assert row.endswith(f"({share:.0%}) |".replace("%", " %"))


def test_the_article_says_how_many_trials_were_disturbed_and_how_often_each_set_warned() -> None:
    sets = Sets(KEPT)
    text = " ".join((ROOT / "docs" / "why.md").read_text().split())
    for name, figures in zip(SETS, (sets.ladder, sets.loaded, sets.why.figures), strict=True):
        run = json.loads((KEPT / name / "run.json").read_text())
        spoilt = sum(bool(trial["attempts"][-1]["spoilt"]) for trial in run["quality"])
        assert spoilt == figures.disturbed
        assert f"{spoilt:,} of {len(run['completed']):,} of" in text
        assert count(len(run["warnings"]), "warning") in text


def test_a_set_without_delays_has_no_loads() -> None:
    with pytest.raises(UsageError, match="no load was found for vxlan, native"):
        Sets(KEPT).ladder.base_rate("vxlan")


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The kept sets, with VXLAN's goodput a hundredth of what it was."""
    for name in SETS:
        shutil.copytree(KEPT / name, tmp_path / name)
    file = tmp_path / SETS[0] / "samples.csv"
    with file.open() as opened:
        rows = list(csv.reader(opened))
    where = {name: rows[0].index(name) for name in ("variant", "metric", "value")}
    for row in rows[1:]:
        if (row[where["variant"]], row[where["metric"]]) == ("vxlan", "tcp_goodput"):
            row[where["value"]] = repr(float(row[where["value"]]) / 100)
    with file.open("w", newline="") as opened:
        csv.writer(opened, lineterminator="\n").writerows(rows)
    return tmp_path


def test_sets_that_contradict_a_sentence_are_not_made_into_a_document(changed: Path) -> None:
    with pytest.raises(Contradiction, match=r"README\.md\.j2:\d+: the result sets contradict"):
        render(TEMPLATES / "README.md.j2", Sets(changed))
    with pytest.raises(Contradiction, match=r"why\.md\.j2:\d+: the result sets contradict"):
        render(TEMPLATES / "why.md.j2", Sets(changed))


def test_the_kept_answer_is_about_the_kept_samples() -> None:
    """The factor of a stream lies where plain medians put it; the answer's own adjusts blocks."""
    why = Sets(KEPT).why
    gaps = [gap for gap in why.answer.gaps if gap.measure == "stream"]
    assert len(gaps) >= 2
    for gap in gaps:
        slow, fast = (why.figures(path, "stream_time", gap.arm) for path in (gap.slow, gap.fast))
        assert gap.ratio.low is not None
        assert gap.ratio.high is not None
        assert gap.ratio.low / 1.1 < (slow / fast).value < gap.ratio.high * 1.1
