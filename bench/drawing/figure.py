"""A drawing as matplotlib draws it, in the report's colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.drawing.layout import shapes_of
from bench.drawing.plan import Plan
from bench.drawing.shapes import Box, Label, Line, Mark, Shapes
from bench.report.theme import ink

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WAY = 5
"""The series whose colour the way has: none that a box has, so it stands out on all of them."""
_ARROW = 0.075
_MARK = 0.085
_ROUND = 0.05
_LINE, _CASING = 1.7, 5.5
"""Points: the way, and what each tunnel adds to it."""

_BOXES: dict[str, dict[str, Any]] = {
    "host": {"fill": "fill", "edge": "dim", "width": 1.0},
    "beside": {"fill": "paper", "edge": "line", "width": 0.8, "dashed": True},
    "between": {"fill": "user", "edge": "dim", "width": 0.8, "dashed": True},
    "user": {"fill": "user", "edge": "dim", "width": 0.6},
    "kernel": {"fill": "kernel", "edge": "dim", "width": 0.6},
    "process": {"fill": "paper", "edge": "1", "width": 1.2, "round": True},
    "ip": {"fill": "paper", "edge": "0", "width": 0.8, "round": True, "dashed": True},
    "device": {"fill": "paper", "edge": "0", "width": 1.2},
    "join": {"fill": "kernel", "edge": "0", "width": 0.8, "dashed": True},
    "aside": {"fill": "fill", "edge": "line", "width": 0.8},
}
"""Role → how a box is drawn. Processes and devices differ in form as well as in colour."""


def figure_of(plan: Plan) -> Figure:
    """Draw a plan; within `theme.drawing()`."""
    return figure(shapes_of(plan))


def figure(shapes: Shapes) -> Figure:
    """Draw shapes, each inch as one."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    drawn = Figure(figsize=(shapes.width, shapes.height))
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, shapes.width)
    axes.set_ylim(shapes.height, 0)
    order = 1
    behind = [box for box in shapes.boxes if box.role in ("host", "beside", "between")]
    for group in (behind, [b for b in shapes.boxes if b not in behind]):
        for box in group:
            order += 1
            _draw_box(axes, box, order)
    for line in shapes.lines:
        _draw_line(axes, line, order + 1)
    for mark in shapes.marks:
        _draw_mark(axes, mark, order + 4)
    for label in shapes.labels:
        _draw_label(axes, label, order + 4)
    return drawn


def _draw_box(axes: Axes, box: Box, order: int) -> None:
    from matplotlib.patches import FancyBboxPatch  # noqa: PLC0415

    style = _BOXES[box.role]
    corner = f"round,pad=0,rounding_size={_ROUND}" if style.get("round") else "square,pad=0"
    axes.add_artist(
        FancyBboxPatch(
            (box.x, box.y),
            box.width,
            box.height,
            boxstyle=corner,
            facecolor=ink(style["fill"]),
            edgecolor=ink(style["edge"]),
            linewidth=style["width"],
            linestyle=(0, (4, 2)) if style.get("dashed") else "solid",
            zorder=order,
        )
    )


def _draw_line(axes: Axes, line: Line, order: int) -> None:
    """A line with its arrow; inside of tunnels, a wider and paler one around it for each."""
    from matplotlib.lines import Line2D  # noqa: PLC0415
    from matplotlib.patches import Polygon  # noqa: PLC0415

    style: dict[str, Any] = {
        "color": ink(_WAY),
        "solid_capstyle": "butt",
        "solid_joinstyle": "round",
    }
    xs, ys = map(list, zip(*line.points, strict=True))
    for depth in range(line.depth, 0, -1):
        width = _LINE + _CASING * depth
        axes.add_artist(Line2D(xs, ys, alpha=0.22, linewidth=width, zorder=order, **style))
    (x0, y0), (x1, y1) = line.points[-2:]
    length = max(abs(x1 - x0), abs(y1 - y0)) or 1.0
    dx, dy = (x1 - x0) / length * _ARROW, (y1 - y0) / length * _ARROW
    xs[-1], ys[-1] = x1 - dx / 2, y1 - dy / 2
    axes.add_artist(Line2D(xs, ys, linewidth=_LINE, zorder=order + 1, **style))
    left, right = (x1 - dx - dy / 2, y1 - dy + dx / 2), (x1 - dx + dy / 2, y1 - dy - dx / 2)
    axes.add_artist(
        Polygon([(x1, y1), left, right], color=ink(_WAY), linewidth=0, zorder=order + 2)
    )


def _draw_mark(axes: Axes, mark: Mark, order: int) -> None:
    from matplotlib.patches import Circle  # noqa: PLC0415

    axes.add_artist(
        Circle(
            (mark.x, mark.y), _MARK, facecolor=ink("paper"), edgecolor=ink(_WAY), linewidth=1.5,
            zorder=order,
        )
    )  # fmt: skip
    axes.text(
        mark.x, mark.y, str(mark.number), size=7, weight="bold", color=ink(_WAY),
        ha="center", va="center_baseline", zorder=order + 1,
    )  # fmt: skip


def _draw_label(axes: Axes, label: Label, order: int) -> None:
    axes.text(
        label.x, label.y, label.text, size=label.size, weight="bold" if label.bold else "normal",
        color=ink("dim" if label.dim else "text"), ha=label.align, va="center_baseline",
        parse_math=False, zorder=order,
    )  # fmt: skip
