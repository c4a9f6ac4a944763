"""Tables on terminals of any width: a figure is never broken, and no column goes missing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

_LONGEST_WORD = 24
"""Columns of text are at least as wide as their longest word, or this."""
_BETWEEN, _INDENT = 2, 2


class FittingTable(Table):
    """A table whose columns that may not wrap (figures) are never cut.

    Where it is too wide, its headings take more lines and columns of text, too; where that is not
    enough, each row becomes a block, with a line for each of its cells.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render it as wide as `options` allows."""
        for column in self.columns:
            column.header = _text(column.header)  # of a name in brackets, rich would see markup
            if not column.no_wrap:
                column.overflow = "fold"  # an ellipsis would hide something
        room = options.max_width - _BETWEEN * (len(self.columns) - 1)
        if sum(map(_natural, self.columns)) > room:
            for column in self.columns:
                if column.no_wrap:
                    column.header = _broken(_text(column.header), _widest(column))
            least = sum(map(_least, self.columns))
            if least >= room:
                yield from self._blocks(console, options.max_width)
                return
            # One cell is kept back: rich counts the first column's padding twice.
            _share(self.columns, room - 1 - least)
        yield from super().__rich_console__(console, options)

    def _blocks(self, console: Console, width: int) -> Iterator[Text]:
        first, *others = (_text(column.header) for column in self.columns)
        names = [_on_one_line(name) for name in others]
        column = max((name.cell_len for name in names), default=0) + _INDENT
        if self.title:
            yield from _wrapped(console, _text(self.title), width)
        for lead, *cells in zip(*(list(column.cells) for column in self.columns), strict=True):
            if _text(lead).plain:
                heading = Text.assemble(_on_one_line(first), " " if first else "", _text(lead))
                yield from _wrapped(console, heading, width)
            for name, cell in zip(names, cells, strict=True):
                value = _on_one_line(_text(cell))
                if value.plain:
                    yield from _entry(console, name, value, column, width)
        if self.caption:
            yield from _wrapped(console, _text(self.caption), width)


def _entry(console: Console, name: Text, value: Text, column: int, width: int) -> Iterator[Text]:
    """A cell behind the heading of its column; beneath it, where there is no room beside it."""
    room = width - _INDENT - name.cell_len - value.cell_len
    if room >= _BETWEEN:
        gap = min(room, max(_BETWEEN, column - name.cell_len))
        yield Text.assemble(" " * _INDENT, name, " " * gap, value)
        return
    for text, before in ((name, _INDENT), (value, 2 * _INDENT)):
        for line in _wrapped(console, text, width - before):
            yield Text.assemble(" " * before, line)


def _wrapped(console: Console, text: Text, width: int) -> Iterator[Text]:
    for line in text.wrap(console, width, overflow="fold"):
        line.rstrip()
        yield line


def _text(cell: object) -> Text:
    """What stands in a heading or a cell."""
    return cell if isinstance(cell, Text) else Text(str(cell))


def _on_one_line(text: Text) -> Text:
    return Text(" ").join(text.split("\n"))


def _lines(cell: object) -> list[str]:
    return _text(cell).plain.split("\n")


def _widest(column: Column) -> int:
    """Cells of the widest line in the column, not counting its heading."""
    return max((cell_len(line) for cell in column.cells for line in _lines(cell)), default=0)


def _natural(column: Column) -> int:
    """Cells that the column takes where there is room."""
    heading = max(map(cell_len, _lines(column.header)))
    return max(heading, _widest(column), column.min_width + 1 if column.min_width else 0)


def _least(column: Column) -> int:
    """Cells that it takes at least."""
    if column.no_wrap:
        return _natural(column)
    words = [
        cell_len(word)
        for cell in (column.header, *column.cells)
        for word in _text(cell).plain.split()
    ]
    longest = min(max(words, default=0), _LONGEST_WORD)
    return min(column.min_width or longest, _natural(column))


def _share(columns: list[Column], spare: int) -> None:
    """Give the columns of text their widths: what each needs, and its part of what is left."""
    texts = [column for column in columns if not column.no_wrap]
    wanted = {id(column): _natural(column) - _least(column) for column in texts}
    total = sum(wanted.values())
    for column in texts:
        part = spare * wanted[id(column)] // total if total else 0
        column.width = _least(column) + min(part, wanted[id(column)])


def _broken(heading: Text, width: int) -> Text:
    """The heading on as many lines as it takes to be no wider than `width`, if that is possible.

    It is broken between words, and within the name of a variant, "vxlan[mtu=1400,streams=8]".
    """
    words = re.findall(r"\S+\s*", heading.plain)
    pieces = [piece for word in words for piece in re.split(r"(?=\[)|(?<=,)", word) if piece]
    lines = [""]
    for piece in pieces:
        if lines[-1] and cell_len((lines[-1] + piece).strip()) > width:
            lines.append("")
        lines[-1] += piece
    return Text("\n".join(line.strip() for line in lines), style=heading.style)
