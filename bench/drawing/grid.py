"""Where the frames of a drawing are, and the boxes in them.

Frames stand side by side; where they do not fit the width they go on below, as words do. All rows
are equally high everywhere, so user space and kernel are told apart by one line across all hosts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.drawing.model import Leg
from bench.drawing.plan import ASIDE, IP, ROWS, USER, Frame, Node, Plan
from bench.drawing.shapes import Box, line_height, width_of

WIDEST = 10.2
"""Inches that frames may take before they go on below: a page is as wide. A single one may take
more."""
MARGIN = 0.12
LEFT = 0.95
"""What is left of the first frame: the names of the two bands, and a way that comes from above."""
RIGHT = 0.3
"""What is right of the last: a way that goes on below."""

_PAD = 0.085
"""Between a box's side and its text."""
_APART = 0.13
"""Between boxes side by side."""
_STEP = 0.2
"""Between rows: enough for an arrow."""
_EDGE = 0.12
"""Between a frame's side and what is in it."""
_MARK = 0.13
"""Above and below the line between user and kernel space, for the marks on it."""
_TITLE = 0.27
_NARROWEST_COLUMN, _NARROWEST_GAP = 0.34, 0.42
_FINER = 0.1
"""Steps in which it is tried how narrow a drawing can be."""
_LEAST = 0.3
"""Height of a row in which there are only frames without boxes."""


@dataclass(frozen=True)
class Rows:
    """Heights that all frames share, from a frame's upper side.

    tops, heights: of each row; a height of 0: there is no such row. line: where user space ends and
    the kernel begins. bottom: of the frame.
    """

    tops: tuple[float, ...]
    heights: tuple[float, ...]
    user: float
    line: float
    bottom: float

    def middle(self, row: int) -> float:
        """The middle of a row."""
        return self.tops[row] + self.heights[row] / 2


@dataclass(frozen=True)
class Placed:
    """A frame in its place.

    level: which line of frames it is in, from 0. top: of that line. columns: the left side of each
    column, and the right side of the last.
    """

    frame: Frame
    level: int
    top: float
    outline: Box
    columns: tuple[float, ...]

    def centre(self, column: int) -> float:
        """The x at which the way goes up or down a column."""
        return (self.columns[column] + self.columns[column + 1]) / 2


def lines_of(leg: Leg) -> tuple[list[str], list[str]]:
    """What is written above the way between two frames, and what below it."""
    above = [part for label in leg.tunnels for part in label.split(", ")]
    return above, [leg.link] if leg.link else []


def rows_of(plan: Plan) -> Rows:
    """How high each row is."""
    heights = [0.0] * ROWS
    for frame in (*plan.frames, *plan.beside):
        for node in frame.nodes:
            heights[node.row] = max(heights[node.row], _box_height(node.lines))
        for lines in frame.aside:
            heights[ASIDE] = max(heights[ASIDE], _box_height(lines))
    if plan.beside:
        heights[ASIDE] = max(heights[ASIDE], _LEAST)
    tops = [0.0] * ROWS
    tops[USER] = _TITLE + _EDGE
    line = tops[USER] + heights[USER] + _EDGE + _MARK
    y = line + _MARK + _EDGE
    for row in range(IP, ROWS):
        tops[row] = y
        y += heights[row] + _STEP if heights[row] else 0
    return Rows(tuple(tops), tuple(heights), _TITLE, line, y - _STEP + _EDGE)


def place(plan: Plan, rows: Rows) -> list[Placed]:
    """All frames in their places, those of the way first."""
    between = _gaps_between(plan)
    frames = (*plan.frames, *plan.beside)
    columns = [_column_widths(frame) for frame in frames]
    widths = [sum(one) + 2 * _EDGE for one in columns]
    gaps = [_gap(plan.legs[between[i]] if i in between else None) for i in range(len(frames))]
    levels = _evenly(widths, gaps, len(plan.frames))
    tops = _tops(plan, rows, levels)
    placed: list[Placed] = []
    x = LEFT
    for i, frame in enumerate(frames):
        x = x + gaps[i] if i and levels[i] == levels[i - 1] else LEFT
        top = tops[levels[i]]
        edges = [x + _EDGE]
        for one in columns[i]:
            edges.append(edges[-1] + one)
        outline = _outline(frame, x, top, widths[i], rows)
        placed.append(Placed(frame, levels[i], top, outline, tuple(edges)))
        x += widths[i]
    return placed


def _tops(plan: Plan, rows: Rows, levels: Sequence[int]) -> list[float]:
    """The upper side of each line of frames; one with nothing of the way is not as high."""
    last = levels[len(plan.frames) - 1]
    tops = [MARGIN + level * (rows.bottom + gutter(plan)) for level in range(last + 1)]
    for _ in range(levels[-1] - last):
        tops.append(tops[-1] + rows.bottom + MARGIN - _beside_top(rows))
    return tops


