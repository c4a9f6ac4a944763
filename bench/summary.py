"""The table of one run, as data: which cell stands where, and why one is empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.metrics import METRICS
from bench.results import CellSummary, ResultSet, summarise


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
