"""Every cell of every set, as it is summarised, and the raw values that it comes from."""

from __future__ import annotations

from bench.report.model import Block, Column, Field, Section, Stored, Table
from bench.report.sources import Sources
from bench.report.words import value
from bench.results import summarise
from bench.results.read import SAMPLES

_DIGITS = 4


def make(sources: Sources) -> Section:
    """The section; there always is one."""
    blocks: list[Block] = [_cells(sources)]
    for number, (name, results) in enumerate(zip(sources.names, sources.sets, strict=True), 1):
        if (results.path / SAMPLES).is_file():
            mark, of = (f"-{number}", f" of {name}") if sources.several else ("", "")
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


def _cells(sources: Sources) -> Table:
    several = sources.several
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
        for name, results in zip(sources.names, sources.sets, strict=True)
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
