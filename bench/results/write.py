"""Writing a result set, trial by trial, so that whatever happens costs one trial at the most.

Until it is finished a set lives in `<directory>.partial`. A trial counts once `run.json` lists it
as completed, and that file is replaced as a whole after the trial's rows are on the disk: rows of
a trial that is not listed are the remains of a kill or a full disk, and reading ignores them.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from bench.errors import CannotMeasure, UsageError
from bench.files import replace_file, sync_folder, write_all
from bench.metrics import METRICS
from bench.results.derived import PYPERF, RTT, SUMMARY, pyperf_suite, summary_json
from bench.results.model import (
    Attempt,
    Canary,
    Completed,
    Failure,
    PlannedTrial,
    Quality,
    Run,
    Sample,
    now,
)
from bench.results.read import HEADER, PARTIAL, RUN, SAMPLES, ResultSet, load

if TYPE_CHECKING:
    from bench.probes import Measurement


class ResultWriter:
    """An unfinished result set, held by this process alone; a context manager.

    Leaving the context without `finish` keeps the partial set as a kill would, to be resumed.
    Every method that writes raises CannotMeasure, naming the file, when the disk is full or
    fails; what was recorded before stays as it was.
    """

    def __init__(self, directory: Path, run: Run, folder: int) -> None:
        """Use `create` or `resume`. folder: a locked descriptor of the partial set."""
        self.directory = directory
        self.run = run
        self._partial = partial_of(directory)
        self._taken: ResultSet | None = None
        with ExitStack() as stack:
            stack.callback(os.close, folder)
            samples = os.open(self._partial / SAMPLES, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            stack.callback(os.close, samples)
            self._folder, self._samples = folder, samples
            self._size = os.fstat(samples).st_size
            self._resources = stack.pop_all()

    @classmethod
    def create(cls, directory: Path, run: Run) -> Self:
        """Start a new set that will be called `directory`.

        Raises UsageError if there is something already, or a name cannot stand in a row.
        """
        directory = _absolute(directory)
        partial = partial_of(directory)
        _check_names(run)
        if _occupied(directory):
            raise UsageError(f"{directory}: exists, and is never overwritten; name another")
        if partial.exists():
            raise UsageError(f"{partial}: is a run that did not finish; resume it or remove it")
        try:
            partial.mkdir(parents=True)
        except OSError as error:
            raise UsageError(
                f"{partial}: cannot be created: {error.strerror}; name another place with -o"
            ) from None
        try:
            folder = _lock(partial)
            replace_file(partial / SAMPLES, f"{HEADER}\n".encode())
            replace_file(partial / RUN, _encode(run))
            sync_folder(partial.parent)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise CannotMeasure(f"{partial}: cannot be written: {error.strerror}") from None
        return cls(directory, run, folder)

    @classmethod
    def resume(cls, directory: Path) -> Self:
        """Reopen a set that was killed or interrupted, under its final or its temporary name.

        Raises UsageError as `load_unfinished` does, and if another process is writing it. Where a
        UsageError ends the context before a trial has been added, the set is left as it was.
        """
        directory = _named(directory)
        partial = partial_of(directory)
        found = _where(directory)
        try:
            folder = _lock(found)
        except OSError as error:
            raise UsageError(f"{found}: cannot be opened: {error.strerror}") from None
        try:
            results = load_unfinished(directory)
            if found == directory:
                found.rename(partial)
            run = msgspec.structs.replace(results.run, status="running", finished=None)
            if results.torn or not results.samples:
                replace_file(partial / SAMPLES, f"{HEADER}\n{rows_of(results.samples)}".encode())
            replace_file(partial / RUN, _encode(run))
        except OSError as error:
            os.close(folder)
            raise CannotMeasure(f"{partial}: cannot be written: {error.strerror}") from None
        except BaseException:
            os.close(folder)
            raise
        writer = cls(directory, run, folder)
        writer._taken = results
        return writer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        with self._resources:
            if isinstance(error, UsageError):
                self._give_back()

    def _give_back(self) -> None:
        """Leave a resumed set as it was found, unless a trial has been added to it."""
        if self._taken is None or self.run.pending() != self._taken.run.pending():
            return
        # The error under way says what is wrong; a set that stays partial can be resumed as well.
        with suppress(OSError):
            replace_file(self._partial / RUN, _encode(self._taken.run))
            self._partial.rename(self._taken.path)

    def pending(self) -> list[PlannedTrial]:
        """The trials still to be done, in the order that was planned."""
        return self.run.pending()

    def record(
        self, trial: PlannedTrial, measurement: Measurement, attempts: Sequence[Attempt] = ()
    ) -> None:
        """Add what a trial gave: its values, and the tools' own output as `<tool>/<trial>.json`.

        attempts: how undisturbed it was; they are on record if and only if the trial is.
        """
        scenario = self.run.variants[trial.variant].scenario
        rows = rows_of(
            Sample(
                *(scenario, trial.variant, trial.arm, metric, METRICS[metric].unit),
                *(trial.block, trial.trial, value),
            )
            for metric, values in measurement.samples.items()
            for value in values
        )
        raw = dict(measurement.raw)
        if measurement.pyperf is not None:
            raw[PYPERF] = measurement.pyperf
        for tool, output in raw.items():
            self._put(f"{tool}/{trial.trial}.json", output)
        if found := dict(measurement.conditions):
            self.record_conditions(trial.variant, trial.arm, trial.probe, found)
        self._append(rows.encode(), Completed(trial.trial, now()), self._quality(trial, attempts))

    def record_failure(
        self,
        trial: PlannedTrial,
        reason: str,
        *,
        missing: bool = False,
        attempts: Sequence[Attempt] = (),
    ) -> None:
        """Add that a trial could not be measured, and why; see `Failure` for `missing`.

        attempts: the disturbed tries before the one that failed.
        """
        failure = Failure(**msgspec.structs.asdict(trial), reason=reason, missing=missing)
        self._update(failures=(*self.run.failures, failure), quality=self._quality(trial, attempts))

    def record_canary(
        self, block: int, values: dict[str, float], spoilt: tuple[str, ...] = ()
    ) -> None:
        """Add what the machine itself did before a block; see `Canary`."""
        self._update(canaries=(*self.run.canaries, Canary(block, now(), values, spoilt)))

    def record_facts(self, variant: str, arm: str, facts: Any) -> None:
        """Add what was found inside the namespaces of a variant in one arm."""
        record = self.run.variants[variant]
        record = msgspec.structs.replace(record, facts={**record.facts, arm: facts})
        self._update(variants={**self.run.variants, variant: record})

    def conditions(self, variant: str, arm: str) -> dict[str, float]:
        """What was found for a variant, or for any, in one arm that its trials go by."""
        all_variants = list(self.run.variants) if self.run.asked.one_for_all else []
        found: dict[str, float] = {}
        for name in (*all_variants, variant):
            for each in self.run.variants[name].conditions.get(arm, {}).values():
                found |= each
        return found

    def record_conditions(self, variant: str, arm: str, of: str, found: dict[str, float]) -> None:
        """Add what the figures of a probe hold for, or another thing that trials go by."""
        record = self.run.variants[variant]
        here = {**record.conditions.get(arm, {}), of: found}
        if record.conditions.get(arm) != here:
            record = msgspec.structs.replace(record, conditions={**record.conditions, arm: here})
            self._update(variants={**self.run.variants, variant: record})

    def warn(self, text: str) -> None:
        """Add a warning, once."""
        if text not in self.run.warnings:
            self._update(warnings=(*self.run.warnings, text))

    def curtail(self) -> None:
        """Take what is pending out of the plan: nobody needs it any more."""
        if self.pending():
            self._update(plan=tuple(self.run.ended()))

    def finish(self, status: Literal["complete", "interrupted"] = "complete") -> Path:
        """Write the derived files, give the set its final name, and return that.

        Raises ValueError on completing a set with pending trials, and UsageError if something
        has taken the name meanwhile; the partial set then stays.
        """
        if status == "complete" and self.pending():
            raise ValueError(f"{len(self.pending())} trials are pending")
        suite, problems = pyperf_suite(self._partial, self.run)
        for problem in problems:
            self.warn(problem)
        if suite is not None:
            self._put(RTT, suite)
        self._put(SUMMARY, summary_json(load(self._partial)))
        self._update(status=status, finished=now())
        try:
            # Renaming onto a folder that holds anything fails: nothing is ever overwritten.
            self._partial.rename(self.directory)
            sync_folder(self.directory.parent)
        except OSError as error:
            raise UsageError(
                f"{self.directory}: cannot take this name ({error.strerror}); "
                f"the results are in {self._partial}"
            ) from None
        if status == "complete" and not problems:
            # Every run is in rtt.json now. A resumed set would need them to build that again.
            shutil.rmtree(self.directory / PYPERF, ignore_errors=True)
        return self.directory

    def _quality(self, trial: PlannedTrial, attempts: Sequence[Attempt]) -> tuple[Quality, ...]:
        """What is on record with that of one more trial, where it was watched."""
        if not attempts:
            return self.run.quality
        return (*self.run.quality, Quality(trial.trial, tuple(attempts)))

    def _append(self, rows: bytes, completed: Completed, quality: tuple[Quality, ...]) -> None:
        try:
            try:
                write_all(self._samples, rows)
                os.fsync(self._samples)
            except OSError as error:
                raise self._trouble(SAMPLES, error) from None
            self._update(completed=(*self.run.completed, completed), quality=quality)
        except BaseException:
            os.ftruncate(self._samples, self._size)
            raise
        self._size += len(rows)

    def _update(self, **changes: Any) -> None:
        run = msgspec.structs.replace(self.run, **changes)
        self._put(RUN, _encode(run))
        self.run = run

    def _put(self, name: str, data: bytes) -> None:
        path = self._partial / name
        try:
            if not path.parent.is_dir():
                path.parent.mkdir()
                sync_folder(self._partial)
            replace_file(path, data)
        except OSError as error:
            raise self._trouble(name, error) from None

    def _trouble(self, name: str, error: OSError) -> CannotMeasure:
        return CannotMeasure(
            f"{self._partial / name}: cannot be written: {error.strerror}; "
            "what was measured before is kept and can be resumed"
        )


def partial_of(directory: Path) -> Path:
    """The temporary name of a set that will be called `directory`."""
    return beside(directory, PARTIAL)


def beside(directory: Path, suffix: str) -> Path:
    """The folder next to a set that has the same name with a suffix. Raises UsageError."""
    directory = _absolute(directory)
    return directory.with_name(directory.name + suffix)


def load_unfinished(path: Path) -> ResultSet:
    """Read the set that `ResultWriter.resume(path)` would take over, and change nothing.

    Raises UsageError if there is none, or it is complete.
    """
    directory = _named(path)
    results = load(_where(directory))
    if results.path == directory and results.run.status == "complete":
        raise UsageError(f"{directory}: is complete; there is nothing to resume")
    return results


def _named(path: Path) -> Path:
    """The name that a set will have, from that or its temporary one."""
    path = _absolute(path)
    return path.with_name(path.name.removesuffix(PARTIAL) or path.name)


def _where(directory: Path) -> Path:
    """Where the set to be resumed lies: under its temporary name, or its own."""
    partial = partial_of(directory)
    if not partial.is_dir() and not directory.is_dir():
        raise UsageError(f"{directory}: there is no run to resume")
    if partial.is_dir() and _occupied(directory):
        raise UsageError(f"{partial}: cannot be resumed while {directory} exists; move that")
    return partial if partial.is_dir() else directory


def _absolute(directory: Path) -> Path:
    path = Path(os.path.abspath(directory))
    if not path.name:
        raise UsageError(f"{directory}: cannot be a result set; name a folder to be made")
    return path


def _occupied(path: Path) -> bool:
    return path.is_symlink() or (path.exists() and not (path.is_dir() and not any(path.iterdir())))


def _check_names(run: Run) -> None:
    for name, variant in run.variants.items():
        for text in (name, variant.scenario):
            # A line break would end the row, a byte that is not UTF-8 could not be written.
            if not text.isprintable():
                raise UsageError(f"scenario {text!a}: its name cannot be printed; rename it")


def _lock(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(f"{folder}: another process is writing it; wait for that to end") from None
    return descriptor


def rows_of(samples: Iterable[Sample], *before: str) -> str:
    """Samples as `samples.csv` has them; `before`: fields that each row begins with."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows((*before, *sample[:-1], repr(float(sample.value))) for sample in samples)
    return text.getvalue()


def _encode(run: Run) -> bytes:
    return msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"
