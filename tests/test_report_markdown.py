"""A report as Markdown says what the report says, whatever characters that has."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from reports import EVIL, gallery

from bench.report.markdown import text
from bench.report.model import Column, Field, Report, Section, Table, Words

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).filter(
    str.strip
)


def parsed(report: Report, *, linked: bool = False) -> list[Token]:
    return (
        MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
        .parse(text(report, linked=linked))
    )


def shown(tokens: list[Token], inside: str) -> Iterator[str]:
    """What is read in every element of a kind, provided that it holds nothing but text."""
    for opening, inline in pairwise(tokens):
        if opening.type == inside:
            children = inline.children or []
            assert {child.type for child in children} <= {"text", "text_special"}
            yield "".join(child.content for child in children)


def folded(said: str) -> str:
    return said.strip()


@given(texts=st.lists(TEXT, min_size=1, max_size=5))
@example(texts=["a|b", "<b>", "`x`", "[a](b)", "*a*", "_a_", "\\", "&lt;", "~~a~~", "tcp_goodput"])
def test_any_text_of_a_table_is_read_as_it_is(texts: list[str]) -> None:
    rows = tuple((Field("row"), Field(said)) for said in texts)
    table = Table("any", "Any", (Column("name"), Column("text", number=True)), rows)
    tokens = parsed(Report("any", (), (Section("any", "Any", blocks=(table,)),)))
    fields = list(shown(tokens, "td_open"))
    assert fields[1::2] == [folded(said) for said in texts]


@given(texts=st.lists(TEXT, min_size=2, max_size=5))
@example(texts=["# no heading", "- no list", "1. no list", "2) none", "> no quote", "===", "--- a"])
def test_any_statement_is_read_as_it_is(texts: list[str]) -> None:
    words = Words(tuple(texts))
    tokens = parsed(Report("any", (), (Section("any", "Any", blocks=(words,)),)))
    assert list(shown(tokens, "paragraph_open")) == [folded(said) for said in texts]


@pytest.mark.parametrize("linked", [False, True])
def test_a_picture_is_a_link_to_its_file_or_said_in_words(linked: bool) -> None:
    tokens = parsed(Report("any", (), (gallery(),)), linked=linked)
    images = [c for token in tokens for c in token.children or [] if c.type == "image"]
    if linked:
        [image] = images
        assert image.attrs["src"] == "lines.svg"
        assert "".join(c.content for c in image.children or []) == f"Two lines, one of {EVIL}."
    else:
        assert images == []
        assert any(
            f"Two lines, one of {EVIL}." in token.content.replace("\\", "") for token in tokens
        )


def test_numbers_are_aligned_right() -> None:
    assert "| --- | ---: | --- |" in text(Report("any", (), (gallery(),)), linked=False)
