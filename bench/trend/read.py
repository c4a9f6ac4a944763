"""Reading many result sets quickly: of each, only what a history needs.

`bench.results.load` keeps every row, and everything that was found inside the namespaces. Whatever
is not as a run writes it is left to that function here: it refuses it in one line or knows better.
Damage in a place where a history does not look goes unnoticed, and does no harm.
"""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench.errors import UsageError
from bench.results import Cell, PlannedTrial, load
from bench.results.model import FORMAT, PROGRAM, Purpose, Run, Status
from bench.results.read import HEADER, RUN, SAMPLES

Conditions = dict[str, dict[str, dict[str, float]]]
"""Arm → probe → what its figures hold for, as a `VariantRecord` has them."""


class Kind(NamedTuple):
    """What a variant was, as far as its values depend on it."""

    scenario: str
    parameters: dict[str, Any]
    sha256: str


class Value(NamedTuple):
    """What a set has of a cell: the median of its block values."""

    median: float
    unit: str
    probe: str


@dataclass(frozen=True, slots=True)
class Session:
    """One result set of a history.

    settings: probe → what the profile made it do. conditions: by variant.
    """

    path: Path
    id: str
    started: str
    version: str
    environment: dict[str, Any]
    variants: dict[str, Kind]
    settings: dict[str, dict[str, Any]]
    conditions: dict[str, Conditions]
    values: dict[Cell, Value]


class _Trial(msgspec.Struct, frozen=True, gc=False):
    trial: int


class _Variant(msgspec.Struct, frozen=True):
    scenario: str
    parameters: msgspec.Raw
    sha256: str
    conditions: Conditions = {}


class _Asked(msgspec.Struct, frozen=True):
    settings: dict[str, msgspec.Raw]


class _Run(msgspec.Struct, frozen=True):
    """The keys of `run.json` that count here; the others are not even taken apart."""

    format: int
    program: str
    version: str
    id: str
    status: Status
    started: str
    asked: _Asked
    variants: dict[str, _Variant]
    environment: dict[str, Any]
    failures: tuple[_Trial, ...]
    completed: tuple[_Trial, ...]
    plan: tuple[PlannedTrial, ...]
    purpose: Purpose = "session"


class _Head(NamedTuple):
    """A row of `samples.csv` without its value: all rows of a trial begin alike."""

    cell: Cell
    unit: str
    trial: int
    place: tuple[int, str, str]
    """Block, variant and arm, of which the run's plan must say the same."""


_decode = msgspec.json.Decoder(_Run).decode
_NOT_AS_WRITTEN = (
    OSError,
    ValueError,
    LookupError,
    RecursionError,
    csv.Error,
    msgspec.MsgspecError,
)


