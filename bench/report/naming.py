"""Names within a report: of sets, paths, pictures and tables, and long ones cut into lines.

A report is passed on, so nothing in it says where on the machine something lies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bench.errors import ScenarioError, UsageError
from bench.results import ResultSet

_WIDTH, _LINES = 34, 4
"""Characters of a line beside a picture, and how many lines a name may have there."""


def set_names(sets: Sequence[ResultSet]) -> tuple[str, ...]:
    """What each set is called: its folder, with as many of those around it as tell it apart.

    One that is there twice has a number behind it.
    """
    parts = [results.path.resolve().parts for results in sets]
    names: list[str] = []
    for own in parts:
        others = [other for other in parts if other != own]
        name = next(
            "/".join(own[-length:])
            for length in range(1, len(own) + 1)
            if length == len(own) or all(other[-length:] != own[-length:] for other in others)
        )
        again = sum(parts[n] == own for n in range(len(names)))
        names.append(f"{name} ({again + 1})" if again else name)
    return tuple(names)


def reason(error: UsageError, results: ResultSet, name: str) -> str:
    """What an error says of a set, by the set's name and without folders."""
    text = str(without_folder(error))
    return text.replace(str(results.path), name) if results.path.is_absolute() else text


def without_folder(error: UsageError) -> UsageError:
    """The same; one of a scenario's file names that without its folder."""
    if isinstance(error, ScenarioError):
        return ScenarioError(Path(error.source).name, error.key, error.problem)
    return error


def path_name(asked: str) -> str:
    """What a variant is called that was asked for by its scenario's name or file."""
    base, bracket, parameters = asked.partition("[")
    return f"{Path(base).stem}{bracket}{parameters}"


def slug(*parts: str) -> str:
    """A name of a picture or a table: of lower-case letters, digits and `-`."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def in_lines(name: str) -> str:
    """A path's name in lines, broken after `,` and before what a parameter is, for a picture."""
    lines = [""]
    for piece in re.split(r"(?<=[,\[])", name):
        if lines[-1] and len(lines[-1]) + len(piece) > _WIDTH:
            lines.append("")
        lines[-1] += piece
    lines = [line[i : i + _WIDTH] for line in lines for i in range(0, len(line), _WIDTH)]
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], f"{lines[_LINES - 1][: _WIDTH - 1]}…"]
    return "\n".join(lines)
