"""Every cell of every set, as it is summarised, and the raw values that it comes from."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.model import Block, Column, Field, Section, Stored, Table
from bench.report.naming import set_names
from bench.report.words import value
from bench.results import ResultSet, summarise
from bench.results.read import SAMPLES

_DIGITS = 4


def make(sets: Sequence[ResultSet]) -> Section:
    """The section; there always is one."""
    names = set_names(sets)
    blocks: list[Block] = [_cells(sets, names)]
    for number, (name, results) in enumerate(zip(names, sets, strict=True), 1):
        if (results.path / SAMPLES).is_file():
            mark, of = (f"-{number}", f" of {name}") if len(sets) > 1 else ("", "")
            file = f"samples{mark}.csv"
            title, place = f"every raw value{of}", f"{name}/{SAMPLES}"
            blocks.append(Stored(file, title, results.path / SAMPLES, place))
    return Section(
        id="raw",
        title="All figures",
        lead="One row is one metric of one variant in one arm. All figures are of block values, "
        "a block's value being the median of its raw values. Low and high bound the median with "
        "at least 95 % probability; fewer than six blocks cannot give such an interval.",
        blocks=tuple(blocks),
    )


def _cells(sets: Sequence[ResultSet], names: Sequence[str]) -> Table:
    several = len(sets) > 1
    rows = tuple(
        (
            Field(cell.variant),
            *((Field(name),) if several else ()),
            Field(cell.arm),
            Field(cell.metric),
            Field(cell.unit),
            Field(str(cell.blocks), cell.blocks),
            *(
                _figure(figure, cell.unit)
                for figure in (cell.median, cell.low, cell.high, cell.min, cell.max)
            ),
        )
        for name, results in zip(names, sets, strict=True)
        for cell in summarise(results)
    )
    figures = ("blocks", "median", "low", "high", "min", "max")
    columns = (
        *map(Column, ("variant", *(("set",) if several else ()), "arm", "metric", "unit")),
        *(Column(each, number=True) for each in figures),
    )
    return Table("cells", "Cells", columns, rows)


def _figure(figure: float | None, unit: str) -> Field:
    if figure is None:
        return Field("-", tone="dim")
    return Field(value(figure, unit, _DIGITS), figure)
