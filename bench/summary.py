"""The table of one run, as data: which cell stands where, and why one is empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from bench.metrics import METRICS
from bench.quality.words import closing
from bench.results import CellSummary, ResultSet, Run, summarise


@dataclass(frozen=True)
class Entry:
    """One cell of the table.

    summary: None where nothing was measured. ratio: of its median to the first row's.
    failed, reason: how many trials failed, and why the first of them did that broke. skipped: none
    broke, the machine lacks something.
    """

    summary: CellSummary | None
    ratio: float | None
    failed: int
    reason: str
    skipped: bool


@dataclass(frozen=True)
class Section:
    """One metric: rows are variants in the order asked, entries are in the order of `arms`.

    metric: its id; that of the probe where nothing was measured of any of the probe's metrics.
    """

    metric: str
    title: str
    arms: tuple[str, ...]
    rows: dict[str, list[Entry]]


def sections(results: ResultSet) -> list[Section]:
    """Lay a result set out, a section for each metric."""
    run = results.run
    summaries = {(s.variant, s.arm, s.metric): s for s in summarise(results)}
    found = []
    for probe, metric in _metrics(results):
        rows: dict[str, list[Entry]] = {}
        for variant in run.variants:
            rows[variant] = []
            for arm in run.asked.arms:
                summary = summaries.get((variant, arm, metric))
                first = summaries.get((next(iter(run.variants)), arm, metric))
                ratio = (
                    summary.median / first.median if summary and first and first.median else None
                )
                failures = [
                    failure
                    for failure in run.failures
                    if (failure.variant, failure.arm, failure.probe) == (variant, arm, probe)
                ]
                failures.sort(key=lambda failure: failure.missing)
                reason = failures[0].reason if failures else ""
                skipped = bool(failures) and failures[0].missing
                rows[variant].append(Entry(summary, ratio, len(failures), reason, skipped))
        title = METRICS[metric].title if metric in METRICS else metric
        found.append(Section(metric, title, run.asked.arms, rows))
    return found


def _metrics(results: ResultSet) -> Iterator[tuple[str, str]]:
    """Each probe asked for with each metric it gave; with its own name where it gave none."""
    series = results.series()
    for probe in results.run.asked.probes:
        given = dict.fromkeys(cell.metric for cell, s in series.items() if s.probe == probe)
        for metric in given or [probe]:
            yield probe, metric


# ---- for machines -------------------------------------------------------------------------------


class Measured(CellSummary, frozen=True, kw_only=True):
    """A cell that has values. ratio: of its median to that of the first variant in its arm."""

    ratio: float | None


class NotMeasured(msgspec.Struct, frozen=True, kw_only=True):
    """Trials of a cell that failed or were skipped: how many, and why the first one was.

    missing: the machine lacks something for it; False where something broke.
    """

    variant: str
    arm: str
    probe: str
    trials: int
    reason: str
    missing: bool


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What `vnetbench run --json` prints.

    results: the result set's folder. notes: sentences on how undisturbed it was.
    """

    format: int = 1
    results: str
    id: str
    status: str
    profile: str
    blocks: int
    seed: int
    arms: tuple[str, ...]
    variants: tuple[str, ...]
    cells: list[Measured]
    failures: list[NotMeasured]
    warnings: tuple[str, ...]
    notes: list[str]


def document(results: ResultSet) -> Document:
    """The table of a run as one document."""
    run, cells = results.run, summarise(results)
    first = next(iter(run.variants))
    base = {(c.arm, c.metric): c.median for c in cells if c.variant == first}
    return Document(
        results=str(results.path),
        id=run.id,
        status=run.status,
        profile=run.asked.profile,
        blocks=run.asked.blocks,
        seed=run.asked.seed,
        arms=run.asked.arms,
        variants=tuple(run.variants),
        cells=[_measured(cell, base.get((cell.arm, cell.metric))) for cell in cells],
        failures=_failures(run),
        warnings=run.warnings,
        notes=closing(run),
    )


def _measured(cell: CellSummary, base: float | None) -> Measured:
    return Measured(**msgspec.structs.asdict(cell), ratio=cell.median / base if base else None)


def _failures(run: Run) -> list[NotMeasured]:
    """One for each cell, in the order in which they failed first; what broke before what lacks."""
    found: dict[tuple[str, str, str], list[tuple[bool, str]]] = {}
    for failure in run.failures:
        cell = failure.variant, failure.arm, failure.probe
        found.setdefault(cell, []).append((failure.missing, failure.reason))
    first = {cell: min(reasons, key=lambda each: each[0]) for cell, reasons in found.items()}
    return [
        NotMeasured(
            variant=variant,
            arm=arm,
            probe=probe,
            trials=len(found[variant, arm, probe]),
            reason=reason,
            missing=missing,
        )
        for (variant, arm, probe), (missing, reason) in first.items()
    ]
