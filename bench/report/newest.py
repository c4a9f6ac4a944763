"""Which result set somebody means who names none: the one that was begun last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.errors import UsageError
from bench.results.model import PROGRAM, Purpose, Status
from bench.results.read import RUN


class _Head(msgspec.Struct, frozen=True):
    """Of `run.json`, what tells whether somebody may mean it."""

    program: str
    status: Status
    started: str
    purpose: Purpose = "session"


def newest(folder: Path) -> Path:
    """The finished session in `folder` that began last. Raises UsageError where there is none."""
    found = max(_sessions(folder), default=None)
    if found is None:
        raise UsageError(
            f"{folder}: holds no finished result set; measure one with vnetbench run, or name one"
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
        if head.program == PROGRAM and wanted:
            yield head.started, file.parent
