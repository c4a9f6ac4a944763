"""A report as Markdown (GitHub's flavour), for a pull request or an appendix."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bench.report.model import Block, Picture, Report, Section, Stored, Table, Words
from bench.saving import TEXT

_SPECIAL = re.compile(r"[\\`*\[\]<|~&$]|(?<![^\W_])_|_(?![^\W_])")
"""What could mean something within a line; an underscore within a word does not."""
_AT_START = re.compile(r"^(\s*)([#+\-=>:]|\d+(?=[.)]))")
_BREAKS = re.compile(r"[\t-\r\x1c-\x1e\x85\u2028\u2029]+")


def text(report: Report, *, linked: bool) -> str:
    """The whole text.

    linked: pictures are links to `NAME.svg` beside it; else what they show is said in words.
    """
    lines = [TEXT, f"# {_plain(report.title)}", ""]
    for section in report.sections:
        lines += _section(section, linked)
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(section: Section, linked: bool) -> Iterator[str]:
    yield from (f"## {_plain(section.title)}", "")
    if section.lead:
        yield from (_paragraph(section.lead), "")
    for block in section.blocks:
        yield from _block(block, linked)
    if section.notes:
        yield from (*_list(section.notes), "")


def _block(block: Block, linked: bool) -> Iterator[str]:
    match block:
        case Table():
            yield from (f"### {_plain(block.title)}", "", *_table(block), "")
        case Picture():
            what = f"![{_plain(block.text)}]({block.name}.svg)" if linked else _said(block)
            yield from (f"### {_plain(block.title)}", "", what, "")
        case Words():
            yield from (*_words(block), "")
        case Stored():
            yield from (f"{_plain(block.name)}, {_plain(block.title)}: {_plain(block.place)}", "")


def _said(picture: Picture) -> str:
    return f"*Figure:* {_plain(picture.text)}"


def _words(block: Words) -> Iterator[str]:
    if block.title:
        yield from (f"### {_plain(block.title)}", "")
    if block.about:
        pairs = zip(block.about, block.texts, strict=True)
        yield from (f"- **{_plain(about)}:** {_plain(each)}" for about, each in pairs)
    elif len(block.texts) == 1:
        yield _paragraph(block.texts[0])
    else:
        yield from _list(block.texts)


def _list(texts: tuple[str, ...]) -> Iterator[str]:
    return (f"- {_paragraph(each)}" for each in texts)


def _table(table: Table) -> Iterator[str]:
    yield _row(column.title for column in table.columns)
    yield "|" + "|".join(" ---: " if column.number else " --- " for column in table.columns) + "|"
    for row in table.rows:
        yield _row(field.text for field in row)


def _row(texts: Iterator[str]) -> str:
    return "| " + " | ".join(map(_plain, texts)) + " |"


def _paragraph(said: str) -> str:
    """Text at the beginning of a line, which must not be taken for a heading or a list."""
    return _AT_START.sub(
        lambda m: f"{m[1]}\\{m[2]}" if not m[2].isdigit() else f"{m[1]}{m[2]}\\", _plain(said)
    )


def _plain(said: object) -> str:
    """Text that means itself, in one line."""
    return _SPECIAL.sub(lambda m: f"\\{m[0]}", _BREAKS.sub(" ", str(said)).strip())
