"""Where everything in a drawing is: a plan with measures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.drawing import grid
from bench.drawing.footer import footer
from bench.drawing.grid import LEFT, MARGIN, RIGHT, Placed, Rows
from bench.drawing.model import Leg
from bench.drawing.plan import Node, Plan, falls, rises
from bench.drawing.shapes import Box, Label, Line, Mark, Shapes, line_height

_BANDS = ("user space", "kernel")
_LABEL_SPACE = 0.05
"""Between the way and what is written at it."""


@dataclass(frozen=True)
class _Stop:
    """A box of the way in its place."""

    placed: Placed
    node: Node
    box: Box

    @property
    def leaves_at(self) -> float:
        """The x at which the way goes on up or down."""
        return self.placed.centre(self.node.last)

    @property
    def comes_at(self) -> float:
        """The x at which the way comes from above or below."""
        return self.placed.centre(self.node.first)


def shapes_of(plan: Plan) -> Shapes:
    """Give everything its place."""
    rows = grid.rows_of(plan)
    placed = grid.place(plan, rows)
    stops = [
        _Stop(one, node, grid.node_box(one, node, rows))
        for one in placed
        for node in one.frame.nodes
    ]
    boxes = [box for one in placed for box in _backgrounds(one, rows)]
    labels = [label for one in placed for label in _titles(one, rows)]
    for stop in stops:
        boxes.append(stop.box)
        labels += _text(stop.box, stop.node.lines)
    for one in placed:
        for box, lines in grid.aside_boxes(one, rows):
            boxes.append(box)
            labels += _text(box, lines, dim=True)
    ways: list[Line] = []
    marks: list[Mark] = []
    right = max(one.outline.right for one in placed)
    for (before, after), leg in zip(pairwise(stops), plan.legs, strict=True):
        way = _Way(before, after, leg, rows, right + RIGHT / 2, grid.gutter(plan))
        ways.append(way.line())
        marks += way.marks()
        labels += way.labels()
    bottom = max(one.outline.bottom for one in placed)
    foot = footer(plan, LEFT, bottom + 0.22, max(right, LEFT + 5.5))
    return Shapes(
        width=max(right + RIGHT, foot.width + MARGIN),
        height=foot.height + MARGIN,
        boxes=(*boxes, *foot.boxes),
        lines=(*ways, *foot.lines),
        marks=(*marks, *foot.marks),
        labels=(*labels, *foot.labels),
    )


def _backgrounds(placed: Placed, rows: Rows) -> Iterator[Box]:
    """A frame, and the two bands in it."""
    outline = placed.outline
    yield outline
    if outline.role == "host":
        user = rows.line - rows.user
        yield Box(outline.x, placed.top + rows.user, outline.width, user, "user")
        kernel = rows.bottom - rows.line
        yield Box(outline.x, placed.top + rows.line, outline.width, kernel, "kernel")


def _titles(placed: Placed, rows: Rows) -> Iterator[Label]:
    """A host's name; and at the left of each line of frames those of the bands."""
    outline = placed.outline
    if placed.frame.title:
        y = outline.y + rows.user / 2
        dim = outline.role == "beside"
        yield Label(outline.x + 0.1, y, placed.frame.title, "left", bold=True, dim=dim)
    if outline.x == LEFT and outline.role != "beside":
        x = LEFT - RIGHT
        yield Label(x, placed.top + (rows.user + rows.line) / 2, _BANDS[0], "right", dim=True)
        yield Label(x, placed.top + (rows.line + rows.bottom) / 2, _BANDS[1], "right", dim=True)


def _text(box: Box, lines: Sequence[str], dim: bool = False) -> Iterator[Label]:
    """The lines of a box, in its middle."""
    name, *others = lines
    height = line_height(bold=True) + len(others) * line_height()
    x, y = box.x + box.width / 2, box.middle - height / 2
    yield Label(x, y + line_height(bold=True) / 2, name, bold=True, dim=dim)
    y += line_height(bold=True)
    for i, text in enumerate(others):
        yield Label(x, y + (i + 0.5) * line_height(), text, dim=True)


@dataclass(frozen=True)
class _Way:
    """How the way gets from one box to the next.

    edge: the x at which it goes on below, where the next one is in another line. gutter: the space
    between two lines.
    """

    before: _Stop
    after: _Stop
    leg: Leg
    rows: Rows
    edge: float
    gutter: float

    def line(self) -> Line:
        """The way itself."""
        if self.before.placed is self.after.placed:
            points = self._within()
        else:
            points = [*self._start(), *self._across(), *self._end()]
        kept = [p for p, q in zip(points, [*points[1:], None], strict=True) if p != q]
        return Line(tuple(kept), len(self.leg.tunnels))

    def marks(self) -> Iterator[Mark]:
        """Where it crosses the line between user and kernel space."""
        if self.leg.crossing is None:
            return
        below = self.before.placed is not self.after.placed and rises(self.leg)
        stop = self.after if below else self.before
        x = stop.comes_at if below else stop.leaves_at
        yield Mark(x, stop.placed.top + self.rows.line, self.leg.crossing.number)

    def labels(self) -> Iterator[Label]:
        """What is written at it, between two frames."""
        if self.before.placed is self.after.placed:
            return
        x, high, low = self._middle()
        above, below = grid.lines_of(self.leg)
        for i, text in enumerate(reversed(above)):
            yield Label(x, high - _LABEL_SPACE - (i + 0.5) * line_height(), text)
        for i, text in enumerate(below):
            yield Label(x, low + _LABEL_SPACE + (i + 0.5) * line_height(), text, dim=True)

    def _within(self) -> list[tuple[float, float]]:
        a, b = self.before.box, self.after.box
        if self.before.node.row == self.after.node.row:
            return [(a.right, a.middle), (b.x, b.middle)]
        x = self.before.leaves_at
        return [(x, a.y), (x, b.bottom)] if b.y < a.y else [(x, a.bottom), (x, b.y)]

    @property
    def _out(self) -> float:
        """The y at which it leaves a frame."""
        row = self.after.node.row if falls(self.leg) else self.before.node.row
        return self.before.placed.top + self.rows.middle(row)

    @property
    def _in(self) -> float:
        """The y at which it enters the next."""
        row = self.before.node.row if rises(self.leg) else self.after.node.row
        return self.after.placed.top + self.rows.middle(row)

    @property
    def _wraps(self) -> bool:
        return self.before.placed.level != self.after.placed.level

    def _start(self) -> list[tuple[float, float]]:
        box = self.before.box
        if falls(self.leg):
            x = self.before.leaves_at
            return [(x, box.bottom), (x, self._out)]
        return [(box.right, self._out)]

    def _end(self) -> list[tuple[float, float]]:
        box = self.after.box
        if rises(self.leg):
            x = self.after.comes_at
            return [(x, self._in), (x, box.bottom)]
        return [(box.x, self._in)]

    def _middle(self) -> tuple[float, float, float]:
        """The middle between two frames: its x, and the y of what is highest and lowest there."""
        if self._wraps:
            x = (LEFT + self.edge) / 2
            y = self.after.placed.top - 0.1 - 1.5 * line_height()
            return x, y, y
        x = (self.before.placed.outline.right + self.after.placed.outline.x) / 2
        return x, min(self._out, self._in), max(self._out, self._in)

    def _across(self) -> list[tuple[float, float]]:
        """What is between two frames."""
        x, y, _ = self._middle()
        if self._wraps:
            left = LEFT - RIGHT / 2
            return [(self.edge, self._out), (self.edge, y), (left, y), (left, self._in)]
        return [(x, self._out), (x, self._in)] if self._out != self._in else []
