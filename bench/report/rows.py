"""Pictures with a row for each path: points with their intervals, and values written beside them.

A row is as high as it has lines, so that one of two hundred reads as one of nine; what is more than
`MOST` rows goes into further pictures, all with the same axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from bench.report import theme
from bench.report.axes import Span, ratio_span, show_ratios, show_values, span_of
from bench.report.model import Picture
from bench.report.naming import in_lines
from bench.report.parts import numbered
from bench.report.theme import ink
from bench.units import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 60
"""Rows of one picture."""
TOLD = 12
"""Rows that a text alternative goes through; the table has them all."""
_WIDTH = 8.0
_LINE, _GAP = 0.19, 0.45
"""Inches of a line, and lines between two rows."""
_SMALL = 8
_LEGEND = 86
"""Characters of a legend's line."""


@dataclass(frozen=True)
class Series:
    """How the marks of one kind look, and what that kind is called."""

    label: str
    ink: str | int
    marker: str
    hollow: bool = False


@dataclass(frozen=True)
class Mark:
    """A value with the ends of its interval, in SI units; text: what stands beside it.

    series: its position among those of the chart. bare: there is no interval.
    """

    series: int
    value: float
    low: float
    high: float
    text: str
    bare: bool = False


@dataclass(frozen=True)
class Absent:
    """What stands where there is no value."""

    text: str
    tone: Literal["bad", "dim"] = "dim"


@dataclass(frozen=True)
class Row:
    """A path with a line for each mark. heading: it is a title for those below, with remarks."""

    label: str
    lines: tuple[Mark | Absent, ...] = ()
    heading: bool = False


@dataclass(frozen=True)
class Chart:
    """All rows, and what their axis shows.

    label, unit: of the axis. margin: marks are ratios, and those nearer to 1 than this fraction do
    not matter; None: they are values. together: the marks of a row share one line.
    """

    series: tuple[Series, ...]
    rows: tuple[Row, ...]
    label: str
    unit: str = ""
    margin: float | None = None
    together: bool = False

    @property
    def marks(self) -> Iterator[Mark]:
        """Those of all rows."""
        return (line for row in self.rows for line in row.lines if isinstance(line, Mark))


def pictures(name: str, title: str, intro: str, chart: Chart) -> tuple[Picture, ...]:
    """The chart in as many pictures as it takes; none where it has no mark.

    intro: the first sentence of their text alternatives.
    """
    if not any(True for _ in chart.marks):
        return ()
    return tuple(
        Picture(
            name=own_name,
            title=own_title,
            text=theme.described([intro, *_told(chart, rows)]),
            draw=partial(_draw, chart, rows),
        )
        for own_name, own_title, rows in numbered(name, title, list(_parts(chart.rows)))
    )


def _parts(rows: Sequence[Row]) -> Iterator[tuple[Row, ...]]:
    """Rows by pictures, about as many in each; a heading stands above those that go on, too."""
    each = math.ceil(len(rows) / math.ceil(len(rows) / MOST))
    part: list[Row] = []
    heading: Row | None = None
    for row in rows:
        full = len(part) >= each - row.heading
        if full and not (part[-1].heading):
            yield tuple(part)
            part = [heading] if heading and not row.heading else []
        heading = row if row.heading else heading
        part.append(row)
    if part:
        yield tuple(part)


def _told(chart: Chart, rows: Sequence[Row]) -> Iterator[str]:
    """The first rows in words."""
    above, told = "", 0
    for row in rows:
        if row.heading:
            remarks = [line.text for line in row.lines if isinstance(line, Absent)]
            above = f"{', '.join([row.label, *remarks])}: "
        elif told < TOLD:
            told += 1
            said = [
                f"{chart.series[line.series].label} {line.text}"
                if isinstance(line, Mark)
                else line.text
                for line in row.lines
            ]
            yield f"{above}{row.label}: {', '.join(said)}"
            above = ""
    if more := sum(not row.heading for row in rows) - told:
        yield f"the table has {counted(more, 'row')} more"


# ---- drawing ------------------------------------------------------------------------------------


