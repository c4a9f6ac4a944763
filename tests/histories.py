"""Folders of many result sets, written as a run leaves them but without its care for the disk."""

import csv
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from sets import Value, a_run, noisy

from bench.metrics import METRICS
from bench.results import PlannedTrial, Run, Sample
from bench.results.model import Completed


def at(number: int) -> str:
    """When the set of that number was begun: they are an hour apart."""
    time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def put(path: Path, run: Run, value: Value) -> Path:
    """A complete set without what its tools said."""
    done = tuple(Completed(trial.trial, run.started) for trial in run.plan)
    run = msgspec.structs.replace(run, status="complete", finished=run.started, completed=done)
    path.mkdir(parents=True)
    (path / "run.json").write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))
    with (path / "samples.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(Sample._fields)
        for trial in run.plan:
            rows.writerows(_rows(run, trial, value))
    return path


def _rows(run: Run, trial: PlannedTrial, value: Value) -> Iterable[tuple[object, ...]]:
    scenario = run.variants[trial.variant].scenario
    place = (scenario, trial.variant, trial.arm, trial.probe, METRICS[trial.probe].unit)
    for number in value(trial):
        yield (*place, trial.block, trial.trial, repr(number))


def history(
    folder: Path,
    sets: int,
    factors: Callable[[int], dict[str, float]] = lambda _: {},
    changes: Callable[[int], dict[str, Any]] = lambda _: {},
    **same: Any,
) -> Path:
    """Sets called 000, 001, …; `factors` of set i for `noisy`, `changes` of set i for `a_run`."""
    for i in range(sets):
        run = a_run(**{"blocks": 2, "started": at(i), **same, **changes(i)})
        put(folder / f"{i:03}", run, noisy(i, **factors(i)))
    return folder


def after(place: int, **factors: float) -> Callable[[int], dict[str, float]]:
    """Factors from set `place` on."""
    return lambda i: factors if i >= place else {}
