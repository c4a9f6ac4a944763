"""Pictures with a line for each path, a few panels side by side and one legend for all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from bench.report import theme
from bench.report.model import Picture
from bench.report.naming import in_lines
from bench.report.parts import evenly, numbered
from bench.report.theme import MARKERS, SERIES, ink

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUP = SERIES
"""Lines of one picture: more could not be told apart."""
MOST = 3 * GROUP
"""Paths beyond which lines are no way to show them."""
_WIDTH = 8.0
_HEIGHT = 3.9
_LEGEND = 84
_DASHED, _DOTTED = (0, (4, 2)), (0, (1, 1.5))
Path = TypeVar("Path")

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One path's line, in the units of its axes.

    points: a part ends where the next is not a number. marked: where its marker stands; hollow:
    where it does for points of `dotted`. dashed, dotted: further lines of the same path.
    intervals: x, low and high of each interval.
    """

    label: str
    points: tuple[Point, ...]
    marked: tuple[Point, ...] = ()
    hollow: tuple[Point, ...] = ()
    dashed: tuple[Point, ...] = ()
    dotted: tuple[Point, ...] = ()
    intervals: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Panel:
    """Lines on one pair of axes; `dress` gives these their scales, ticks and labels.

    The lines of all panels of a picture are those of the same paths, in the same order.
    """

    lines: tuple[Line, ...]
    dress: Callable[[Axes], None]


def pictures(
    name: str,
    title: str,
    paths: Sequence[Path],
    told: Callable[[Path], str],
    panels: Callable[[Sequence[Path]], Sequence[Panel]],
    *,
    dashed: str = "",
    dotted: str = "",
) -> Iterator[Picture]:
    """The paths in as many pictures as it takes, about as many in each.

    told: a path in words. panels: those of a picture of these paths. dashed, dotted: what these
    lines are, for the legend.
    """
    for own_name, own_title, part in numbered(name, title, evenly(paths, GROUP)):
        yield Picture(
            name=own_name,
            title=own_title,
            text=theme.described([title, *map(told, part)]),
            draw=partial(_draw_part, panels, part, dashed, dotted),
        )


def _draw_part(
    panels: Callable[[Sequence[Path]], Sequence[Panel]],
    part: Sequence[Path],
    dashed: str,
    dotted: str,
) -> Figure:
    return draw(panels(part), dashed=dashed, dotted=dotted)


def draw(panels: Sequence[Panel], *, dashed: str = "", dotted: str = "") -> Figure:
    """The panels. dashed, dotted: what these lines are, for the legend."""
    labels = [in_lines(line.label) for line in panels[0].lines]
    lines_of = [line for panel in panels for line in panel.lines]
    handles = [_handle(number, label) for number, label in enumerate(labels)]
    if dashed and any(line.dashed for line in lines_of):
        labels.append(dashed)
        handles.append(_plain(dashed, _DASHED))
    if dotted and any(line.dotted for line in lines_of):
        labels.append(dotted)
        hollow = any(line.hollow for line in lines_of)
        handles.append(_plain(dotted, _DOTTED, MARKERS[0] if hollow else "none"))
    columns = _columns([part for label in labels for part in label.split("\n")])
    lines = math.ceil(sum(label.count("\n") + 1 for label in labels) / columns) + 1
    figure = theme.new_figure(_WIDTH, _HEIGHT + 0.18 * lines)
    for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        panel.dress(axis)
        for number, line in enumerate(panel.lines):
            _draw_line(axis, number, line)
    figure.legend(handles=handles, loc="outside upper left", ncols=columns)
    return figure


def _draw_line(axis: Axes, number: int, line: Line) -> None:
    colour = ink(number)
    (drawn,) = axis.plot(*_split(line.points), color=colour, linewidth=1.5)
    theme.tip(drawn, line.label)
    if line.dashed:
        axis.plot(*_split(line.dashed), color=colour, linewidth=1.1, linestyle=_DASHED)
    if line.dotted:
        axis.plot(*_split(line.dotted), color=colour, linewidth=1.3, linestyle=_DOTTED)
    if line.intervals:
        axis.plot(
            [value for x, _, _ in line.intervals for value in (x, x, math.nan)],
            [value for _, low, high in line.intervals for value in (low, high, math.nan)],
            color=colour,
            linewidth=1.0,
        )
    for marked, inside in ((line.marked, colour), (line.hollow, ink("paper"))):
        if marked:
            looks = {**_looks(number), "markerfacecolor": inside}
            axis.plot(*_split(marked), linestyle="none", **looks)


def _split(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _looks(number: int) -> dict[str, Any]:
    return {
        "color": ink(number),
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 5.5,
        "markeredgewidth": 0.9,
    }


def _handle(number: int, label: str) -> object:
    from matplotlib.lines import Line2D  # noqa: PLC0415

    return Line2D([], [], **_looks(number), linewidth=1.5, label=label)


def _plain(label: str, style: Any, marker: str = "none") -> object:
    """What a further line is; with a marker, what is hollow is that, too."""
    from matplotlib.lines import Line2D  # noqa: PLC0415

    looks = {**_looks(0), "color": ink("dim"), "marker": marker, "markerfacecolor": ink("paper")}
    return Line2D([], [], **looks, linewidth=1.2, linestyle=style, label=label)


def _columns(labels: Sequence[str]) -> int:
    return max(1, min(len(labels), _LEGEND // (max(map(len, labels)) + 7)))
