"""What is wrong with a drawing: texts that meet, boxes in one place, lines through boxes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, pairwise

from matplotlib.backends.backend_agg import FigureCanvasAgg

from bench.drawing.figure import figure
from bench.drawing.layout import shapes_of
from bench.drawing.plan import Plan
from bench.drawing.shapes import Box, Line, Shapes
from bench.report import theme

_BANDS = ("host", "beside", "between", "user", "kernel")
"""Boxes that others stand in."""
_TOUCHING = 1e-6


def faults(plan: Plan) -> list[str]:
    """All that is wrong with the drawing of a plan, each in a line."""
    shapes = shapes_of(plan)
    texts = text_boxes(shapes)
    return [
        *_meeting("texts", texts),
        *_meeting("boxes", [(box.role, box) for box in shapes.boxes if box.role not in _BANDS]),
        *_meeting("frames", [(b.role, b) for b in shapes.boxes if b.role in _BANDS[:3]]),
        *_outside(shapes, texts),
        *_through(shapes, texts),
        *_cut(shapes, texts),
    ]


def text_boxes(shapes: Shapes) -> list[tuple[str, Box]]:
    """Each text, as large as matplotlib draws it; in inches from the upper left corner."""
    found = []
    with theme.drawing():
        drawn = figure(replace(shapes, boxes=(), lines=()))
        renderer = FigureCanvasAgg(drawn).get_renderer()
        [axes] = drawn.axes
        for text in axes.texts:
            extent = text.get_window_extent(renderer)
            x, width, height = (v / drawn.dpi for v in (extent.x0, extent.width, extent.height))
            found.append(
                (text.get_text(), Box(x, shapes.height - extent.y1 / drawn.dpi, width, height, ""))
            )
    return found


def overlap(a: Box, b: Box) -> bool:
    """Whether two boxes have more in common than a side."""
    return (
        a.x < b.right - _TOUCHING
        and b.x < a.right - _TOUCHING
        and a.y < b.bottom - _TOUCHING
        and b.y < a.bottom - _TOUCHING
    )


def _meeting(what: str, boxes: Sequence[tuple[str, Box]]) -> Iterator[str]:
    for (name, a), (other, b) in combinations(boxes, 2):
        if overlap(a, b):
            yield f"{what} {name!r} and {other!r} overlap"


def _outside(shapes: Shapes, texts: Sequence[tuple[str, Box]]) -> Iterator[str]:
    everything = [*texts, *((box.role, box) for box in shapes.boxes)]
    for line in shapes.lines:
        everything += [("the way", Box(x, y, 0, 0, "")) for x, y in line.points]
    for name, box in everything:
        if box.x < 0 or box.y < 0 or box.right > shapes.width or box.bottom > shapes.height:
            yield f"{name!r} is outside of the picture"


def _pieces(lines: Sequence[Line]) -> Iterator[Box]:
    for line in lines:
        for (x, y), (to_x, to_y) in pairwise(line.points):
            assert x == to_x or abs(y - to_y) < _TOUCHING, "a line goes neither along nor across"
            yield Box(min(x, to_x), min(y, to_y), abs(x - to_x), abs(y - to_y), "")


def _through(shapes: Shapes, texts: Sequence[tuple[str, Box]]) -> Iterator[str]:
    """Lines through boxes, and through texts."""
    boxes = [(box.role, box) for box in shapes.boxes if box.role not in _BANDS]
    for piece in _pieces(shapes.lines):
        thick = Box(piece.x - 2e-6, piece.y - 2e-6, piece.width + 4e-6, piece.height + 4e-6, "")
        for name, box in boxes:
            inner = Box(box.x + 1e-3, box.y + 1e-3, box.width - 2e-3, box.height - 2e-3, "")
            if overlap(thick, inner):
                yield f"the way goes through a {name}"
        for name, box in texts:
            if overlap(thick, box) and not name.isdigit():
                yield f"the way goes through {name!r}"


def _cut(shapes: Shapes, texts: Sequence[tuple[str, Box]]) -> Iterator[str]:
    """Texts that are half in a box."""
    boxes = [box for box in shapes.boxes if box.role not in ("user", "kernel")]
    for name, text in texts:
        for box in boxes:
            inside = (
                box.x <= text.x
                and text.right <= box.right
                and box.y <= text.y
                and text.bottom <= box.bottom
            )
            if overlap(text, box) and not inside and not name.isdigit():
                yield f"{name!r} is half in a {box.role}"
