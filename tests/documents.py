"""The documents as the tests read them: code blocks, inline code, headings and links."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from files import ROOT
from markdown_it import MarkdownIt
from markdown_it.token import Token

TEMPLATES = ROOT / "docs" / "templates"
_ENDS = ("||", "&&", "|", ">", ";", "&")


@dataclass(frozen=True)
class Code:
    """A block of code, or code within a sentence (its language is "inline")."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every document of the project that is written for people."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "results" / "README.md"]
    assert len(found) > 10
    return sorted(found)


def tokens(page: Path) -> list[Token]:
    """A page as a parser sees it, tables included."""
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())


def code(page: Path) -> Iterator[Code]:
    """All code of a page, in order."""
    line = 0
    for token in tokens(page):
        line = token.map[0] + 1 if token.map else line
        if token.type in ("fence", "code_block"):
            yield Code(page, line, token.info.strip(), token.content)
        for child in token.children or ():
            if child.type == "code_inline":
                yield Code(page, line, "inline", child.content)


def blocks(page: Path) -> Iterator[Code]:
    """The blocks alone."""
    return (found for found in code(page) if found.language != "inline")


def links(page: Path) -> Iterator[tuple[int, str]]:
    """Line and target of every link and picture."""
    line = 0
    for token in tokens(page):
        line = token.map[0] + 1 if token.map else line
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target:
                yield line, str(target)


def anchors(page: Path) -> set[str]:
    """The names that forges give to a page's headings."""
    found: dict[str, int] = {}
    given = tokens(page)
    for opening, inline in itertools.pairwise(given):
        if opening.type == "heading_open":
            parts = inline.children or ()
            text = "".join(c.content for c in parts if c.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
    return {f"{slug}-{n}" if n else slug for slug, last in found.items() for n in range(last + 1)}


@dataclass(frozen=True)
class Command:
    """A command that a document shows: its words, without comment, prompt and what it pipes into.

    exact: it can be typed as it stands; otherwise something in it stands for something else.
    """

    code: Code
    words: tuple[str, ...]
    exact: bool

    def __str__(self) -> str:
        return f"{self.code}: {' '.join(self.words)}"


def commands(found: Code) -> Iterator[Command]:
    """Every `vnetbench` and `make` that code shows, of whichever language."""
    for line in _joined(found.text):
        words = _words(line)
        while words and (words[0] in ("sudo", "$", "run:", "-") or words[0].startswith("--pres")):
            words = words[1:]
        if not words or words[0].rsplit("/", 1)[-1] not in ("vnetbench", "make"):
            continue
        if words[1:] and words[1][0].isdigit():  # what --version prints
            continue
        end = next((i for i, word in enumerate(words) if word in _ENDS), len(words))
        exact = not re.search(r"…|\[-|\.\.\.", line) and found.language != "inline"
        yield Command(found, ("vnetbench" if "vnet" in words[0] else "make", *words[1:end]), exact)


def _joined(text: str) -> list[str]:
    """Lines, with those that go on in the next one joined."""
    text = re.sub(r"\\\n\s*", " ", text)
    return re.sub(r"\n\s+\[", " [", text).splitlines()


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # prose, or output: an apostrophe
        return []
