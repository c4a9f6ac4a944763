"""What a report is made of, for programs: every raw value, and every cell as it is summarised."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.report.naming import set_names
from bench.results import CellSummary, ResultSet, summarise
from bench.results.read import HEADER
from bench.results.write import rows_of


class _Set(msgspec.Struct, frozen=True):
    name: str
    path: str
    run: str
    status: str
    cells: list[CellSummary]


class _Cells(msgspec.Struct, frozen=True):
    format: int
    sets: list[_Set]


def csv(sets: Sequence[ResultSet]) -> str:
    """The raw values that count, as `samples.csv` has them; of several sets, each row's first."""
    names = set_names(sets)
    several = len(sets) > 1
    rows = (
        rows_of(results.samples, *((name,) if several else ()))
        for name, results in zip(names, sets, strict=True)
    )
    return f"{'set,' if several else ''}{HEADER}\n{''.join(rows)}"


def json(sets: Sequence[ResultSet]) -> str:
    """`format` (1) and `sets`: of each `name`, `path`, `run` (id), `status` and `cells`.

    The cells are those of `summary.json`.
    """
    found = [
        _Set(name, str(results.path), results.run.id, results.run.status, summarise(results))
        for name, results in zip(set_names(sets), sets, strict=True)
    ]
    return msgspec.json.format(msgspec.json.encode(_Cells(1, found)), indent=1).decode() + "\n"
