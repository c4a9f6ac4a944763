"""The table of one run, as data: which cell stands where, and why one is empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from bench.metrics import METRICS
from bench.quality.words import closing
from bench.results import CellSummary, Failure, ResultSet, Run, summarise


@dataclass(frozen=True)
class Entry:
    """One cell of the table.

    summary: None where nothing was measured. ratio: of its median to the first row's.
    failed, planned: how many trials failed, and of how many. reason: why the first of them did that
    broke. skipped: none broke, the machine lacks something.
    """

    summary: CellSummary | None
    ratio: float | None
    failed: int
    planned: int
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
    planned = Counter((t.variant, t.arm, t.probe) for t in run.plan)
    failures: dict[tuple[str, str, str], list[Failure]] = {}
    for failure in run.failures:
        cell = failure.variant, failure.arm, failure.probe
        failures.setdefault(cell, []).append(failure)
    first = next(iter(run.variants))

    def entry(variant: str, arm: str, probe: str, metric: str) -> Entry:
        summary, base = summaries.get((variant, arm, metric)), summaries.get((first, arm, metric))
        ratio = summary.median / base.median if summary and base and base.median else None
        lost = failures.get((variant, arm, probe), [])
        worst = min(lost, key=lambda failure: failure.missing, default=None)
        reason, skipped = (worst.reason, worst.missing) if worst else ("", False)
        return Entry(summary, ratio, len(lost), planned[variant, arm, probe], reason, skipped)

    return [
        Section(
            metric,
            METRICS[metric].title if metric in METRICS else metric,
            run.asked.arms,
            {
                variant: [entry(variant, arm, probe, metric) for arm in run.asked.arms]
                for variant in run.variants
            },
        )
        for probe, metric in _metrics(results)
    ]


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
