"""Reading a result set, and refusing in one line what is none."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.errors import UsageError
from bench.results.model import FORMAT, PROGRAM, Cell, Run, Sample, Series

PARTIAL = ".partial"
"""Suffix of the folder's name until the run has finished."""
RUN, SAMPLES = "run.json", "samples.csv"
HEADER = ",".join(Sample._fields)


@dataclass(frozen=True)
class ResultSet:
    """A result set as it was found at `path`.

    samples: those of completed trials only. torn: an unfinished set held more than that, the
    beginning of a trial that was being recorded when its run was killed.
    """

    path: Path
    run: Run
    samples: tuple[Sample, ...]
    torn: bool

    @property
    def finished(self) -> bool:
        """False while the set has its temporary name: its run goes on, or was killed."""
        return self.run.status != "running"

    def series(self) -> dict[Cell, Series]:
        """Every cell that has values, with one value for each block.

        A block's value is the median of its raw values: these come from one trial on one
        topology, so they are not independent and do not count as more than one.
        """
        probes = {planned.trial: planned.probe for planned in self.run.plan}
        raw: dict[Cell, dict[int, list[float]]] = {}
        about: dict[Cell, tuple[str, str]] = {}
        for sample in self.samples:
            cell = Cell(sample.variant, sample.arm, sample.metric)
            raw.setdefault(cell, {}).setdefault(sample.block, []).append(sample.value)
            about[cell] = (sample.unit, probes[sample.trial])
        return {
            cell: Series(*about[cell], {b: statistics.median(v) for b, v in blocks.items()})
            for cell, blocks in raw.items()
        }


class _Label(msgspec.Struct):
    """What every version of `run.json` has."""

    format: int
    program: str


def load(path: Path) -> ResultSet:
    """Read the result set in the folder `path`, finished or not.

    Raises UsageError, naming the file (and line) at fault, where there is none that this version
    can read.
    """
    run = _load_run(path)
    file = path / SAMPLES
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        if run.status == "complete":
            raise UsageError(
                f"{path}: has no {SAMPLES}, so its values are gone; restore it from a copy"
            ) from None
        data = b""
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    torn = False
    if run.status == "running":
        data, torn = _whole_lines(data)
    samples = tuple(_parse(data, file)) if data or run.status == "complete" else ()
    kept = tuple(_planned(samples, run, file))
    return ResultSet(path, run, kept, torn or len(kept) < len(samples))


def _whole_lines(data: bytes) -> tuple[bytes, bool]:
    """Cut off a last line without its end, which a killed writer leaves."""
    whole = data[: data.rfind(b"\n") + 1]
    return whole, whole != data


def _load_run(path: Path) -> Run:
    file = path / RUN
    if not path.is_dir():
        partial = path.with_name(path.name + PARTIAL) if path.name else path
        hint = f"; an unfinished run is in {partial}" if partial.is_dir() else ""
        raise UsageError(f"{path}: is not a folder; expected a result set{hint}")
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: has no {RUN}, so it is not a result set") from None
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    try:
        label = msgspec.json.decode(data, type=_Label)
    except msgspec.ValidationError:
        raise UsageError(f"{file}: is not from vnetbench; expected format and program") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{file}: is not readable JSON: {error}") from None
    if label.program != PROGRAM:
        raise UsageError(f'{file}: is not from vnetbench but from "{label.program}"')
    if label.format > FORMAT:
        raise UsageError(
            f"{path}: was written by a newer vnetbench (format {label.format}); "
            f"this one reads up to {FORMAT}"
        )
    try:
        run = msgspec.json.decode(data, type=Run)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{file}: is damaged: {error}") from None
    for planned in run.plan:
        if planned.variant not in run.variants:
            raise UsageError(f"{file}: is damaged: no variant {planned.variant}, which is planned")
    return run


def _parse(data: bytes, file: Path) -> Iterator[Sample]:
    try:
        header, *lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        before = data.count(b"\n", 0, error.start)
        raise UsageError(f"{file}:{before + 1}: is not UTF-8 text") from None
    if header != HEADER:
        raise UsageError(f"{file}:1: expected the header {HEADER}")
    if not lines or lines[-1]:
        raise UsageError(f"{file}:{len(lines) + 1}: the last line has no end; the file was cut")
    for number, line in enumerate(lines[:-1], 2):
        yield _row(line, f"{file}:{number}")


def _row(line: str, where: str) -> Sample:
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error as error:
        raise UsageError(f"{where}: is not valid CSV: {error}") from None
    fields = rows[0] if rows else []
    if len(fields) != len(Sample._fields):
        raise UsageError(
            f"{where}: expected {len(Sample._fields)} fields ({HEADER}), found {len(fields)}"
        )
    *texts, block, trial, value = fields
    try:
        sample = Sample(*texts, int(block), int(trial), float(value))  # type: ignore[call-arg, arg-type]
    except ValueError:
        raise UsageError(
            f"{where}: expected whole numbers for block and trial and a number for value, "
            f"found {block}, {trial}, {value}"
        ) from None
    if not math.isfinite(sample.value):
        raise UsageError(f"{where}: expected a finite value, found {value}")
    return sample


def _planned(samples: tuple[Sample, ...], run: Run, file: Path) -> Iterator[Sample]:
    """Yield the samples of completed trials; all others are a mistake in a set that is complete."""
    plan = {planned.trial: planned for planned in run.plan}
    completed = {trial.trial for trial in run.completed}
    units: dict[Cell, str] = {}
    for number, sample in enumerate(samples, 2):
        planned = plan.get(sample.trial)
        place = (sample.block, sample.variant, sample.arm)
        if not planned or place != (planned.block, planned.variant, planned.arm):
            raise UsageError(
                f"{file}:{number}: block {sample.block}, {sample.variant}, {sample.arm} is not "
                f"what {RUN} has planned as trial {sample.trial}"
            )
        cell = Cell(sample.variant, sample.arm, sample.metric)
        if units.setdefault(cell, sample.unit) != sample.unit:
            raise UsageError(
                f"{file}:{number}: {cell} has the unit {sample.unit}, and {units[cell]} above"
            )
        if sample.trial in completed:
            yield sample
        elif run.status == "complete":
            raise UsageError(
                f"{file}:{number}: trial {sample.trial} is not among those {RUN} calls completed"
            )
