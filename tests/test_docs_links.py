"""What documents point to is there: pages, headings, files, and the pages that code names."""

import re
from pathlib import Path

import pytest
from documents import Code, anchors, code, links, pages
from files import ROOT

SHOWN = re.compile(r"(?:bench|csrc|docs|results|scenarios|tests|tools)/[\w./-]+\.[a-z]+\d?")
"""A path of the repository, in code."""
MADE = ("results/", "docs/templates/NAME")
"""Where paths stand for what users make."""


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for line, target in links(page):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(f"{page.name}:{line}: {target}")
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        reached.add(page)
        names = {target.partition("#")[0] for _, target in links(page)}
        found = {(page.parent / n).resolve() for n in names if n.endswith(".md")}
        todo += sorted(found - reached - set(todo))
    assert {page for page in pages() if page.parent.name == "docs"} - reached == set()


def test_files_that_documents_name_exist() -> None:
    named = [c for page in pages() for c in code(page) if c.language == "inline"]
    missing = [
        f"{found}: {found.text}"
        for found in named
        if SHOWN.fullmatch(found.text) and not found.text.startswith(MADE) and not exists(found)
    ]
    assert missing == []
    assert sum(bool(SHOWN.fullmatch(found.text)) for found in named) > 10


def exists(found: Code) -> bool:
    """Whether a path is there; NAME in it stands for anybody's."""
    return any(ROOT.glob(found.text.replace("NAME", "*")))


def test_pages_that_code_names_exist() -> None:
    folders = ("bench", "csrc", "tests", "tools")
    files = [file for name in folders for file in (ROOT / name).rglob("*.[pch]*")]
    sources = [*files, ROOT / "Makefile"]
    named = {
        (name, str(file.relative_to(ROOT)))
        for file in sources
        if file.suffix in {".py", ".c", ".h", ""} and "__pycache__" not in file.parts
        for name in re.findall(r"docs/[a-z][\w-]*\.md", file.read_text())
    }
    assert len(named) > 5
    assert [pair for pair in sorted(named) if not (ROOT / pair[0]).exists()] == []


def test_every_section_of_a_report_is_explained() -> None:
    sections = {file.stem for file in (ROOT / "bench/report/sections").glob("[a-z]*.py")}
    assert sections - anchors(ROOT / "docs/report.md") == set()


def test_no_picture_is_left_over() -> None:
    shown = {(page.parent / target).resolve() for page in pages() for _, target in links(page)}
    assert [file for file in (ROOT / "docs").glob("*.svg") if file not in shown] == []


def test_every_scenario_of_the_ladder_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    names = [file.stem for file in (ROOT / "scenarios").glob("*.toml")]
    assert [name for name in names if f"\n| `{name}` | " not in text] == []
