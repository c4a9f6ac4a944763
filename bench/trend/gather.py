"""Finding result sets in folders, and putting them in the order in which they were measured."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.errors import UsageError
from bench.results.read import RUN
from bench.trend.parallel import read_all
from bench.trend.read import Session

_DEPTH = 3
"""How many levels below a given folder are searched."""


def gather(folders: Sequence[Path]) -> tuple[list[Session], list[str]]:
    """Read all sets in or below `folders`; return them by time, and why others were left out.

    Raises UsageError where there is no folder, or no set that could be read in any of them.
    """
    left_out: list[str] = []
    sessions: dict[str, Session] = {}
    paths = list(_distinct(folders, left_out))
    for path, found in zip(paths, read_all(paths), strict=True):
        if isinstance(found, UsageError):
            left_out.append(str(found))
            continue
        # A copy would count as a second session that agrees wonderfully with the first.
        first = sessions.setdefault(found.id, found)
        if first is not found:
            left_out.append(f"{path}: is the run that is also in {first.path}")
    if not sessions:
        places = ", ".join(map(str, folders))
        why = f"; {left_out[0]}" if left_out else f"; {RUN} makes a folder one"
        raise UsageError(f"{places}: no finished result set there{why}")
    return sorted(sessions.values(), key=lambda s: (s.started, str(s.path))), left_out


def _distinct(folders: Sequence[Path], left_out: list[str]) -> Iterator[Path]:
    seen: set[str] = set()
    for folder in folders:
        if not os.path.isdir(folder):
            raise UsageError(f"{folder}: is not a folder; expected result sets, or what holds them")
        for path in _sets(folder, _DEPTH, left_out):
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                yield path


def _sets(folder: Path, depth: int, left_out: list[str]) -> Iterator[Path]:
    """`folder` itself where it is a set, else those below it."""
    if os.path.lexists(folder / RUN):
        yield folder
        return
    try:
        with os.scandir(folder) as entries:
            below = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        left_out.append(f"{folder}: cannot be read: {error.strerror}")
        return
    if depth:
        for name in below:
            yield from _sets(folder / name, depth - 1, left_out)
