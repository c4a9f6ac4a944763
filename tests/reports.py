"""Reports for the tests: of made-up result sets, and with a section of every kind of block."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from histories import put
from sets import a_run, noisy, write_set

from bench.report.build import build
from bench.report.model import Column, Field, Picture, Report, Section, Table, Words
from bench.report.theme import ink, new_figure
from bench.results import ResultSet, load

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVIL = "<script>alert(document.title)</script>&amp;\"'"
"""A name that a page could be tricked by."""
NAMES = ("veth", "vxlan", EVIL)


def a_set(path: Path, blocks: int = 6) -> ResultSet:
    """A complete set of three paths, one of which has a strange name."""
    factors = {"vxlan": 0.5, EVIL: 0.1}
    return write_set(path, a_run(variants=NAMES, blocks=blocks), noisy(1, **factors))


def a_large_set(path: Path, variants: int = 200) -> ResultSet:
    """A set of many variants of a path that ships."""
    names = tuple(f"veth[mtu={1000 + number}]" for number in range(variants))
    factors = {name: 1 - number / (2 * variants) for number, name in enumerate(names)}
    put(path, a_run(variants=names, blocks=8), noisy(1, 0.05, **factors))
    return load(path)


def everything(sets: list[ResultSet]) -> Report:
    """The report of these sets, with a section more that has one of every kind of block."""
    report = build(sets)
    return replace(report, sections=(*report.sections, gallery()))


def gallery() -> Section:
    """A picture, a table that is long, and words in every tone."""
    return Section(
        id="gallery",
        title="Gallery",
        lead="One of every kind.",
        blocks=(
            Words(("all is well",), "Good", tone="good"),
            Words(("one thing", "another thing"), "Bad", tone="bad"),
            Words(("first", "second"), about=("one", "two"), tone="dim"),
            Picture("lines", f"Lines of {EVIL}", f"Two lines, one of {EVIL}.", _draw),
            many_rows(),
        ),
        notes=("A note.", f"A note on {EVIL}."),
    )


def many_rows(count: int = 60) -> Table:
    """Rows whose order as text, as numbers and as they come are three different ones."""
    rows = tuple(
        (
            Field(f"row {(7 * number) % count}"),
            Field(f"{number * 250} kbit/s", number * 250e3, "good" if number % 2 else "bad"),
            Field(f'{number}, "{"even" if number % 2 == 0 else "odd"}"', tone="dim"),
            _interval(number * 250e3, 1e3 * (1 + 7 * number % count)),
        )
        for number in range(count)
    )
    missing = (Field("row without"), Field("failed", tone="bad"), Field(""), Field(""))
    columns = (
        *(Column("name"), Column("rate", number=True)),
        *(Column("what"), Column("interval", number=True)),
    )
    return Table("many", "Many rows", columns, (*rows[:30], missing, *rows[30:]))


def _interval(middle: float, width: float) -> Field:
    """One that is sorted by its width, which is none of the numbers that it is of."""
    low, high = middle - width / 4, middle + 3 * width / 4
    return Field(f"{low:g} to {high:g} bit/s", sort=width, ends=(low, high))


def _draw() -> Figure:
    figure = new_figure(8, 3)
    axes = figure.subplots()
    axes.plot([1, 2, 3], [1, 4, 9], color=ink(0), label=EVIL)
    axes.plot([1, 2, 3], [9, 4, 1], color=ink("bad"), label="other")
    axes.set_title("Lines")
    axes.legend()
    return figure
