"""Whatever text a report has is what its page says, and never markup."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report.html import page
from bench.report.model import Column, Field, Report, Section, Table


class _Fields(HTMLParser):
    """The texts of a table's fields."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "td":
            self._inside = True
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[-1] += data


@settings(deadline=None, max_examples=50)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1))
def test_any_text_in_a_table_is_what_is_read(texts: list[str]) -> None:
    rows = tuple((Field("row"), Field(text)) for text in texts)
    table = Table("any", "Any", (Column("name"), Column("text")), rows)
    parser = _Fields()
    parser.feed(page(Report("any", (), (Section("any", "Any", blocks=(table,)),))))
    assert parser.texts == texts
