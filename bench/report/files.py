"""Reports as files: which picture goes where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from bench.errors import UsageError
from bench.report import markdown, theme
from bench.report.build import pictures
from bench.report.model import Picture, Report
from bench.saving import save


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
        raise UsageError(
            f"{folder}: cannot be made: {error.strerror}; name another place with -o"
        ) from None
    return [
        save(folder / f"{picture.name}.{kind}", theme.drawn(picture, kind), force=force)
        for picture in chosen
    ]


def select(report: Report, names: Sequence[str]) -> list[Picture]:
    """The pictures of these names, in that order; all where there are none. Raises UsageError."""
    known = {picture.name: picture for picture in pictures(report)}
    for name in names:
        if name not in known:
            raise UsageError(f"no figure {name}; it has {', '.join(known) or 'none'}")
    if not known:
        raise UsageError("these results have no figure")
    return [known[name] for name in dict.fromkeys(names or known)]