def _draw(chart: Chart, rows: Sequence[Row]) -> Figure:
    labels = [in_lines(row.label) for row in rows]
    heights = [
        max(_count(chart, row), 0.85 * (1 + label.count("\n"))) + _GAP
        for row, label in zip(rows, labels, strict=True)
    ]
    middles = [sum(heights[:n]) + height / 2 for n, height in enumerate(heights)]
    columns = _columns(chart.series)
    legend = math.ceil(len(chart.series) / columns)
    figure = theme.new_figure(_WIDTH, 0.62 + 0.2 * legend + _LINE * sum(heights))
    axis = figure.add_subplot()
    _dress(axis, chart)
    axis.set_ylim(sum(heights), 0)
    ticks = axis.set_yticks(middles, labels)
    for tick, row in zip(ticks, rows, strict=True):
        if row.heading:
            tick.label1.set_fontweight("bold")
    axis.tick_params("y", length=0)
    axis.grid(visible=False, axis="y")
    _draw_lines(axis, chart, rows, middles)
    figure.legend(handles=_legend(chart.series), loc="outside upper left", ncols=columns)
    return figure


def _count(chart: Chart, row: Row) -> int:
    """Lines of marks and words of a row."""
    marks = sum(isinstance(line, Mark) for line in row.lines)
    return len(row.lines) - (marks - 1 if chart.together and marks else 0)


def _columns(series: Sequence[Series]) -> int:
    longest = max(len(one.label) for one in series) + 7
    return max(1, min(len(series), _LEGEND // longest))


def _dress(axis: Axes, chart: Chart) -> None:
    """The axis of values, the same for all parts of a chart."""
    ends = [end for mark in chart.marks for end in (mark.low, mark.value, mark.high)]
    if chart.margin is None:
        show_values(axis, "x", span_of(ends), chart.unit, chart.label)
        return
    limit = 1 + chart.margin
    span: Span = ratio_span([*ends, limit, 1 / limit])
    axis.axvspan(1 / limit, limit, color=ink("fill"), linewidth=0, zorder=0)
    axis.axvline(1, color=ink("dim"), linewidth=0.8, zorder=1)
    show_ratios(axis, "x", span, chart.label)


def _draw_lines(axis: Axes, chart: Chart, rows: Sequence[Row], middles: Sequence[float]) -> None:
    """Marks and words, row by row; those of a series are drawn as one."""
    placed: dict[int, list[tuple[float, Mark]]] = {}
    for row, middle in zip(rows, middles, strict=True):
        first = middle - (_count(chart, row) - 1) / 2
        marks = [line for line in row.lines if isinstance(line, Mark)]
        words = [line for line in row.lines if isinstance(line, Absent)]
        lines: Sequence[list[Mark] | Mark | Absent]
        lines = [marks, *words] if chart.together and marks else row.lines
        for number, line in enumerate(lines):
            y = first + number
            if isinstance(line, Absent):
                _write(axis, 0.012, y, line.text, line.tone)
                continue
            given = line if isinstance(line, list) else [line]
            role = "text" if len(given) > 1 else chart.series[given[0].series].ink
            _write(axis, 1.015, y, " · ".join(mark.text for mark in given), role)
            for mark in given:
                placed.setdefault(mark.series, []).append((y, mark))
    for number, found in sorted(placed.items()):
        _draw_series(axis, chart.series[number], found)


def _draw_series(axis: Axes, series: Series, found: Sequence[tuple[float, Mark]]) -> None:
    colour = ink(series.ink)
    ranged = [(y, mark) for y, mark in found if not mark.bare]
    axis.plot(
        [x for _, mark in ranged for x in (mark.low, mark.high, math.nan)],
        [value for y, _ in ranged for value in (y, y, math.nan)],
        color=colour,
        linewidth=1.8,
        solid_capstyle="butt",
    )
    axis.plot(
        [mark.value for _, mark in found],
        [y for y, _ in found],
        **_looks(series),
        linestyle="none",
    )


def _write(axis: Axes, x: float, y: float, text: str, role: str | int) -> None:
    """Words at `x` of the axes' width."""
    axis.text(
        x,
        y,
        text,
        transform=axis.get_yaxis_transform(),
        va="center_baseline",
        color=ink(role),
        fontsize=_SMALL,
    )


def _looks(series: Series) -> dict[str, Any]:
    colour = ink(series.ink)
    inside = ink("paper") if series.hollow else colour
    return {
        "color": colour,
        "marker": series.marker,
        "markersize": 5.5,
        "markeredgewidth": 1.2,
        "markerfacecolor": inside,
    }


def _legend(series: Sequence[Series]) -> list[object]:
    from matplotlib.lines import Line2D  # noqa: PLC0415

    return [Line2D([], [], **_looks(one), linewidth=1.8, label=one.label) for one in series]
