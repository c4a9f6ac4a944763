"""Reports as files: what may be overwritten, and which picture goes where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from bench.errors import UsageError
from bench.files import replace_file
from bench.report import html, markdown, theme
from bench.report.build import pictures
from bench.report.model import Picture, Report

_MADE = theme.SOFTWARE.encode()
_MARKS = (html.MARK.encode(), markdown.MARK.encode(), _MADE)
"""What our files have in their first lines: pages, texts, pictures."""
_HEAD = 2_000
"""Bytes of a file in which it says whose it is."""


def save(path: Path, data: bytes, *, force: bool = False) -> Path:
    """Put `data` in the file `path`, whole or not at all, and return that.

    Raises UsageError where that cannot be, and where there is something that no report of ours
    wrote, unless force.
    """
    try:
        _refuse_others(path, force=force)
        replace_file(path, data)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}; name another place with -o"
        ) from None
    return path


def _refuse_others(path: Path, *, force: bool) -> None:
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "not a regular file"
        raise UsageError(f"{path}: is {what}; name a file with -o, or - for standard output")
    if path.exists() and not force and not _is_ours(path):
        raise UsageError(
            f"{path}: exists and is no report of vnetbench; name another file, or add --force"
        )


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return any(mark in head for mark in _MARKS)


def save_text(report: Report, folder: Path, *, force: bool = False) -> Path:
    """Write the report as Markdown with its pictures beside it, and return the text's file."""
    save_pictures(pictures(report), folder, "svg", force=force)
    text = markdown.text(report, linked=True)
    return save(folder / "report.md", text.encode(), force=force)


def save_pictures(
    chosen: Sequence[Picture], folder: Path, kind: Literal["svg", "png"], *, force: bool = False
) -> list[Path]:
    """Write pictures into a folder, which is made where there is none. Raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made: {error.strerror}") from None
    return [
        save(folder / f"{picture.name}.{kind}", drawn(picture, kind), force=force)
        for picture in chosen
    ]


def drawn(picture: Picture, kind: Literal["svg", "png"]) -> bytes:
    """A picture as a file of its own."""
    if kind == "png":
        return theme.png(picture)
    header, _, rest = theme.svg(picture, themed=False).encode().partition(b"\n")
    return b"\n".join((header, b"<!-- %b -->" % _MADE, rest))


def select(report: Report, names: Sequence[str]) -> list[Picture]:
    """The pictures of these names, in that order; all where there are none. Raises UsageError."""
    known = {picture.name: picture for picture in pictures(report)}
    for name in names:
        if name not in known:
            raise UsageError(f"no figure {name}; it has {', '.join(known) or 'none'}")
    if not known:
        raise UsageError("these results have no figure")
    return [known[name] for name in dict.fromkeys(names or known)]
