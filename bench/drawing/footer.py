"""What stands below a drawing: each crossing by its number, and what the lines mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.drawing.plan import Plan
from bench.drawing.shapes import Box, Label, Line, Mark, Shapes, line_height, width_of
from bench.units import counted

_SIGN = 0.36
"""Room for the sign before an explanation."""
_BETWEEN = 0.3
"""Between two explanations side by side."""
_MARK_ROOM = 0.22
_SIZE = 1.45
"""Distance of lines, in those of text."""


@dataclass(frozen=True)
class _Item:
    """An explanation: its sign, and of what."""

    sign: str
    text: str
    number: int = 0

    @property
    def width(self) -> float:
        return (_MARK_ROOM if self.sign == "mark" else _SIGN) + width_of(self.text)


def footer(plan: Plan, left: float, top: float, right: float) -> Shapes:
    """Everything below the frames; its width and height are those of all down to its end."""
    marks = [_Item("mark", text, i) for i, text in enumerate(plan.notes, start=1)]
    crossings = counted(len(marks), "crossing")
    heading = f"{crossings} of the line between user and kernel space"
    step = line_height() * _SIZE
    labels = [Label(left, top + line_height(bold=True) / 2, heading, "left", bold=True)]
    places = list(_in_columns(marks, left, top + line_height(bold=True) * 1.15, right, step))
    last = _lowest(places) + 2 * step
    places += _in_a_row(list(_signs(plan)), left, last, right, step)
    labels += [_label(*place) for place in places]
    lines = [line for place in places for line in _line(*place)]
    return Shapes(
        width=max([left + width_of(heading, bold=True), *(x + i.width for i, x, _ in places)]),
        height=_lowest(places) + step,
        boxes=tuple(box for place in places for box in _box(*place)),
        lines=tuple(lines),
        marks=tuple(Mark(x + 0.08, y, i.number) for i, x, y in places if i.sign == "mark"),
        labels=tuple(labels),
    )


def _signs(plan: Plan) -> Iterator[_Item]:
    """What is to be explained of what is in the drawing."""
    yield _Item("way", "the packet's way from client to server")
    if any(leg.tunnels for leg in plan.legs):
        yield _Item("tunnel", "inside a tunnel's packet")
    if plan.beside or any(frame.aside for frame in plan.frames):
        yield _Item("aside", "not on its way")


_Place = tuple[_Item, float, float]
"""An explanation, its left end and its middle."""


def _lowest(places: Sequence[_Place]) -> float:
    """The y of the last line; the last column may be shorter than others."""
    return max(y for _, _, y in places)


def _in_columns(
    items: Sequence[_Item], left: float, top: float, right: float, step: float
) -> Iterator[_Place]:
    """One below the other, in as many columns as there is room for."""
    widest = max(item.width for item in items) + _BETWEEN
    columns = max(1, min(len(items), int((right - left + _BETWEEN) / widest)))
    rows = -(-len(items) // columns)
    for i, item in enumerate(items):
        yield item, left + (i // rows) * widest, top + (i % rows + 0.5) * step


def _in_a_row(
    items: Sequence[_Item], left: float, y: float, right: float, step: float
) -> Iterator[_Place]:
    """Side by side, and on below where there is no more room."""
    x = left
    for item in items:
        if x > left and x + item.width > right:
            x, y = left, y + step
        yield item, x, y
        x += item.width + _BETWEEN


def _label(item: _Item, x: float, y: float) -> Label:
    return Label(x + item.width - width_of(item.text), y, item.text, "left")


def _line(item: _Item, x: float, y: float) -> Iterator[Line]:
    if item.sign in ("way", "tunnel"):
        yield Line(((x, y), (x + _SIGN - 0.08, y)), depth=item.sign == "tunnel")


def _box(item: _Item, x: float, y: float) -> Iterator[Box]:
    if item.sign == "aside":
        yield Box(x, y - 0.05, _SIGN - 0.08, 0.1, "aside")
