"""Pictures of counts: a row for each path and a panel for each count, with what was predicted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.report import theme
from bench.report.axes import Span, linear_ticks
from bench.report.model import Picture
from bench.report.naming import in_lines
from bench.report.parts import evenly, numbered
from bench.report.rows import MOST, TOLD
from bench.report.theme import ink
from bench.units import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 8.6
_FITS, _LETTER = 20, 0.08
"""Letters of a label that this width has room for, and inches of each more."""
_ROW = 0.36
"""Inches of a row, whose label has one line or two."""
_LINE = 0.17
_THIN, _THICK = 3.5, 7.0
"""Points that bars are high."""
_ASIDE = 0.075
"""Inches by which two bars of a row stand off its middle."""
_ROOM = 1.55
"""By how much a panel is wider than its longest bar: figures stand behind bars."""


@dataclass(frozen=True)
class Bar:
    """A count and what was predicted of it; None: not observed, nobody predicts it.

    text: the count as it is written. agrees: it is what was predicted, as far as anything was.
    """

    observed: float | None
    predicted: float | None
    text: str
    agrees: bool


Rows = Sequence[tuple[str, tuple[Bar, ...]]]
"""Path → a bar for each panel."""


def pictures(name: str, title: str, panels: Sequence[str], rows: Rows) -> Iterator[Picture]:
    """The rows in as many pictures as it takes, with the same axes; none without a count."""
    if not any(bar.observed is not None for _, bars in rows for bar in bars):
        return
    for own_name, own_title, part in numbered(name, title, evenly(rows, MOST)):
        yield Picture(
            name=own_name,
            title=own_title,
            text=theme.described([title, *_told(panels, part)]),
            draw=partial(_draw, panels, rows, part),
        )


def _told(panels: Sequence[str], rows: Rows) -> Iterator[str]:
    for label, bars in rows[:TOLD]:
        said = [
            f"{panel} {bar.text}"
            + (f" ({bar.predicted:g} predicted)" if bar.predicted is not None else "")
            for panel, bar in zip(panels, bars, strict=True)
            if bar.observed is not None
        ]
        yield f"{label}: {', '.join(said) or 'not measured'}"
    if len(rows) > TOLD:
        yield f"the table has {counted(len(rows) - TOLD, 'row')} more"


# ---- drawing ------------------------------------------------------------------------------------


def _draw(panels: Sequence[str], rows: Rows, part: Rows) -> Figure:
    labels = [in_lines(label) for label, _ in part]
    heights = [max(_ROW, _LINE * (1 + label.count("\n")) + 0.08) for label in labels]
    middles = [sum(heights[:n]) + height / 2 for n, height in enumerate(heights)]
    longest_line = max(len(line) for label in labels for line in label.split("\n"))
    width = _WIDTH + _LETTER * max(0, longest_line - _FITS)
    figure = theme.new_figure(width, 0.75 + sum(heights))
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for number, (axis, panel) in enumerate(zip(axes, panels, strict=True)):
        longest = max(
            (v for _, bars in rows for v in (bars[number].observed, bars[number].predicted) if v),
            default=1.0,
        )
        _dress(axis, panel, longest, sum(heights))
        _draw_bars(axis, [(y, bars[number]) for y, (_, bars) in zip(middles, part, strict=True)])
    axes[0].set_yticks(middles, labels)
    figure.legend(handles=_legend(part), loc="outside upper left", ncols=3)
    return figure


def _dress(axis: Axes, panel: str, longest: float, height: float) -> None:
    span = Span(0.0, _ROOM * longest, log=False)
    axis.set(xlim=(span.low, span.high), ylim=(height, 0))
    ticks = [tick for tick in linear_ticks(span) if tick <= longest][:: 2 if longest > 1 else 1]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_title(panel)
    axis.grid(visible=False, axis="y")
    axis.tick_params("y", length=0)


def _draw_bars(axis: Axes, bars: Sequence[tuple[float, Bar]]) -> None:
    """What is predicted above, what was observed below it; bars of a kind are one stroke."""
    both = {y for y, bar in bars if bar.predicted is not None and bar.observed is not None}
    for bar_ink, width, side, ends in (
        ("dim", _THIN, -1, [(y, bar.predicted) for y, bar in bars]),
        (0, _THICK, 1, [(y, bar.observed) for y, bar in bars if bar.agrees]),
        ("bad", _THICK, 1, [(y, bar.observed) for y, bar in bars if not bar.agrees]),
    ):
        places = [(y + side * _ASIDE * (y in both), end) for y, end in ends if end is not None]
        axis.plot(
            [x for _, end in places for x in (0.0, end, math.nan)],
            [value for y, _ in places for value in (y, y, math.nan)],
            color=ink(bar_ink),
            linewidth=width,
            solid_capstyle="butt",
        )
    for y, bar in bars:
        if bar.observed is None:
            _write(axis, 0.0, y, "not observed", "dim")
        else:
            said = bar.text if bar.agrees else f"{bar.text} !"
            end = max(bar.observed, bar.predicted or 0.0)
            _write(axis, end, y, said, "text" if bar.agrees else "bad")


def _write(axis: Axes, x: float, y: float, text: str, role: str) -> None:
    written = axis.annotate(
        text,
        (x, y),
        (3, 0),
        textcoords="offset points",
        va="center_baseline",
        fontsize=8 if role != "dim" else 7,
        color=ink(role),
    )
    # There is room for it within the panel; to measure hundreds of texts takes long.
    written.set_in_layout(False)


def _legend(rows: Rows) -> list[object]:
    from matplotlib.lines import Line2D  # noqa: PLC0415

    def handle(role: str | int, width: float, label: str) -> Line2D:
        return Line2D([], [], color=ink(role), linewidth=width, label=label)

    bars = [bar for _, given in rows for bar in given]
    handles = [handle(0, _THICK, "observed")]
    if any(bar.predicted is not None for bar in bars):
        handles.insert(0, handle("dim", _THIN, "predicted by the scenario"))
    if any(not bar.agrees for bar in bars):
        handles.append(handle("bad", _THICK, "observed, and differs (!)"))
    return list(handles)
