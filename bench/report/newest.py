"""Which result set somebody means who names none: of their own the one that was begun last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.errors import UsageError
from bench.results.model import PROGRAM, Purpose, Status
from bench.results.read import RUN

KEPT = "KEPT"
"""A file in the sets that the project brings along: nobody measured these here."""


class _Head(msgspec.Struct, frozen=True):
    """Of `run.json`, what tells whether somebody may mean it."""

    program: str
    status: Status
    started: str
    purpose: Purpose = "session"


def newest(folder: Path) -> Path:
    """The finished session in `folder` that began last, of those that are not kept.

    Raises UsageError where there is none.
    """
    found = max(_sessions(folder), default=None)
    if found is None:
        kept = sorted(str(file.parent) for file in folder.glob(f"*/{KEPT}"))
        one_of = f" of {', '.join(kept)}" if kept else ""
        raise UsageError(
            f"{folder}: no runs here: make bench (or vnetbench run) first, or name one{one_of}"
        )
    return found[1]


def _sessions(folder: Path) -> Iterator[tuple[str, Path]]:
    """When each began, and where it is; what cannot be read is passed over."""
    for file in folder.glob(f"*/{RUN}"):
        try:
            head = msgspec.json.decode(file.read_bytes(), type=_Head)
        except (OSError, msgspec.MsgspecError):
            continue
        wanted = head.status != "running" and head.purpose == "session"
        if head.program == PROGRAM and wanted and not (file.parent / KEPT).exists():
            yield head.started, file.parent