def _beside_top(rows: Rows) -> float:
    """How far below the upper side of its line a frame begins that the way does not come by."""
    return rows.tops[ASIDE] - _TITLE - _EDGE / 2


def _evenly(widths: Sequence[float], gaps: Sequence[float], frames: int) -> list[int]:
    """The line that each frame stands in: no more lines than needed, and none much longer.

    frames: how many of them are on the way. What is beside it comes where there is room.
    """
    own, before = widths[:frames], gaps[:frames]
    limit, lines = WIDEST, _levels(own, before, [WIDEST] * frames)[-1]
    while limit > _FINER and _levels(own, before, [limit - _FINER] * frames)[-1] == lines:
        limit -= _FINER
    return _levels(widths, gaps, [limit] * frames + [WIDEST] * (len(widths) - frames))


def _levels(widths: Sequence[float], gaps: Sequence[float], widest: Sequence[float]) -> list[int]:
    """The line that each frame stands in, where one goes on below as soon as it has to.

    widest: how far each may reach.
    """
    found: list[int] = []
    level, x = 0, LEFT
    for width, gap, most in zip(widths, gaps, widest, strict=True):
        if found and x + gap + width + RIGHT > most:
            level, x = level + 1, LEFT
        elif found:
            x += gap
        x += width
        found.append(level)
    return found


def gutter(plan: Plan) -> float:
    """Between two lines of frames: room for a way that goes on, and what is written at it."""
    most = max((len(lines_of(leg)[0]) for leg in plan.legs), default=0)
    return 0.3 + line_height() * (most + 1.5)


def _gaps_between(plan: Plan) -> dict[int, int]:
    """Frame, but the first → the leg that leads into it."""
    found, stops = {}, 0
    for i, frame in enumerate(plan.frames):
        if i:
            found[i] = stops - 1
        stops += len(frame.nodes)
    return found


def _gap(leg: Leg | None) -> float:
    """The room between two frames."""
    texts = [text for part in lines_of(leg) for text in part] if leg else []
    return max([_NARROWEST_GAP, *(width_of(text) + 0.2 for text in texts)])


def _outline(frame: Frame, x: float, top: float, width: float, rows: Rows) -> Box:
    if not frame.nodes:
        y = _beside_top(rows)
        return Box(x, top + y, width, rows.bottom - y, "beside")
    if not frame.title:
        return Box(x, top + rows.user, width, rows.line - rows.user, "between")
    return Box(x, top, width, rows.bottom, "host")


def _column_widths(frame: Frame) -> list[float]:
    """How wide each column is, so that all boxes fit side by side, and the title."""
    widths = [_NARROWEST_COLUMN] * frame.columns
    for node in sorted(frame.nodes, key=lambda node: node.last - node.first):
        _widen(widths, node.first, node.last, box_width(node.lines) + _APART)
    aside = sum(box_width(lines) + _APART for lines in frame.aside)
    title = width_of(frame.title, bold=True)
    _widen(widths, 0, frame.columns - 1, max(aside, title))
    return widths


def _widen(widths: list[float], first: int, last: int, least: float) -> None:
    """Share out what some columns lack together."""
    missing = least - sum(widths[first : last + 1])
    if missing > 0:
        for column in range(first, last + 1):
            widths[column] += missing / (last + 1 - first)


# ---- boxes --------------------------------------------------------------------------------------


def box_width(lines: Sequence[str]) -> float:
    """How wide the box of some lines is."""
    name, *others = lines
    return max([width_of(name, bold=True), *map(width_of, others)]) + 2 * _PAD


def _box_height(lines: Sequence[str]) -> float:
    return line_height(bold=True) + (len(lines) - 1) * line_height() + 0.1


def node_box(placed: Placed, node: Node, rows: Rows) -> Box:
    """The box of a stop: as wide as its text, or, where the way turns, as its columns."""
    y, height = placed.top + rows.tops[node.row], rows.heights[node.row]
    left, right = placed.columns[node.first], placed.columns[node.last + 1]
    width = right - left - _APART
    if node.first == node.last:
        width = min(width, box_width(node.lines))
    return Box((left + right - width) / 2, y, width, height, node.kind)


def aside_boxes(placed: Placed, rows: Rows) -> Iterator[tuple[Box, tuple[str, ...]]]:
    """The boxes of what the way does not come by, each with its lines, in the frame's middle."""
    widths = [box_width(lines) for lines in placed.frame.aside]
    outline = placed.outline
    free = outline.width - sum(widths) - _APART * (len(widths) - 1)
    x, y = outline.x + free / 2, placed.top + rows.tops[ASIDE]
    for width, lines in zip(widths, placed.frame.aside, strict=True):
        yield Box(x, y, width, rows.heights[ASIDE], "aside"), lines
        x += width + _APART
