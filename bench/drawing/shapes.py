"""What a drawing consists of, and how large text is. Inches, from the upper left corner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

NAME, DETAIL = 8.5, 7.0
"""Points: of names, and of all else."""
_LINE = 1.4
"""Distance of lines, in sizes of their text."""
_ROOM = 1.06
"""How much wider text may be where it is drawn in another font than the one that measures it."""


@dataclass(frozen=True)
class Box:
    """x, y: its upper left corner. role: what it stands for, which decides how it looks.

    Hosts that the way does not come by are `beside`, a process on no host of the two that it joins
    is `between`; the bands of a host are `user` and `kernel`; devices without the way are `aside`.
    """

    x: float
    y: float
    width: float
    height: float
    role: str

    @property
    def right(self) -> float:
        """The x of its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of its lower side."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """The y of its middle."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Label:
    """A line of text. x: its left end, its middle or its right end. y: its middle."""

    x: float
    y: float
    text: str
    align: Literal["left", "center", "right"] = "center"
    bold: bool = False
    dim: bool = False

    @property
    def size(self) -> float:
        """Points."""
        return NAME if self.bold else DETAIL


@dataclass(frozen=True)
class Line:
    """A piece of the way. depth: of how many tunnels it is inside."""

    points: tuple[tuple[float, float], ...]
    depth: int = 0


@dataclass(frozen=True)
class Mark:
    """Where the way crosses the line between user and kernel space for the `number`th time."""

    x: float
    y: float
    number: int


@dataclass(frozen=True)
class Shapes:
    """A whole drawing; what comes first is behind what comes later."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]


@cache
def width_of(text: str, bold: bool = False) -> float:
    """How wide a line of text is at most."""
    from matplotlib.font_manager import FontProperties  # noqa: PLC0415
    from matplotlib.textpath import text_to_path  # noqa: PLC0415

    size = NAME if bold else DETAIL
    font = FontProperties(family="sans-serif", size=size, weight="bold" if bold else "normal")
    found, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(found) / 72 * _ROOM


def line_height(bold: bool = False) -> float:
    """From one line of text to the next."""
    return (NAME if bold else DETAIL) * _LINE / 72