class Reader:
    """Reads one set after another; what they have in common is taken apart once."""

    def __init__(self) -> None:
        self._heads: dict[str, _Head] = {}
        self._objects: dict[bytes, dict[str, Any]] = {}

    def read(self, path: Path) -> Session:
        """Read the finished result set in the folder `path`. Raises UsageError."""
        try:
            return self._quickly(path)
        except _NOT_AS_WRITTEN:
            return _thoroughly(path)

    def _quickly(self, path: Path) -> Session:
        run = _decode((path / RUN).read_bytes())
        if (run.format, run.program) != (FORMAT, PROGRAM) or run.status == "running":
            raise ValueError(run.status)
        _refuse_helpers(path, run.purpose)
        values = self._values(run, (path / SAMPLES).read_bytes().decode())
        return _session(path, run, values, self._object)

    def _object(self, raw: msgspec.Raw) -> dict[str, Any]:
        """Decode an object, to the same one for the same text."""
        text = bytes(raw)
        if text not in self._objects:
            self._objects[text] = msgspec.json.decode(text, type=dict[str, Any])
        return self._objects[text]

    def _values(self, run: _Run, text: str) -> dict[Cell, Value]:
        plan = {trial.trial: trial for trial in run.plan}
        completed = {trial.trial for trial in run.completed}
        stopped = _stopped(run.plan, completed.union(trial.trial for trial in run.failures))
        found: dict[Cell, tuple[str, str, dict[int, list[float]]]] = {}
        for start, values in _trials(text).items():
            head = self._heads.get(start) or self._head(start)
            planned = plan[head.trial]
            block = planned.block
            if head.place != (block, planned.variant, planned.arm):
                raise ValueError(start)
            if head.trial not in completed:
                if run.status == "complete":
                    raise ValueError(start)
                continue
            if planned.variant not in run.variants or not math.isfinite(sum(values)):
                raise ValueError(start)
            before = found.get(head.cell)
            if before is None:
                before = found[head.cell] = head.unit, planned.probe, {}
            unit, _, blocks = before
            if unit != head.unit:
                raise ValueError(start)
            if block in blocks:
                blocks[block] += values
            elif block not in stopped:
                blocks[block] = values
        return {
            cell: Value(_median_of(blocks.values()), unit, probe)
            for cell, (unit, probe, blocks) in found.items()
            if blocks
        }

    def _head(self, start: str) -> _Head:
        # After its comma comes one field more, an empty one.
        [(_, variant, arm, metric, unit, block, trial, _)] = csv.reader([start], strict=True)
        place = int(block), variant, arm
        found = self._heads[start] = _Head(Cell(variant, arm, metric), unit, int(trial), place)
        return found


def _trials(text: str) -> dict[str, list[float]]:
    """The raw values of each trial and metric, by what their rows begin with."""
    header, *lines = text.split("\n")
    if header != HEADER or lines.pop():
        raise ValueError(header)
    found: dict[str, list[float]] = {}
    start, size, values = "\n", 1, [0.0]  # what no line begins with
    for line in lines:
        if not line.startswith(start):
            size = line.rfind(",") + 1
            start = line[:size]
            values = found.setdefault(start, [])
        values.append(float(line[size:]))
    return found


def _refuse_helpers(path: Path, purpose: Purpose) -> None:
    """What was chosen because it looked bad, or measured to weigh a handicap, is no history."""
    if purpose != "session":
        raise UsageError(f"{path}: is no session of its own but a {purpose}")


def _stopped(plan: Iterable[PlannedTrial], ended: set[int]) -> set[int]:
    """The blocks in which an interrupted run was stopped: only whole blocks count."""
    return {trial.block for trial in plan if trial.trial not in ended}


def _median_of(blocks: Iterable[list[float]]) -> float:
    # Many blocks have a single value, and the library takes its time even for that.
    return statistics.median(v[0] if len(v) == 1 else statistics.median(v) for v in blocks)


def _thoroughly(path: Path) -> Session:
    results = load(path)
    if not results.finished:
        raise UsageError(f"{path}: its run has not finished")
    run = results.run
    _refuse_helpers(path, run.purpose)
    stopped = {trial.block for trial in run.pending()}
    values = {}
    for cell, series in results.series().items():
        if whole := [value for block, value in series.blocks.items() if block not in stopped]:
            values[cell] = Value(statistics.median(whole), series.unit, series.probe)
    return _session(path, run, values, lambda found: found)


def _session(
    path: Path,
    run: Run | _Run,
    values: dict[Cell, Value],
    plain: Callable[[Any], dict[str, Any]],
) -> Session:
    """What a history needs of a run, whichever way it was read; `plain` gives parts as objects."""
    return Session(
        path=path,
        id=run.id,
        started=run.started,
        version=run.version,
        environment=run.environment,
        variants={
            name: Kind(variant.scenario, plain(variant.parameters), variant.sha256)
            for name, variant in run.variants.items()
        },
        settings={probe: plain(found) for probe, found in run.asked.settings.items()},
        conditions={name: variant.conditions for name, variant in run.variants.items()},
        values=values,
    )
