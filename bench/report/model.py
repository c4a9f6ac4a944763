"""What a report consists of, before it is a page, a Markdown text or a picture.

A section is made from result sets and knows nothing of how it is shown; a renderer knows nothing
of what it shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.report.sources import Sources
from bench.results import ResultSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tone = Literal["", "good", "bad", "dim"]
"""What is thought of something: said in words, too, as not everybody sees colours."""


@dataclass(frozen=True)
class Picture:
    """One figure, drawn when it is needed.

    name: unique in the report and fit for a file's name: lower-case letters, digits, `-`.
    text: what it shows, in words, for those who do not see it; figures included, no markup.
    draw: returns it as matplotlib draws it, in the colours of `theme.py` and no others. Called at
        most once, inside `theme.drawing()`.
    """

    name: str
    title: str
    text: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Column:
    """A column of a table; numbers are aligned right."""

    title: str
    number: bool = False


@dataclass(frozen=True)
class Field:
    """One field of a table: what is read, and the same as numbers, in SI units, for programs.

    value: the figure. ends: those of its interval, low and high. sort: what the field is sorted by
    where that is not its value; without either it is sorted by the text.
    """

    text: str
    value: float | None = None
    tone: Tone = ""
    ends: tuple[float, float] | None = None
    sort: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows that all have a field for each column; the first field names its row.

    name: as a picture's; of the file it is downloaded as, too.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Field, ...], ...]


@dataclass(frozen=True)
class Words:
    """Statements, each complete in itself; under a title of their own where there is one.

    about: in a word or two what each is about; empty, or as many as there are texts.
    """

    texts: tuple[str, ...]
    title: str = ""
    tone: Tone = ""
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stored:
    """A text file of a result set, to be had as it is.

    name: the file's, unique in the report. place: the set's name and what it is called there.
    """

    name: str
    title: str
    path: Path
    place: str


Block = Table | Picture | Words | Stored


@dataclass(frozen=True)
class Section:
    """A part of the report with a heading of its own.

    id: unique in the report, as a picture's name. lead: how to read it, in a sentence or two.
    blocks: what it consists of in the order of reading. notes: what limits what they say.
    """

    id: str
    title: str
    lead: str = ""
    blocks: tuple[Block, ...] = ()
    notes: tuple[str, ...] = ()


Maker = Callable[[Sources], Section | None]
"""Makes a section; None where the sets have nothing for it."""


@dataclass(frozen=True)
class Report:
    """The whole of it. sets: what it was made of, in the user's order.

    sections: the first is what one reads who reads no more; it stands before the contents.
    """

    title: str
    sets: tuple[ResultSet, ...]
    sections: tuple[Section, ...]
