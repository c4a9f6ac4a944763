"""Every timed metric, path by path: a picture and a table each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.arms import explained
from bench.counts import TOLERANCES
from bench.metrics import DELAY_LOADS, PACKET_RATES
from bench.report import rows
from bench.report.cells import (
    Metric,
    Source,
    absence,
    gather,
    interval_field,
    interval_notes,
    interval_title,
    ratio_field,
    troubles,
    value_field,
)
from bench.report.model import Column, Field, Picture, Section, Table
from bench.report.naming import path_name, slug
from bench.report.rows import Absent, Chart, Mark, Row, Series
from bench.report.sources import Sources
from bench.report.theme import MARKERS
from bench.report.words import listed
from bench.results import ResultSet
from bench.summary import Entry
from bench.units import counted, format_value
from bench.why.experiment import PROFILE

_WITH_LOSS = {id_ for goals in PACKET_RATES.values() for loss, id_ in goals.items() if loss}
"""Their pictures would be those of the rates without loss once more; tables tell them apart."""


def make(sources: Sources) -> Section | None:
    """Pictures and a table of each metric but delays and counts, which have their own sections."""
    metrics = [
        only
        for metric in gather(sources)
        if _is_timed(metric.id) and (only := _paths(metric, sources))
    ]
    if not metrics:
        return None
    blocks = [block for metric in metrics for block in _blocks_of(metric)]
    return Section(
        "ladder",
        "Path by path",
        "Medians over blocks. A ratio is to the first path of the same arm: on the ladder each "
        "path adds something to one before it.",
        tuple(blocks),
        tuple(_notes(metrics, sources)),
    )


def _is_timed(metric: str) -> bool:
    delays = tuple(f"delay_{load}" for load in DELAY_LOADS)
    return metric not in (*TOLERANCES, "ledger") and not metric.startswith(delays)


def _paths(metric: Metric, sources: Sources) -> Metric | None:
    """Without what is no path but an instrument of `vnetbench why`."""
    rows: dict[str, tuple[Entry | None, ...]] = {}
    for variant, entries in metric.rows.items():
        kept = tuple(
            None if _is_instrument(variant, sources.sets[source.number]) else entry
            for source, entry in zip(metric.sources, entries, strict=True)
        )
        if any(kept):
            rows[variant] = kept
    return replace(metric, rows=rows) if rows else None


def _is_instrument(variant: str, results: ResultSet) -> bool:
    asked = results.run.asked
    return asked.profile == PROFILE and variant not in map(path_name, asked.scenarios)


def _blocks_of(metric: Metric) -> Iterator[Picture | Table]:
    if metric.id not in _WITH_LOSS:
        yield from rows.pictures(
            slug("ladder", metric.id),
            metric.title,
            f"{metric.title} of {len(metric.rows)} paths, {metric.better or 'unit ' + metric.unit}",
            _chart(metric),
        )
    yield from _tables(metric)


# ---- the picture --------------------------------------------------------------------------------


def _chart(metric: Metric) -> Chart:
    better = f" ({metric.better})" if metric.better else ""
    return Chart(
        series=tuple(
            Series(label, number, MARKERS[number % len(MARKERS)], hollow=number % 2 == 1)
            for number, label in enumerate(_labels(metric.sources))
        ),
        rows=tuple(
            Row(
                variant,
                tuple(
                    _line(number, entry)
                    for number, entry in enumerate(entries)
                    if entry is not None
                ),
            )
            for variant, entries in metric.rows.items()
        ),
        label=f"{metric.title}{better}",
        unit=metric.unit,
    )


def _labels(sources: Sequence[Source]) -> list[str]:
    """What tells the sources apart: the arm, and the set where there are several."""
    if len({source.number for source in sources}) == 1:
        return [source.arm for source in sources]
    return [f"{source.arm}, {source.set}" for source in sources]


def _line(number: int, entry: Entry) -> Mark | Absent:
    if entry.summary is None:
        word = absence(entry)
        return Absent(word, "bad" if word == "failed" else "dim")
    summary = entry.summary
    low, high = summary.ends
    text = format_value(summary.median, summary.unit)
    return Mark(number, summary.median, low, high, text, bare=summary.blocks == 1)


# ---- the table ----------------------------------------------------------------------------------


def _tables(metric: Metric) -> Iterator[Table]:
    """One table with the arms of a set side by side, or one for each arm with the sets."""
    if len({source.number for source in metric.sources}) == 1:
        yield _table(slug("ladder", metric.id, "table"), metric.title, metric)
        return
    for arm in dict.fromkeys(source.arm for source in metric.sources):
        places = [n for n, source in enumerate(metric.sources) if source.arm == arm]
        part = replace(
            metric,
            sources=tuple(metric.sources[n] for n in places),
            rows={
                variant: tuple(entries[n] for n in places)
                for variant, entries in metric.rows.items()
                if any(entries[n] for n in places)
            },
        )
        yield _table(slug("ladder", metric.id, arm, "table"), f"{metric.title}, {arm}", part)


def _table(name: str, title: str, metric: Metric) -> Table:
    kind = interval_title(list(metric.summaries))
    columns = [Column("path")]
    several = len({source.number for source in metric.sources}) > 1
    for source in metric.sources:
        label = source.set if several else source.arm
        columns += [
            Column(label, number=True),
            Column(f"{label}: {kind}", number=True),
            Column(f"{label}: ratio", number=True),
        ]
    lines = tuple(
        (
            Field(variant),
            *(
                field
                for entry in entries
                for field in (value_field(entry), interval_field(entry, kind), ratio_field(entry))
            ),
        )
        for variant, entries in metric.rows.items()
    )
    return Table(name, title, tuple(columns), lines)


# ---- notes --------------------------------------------------------------------------------------


def _notes(metrics: Sequence[Metric], sources: Sources) -> Iterator[str]:
    yield from explained(source.arm for metric in metrics for source in metric.sources)
    firsts = [next(iter(results.run.variants)) for results in sources.sets]
    if len(set(firsts)) > 1:
        named = zip(firsts, sources.names, strict=True)
        yield f"Ratios are to {listed([f'{first} in {name}' for first, name in named])}."
    yield from interval_notes(s for metric in metrics for s in metric.summaries)
    left = {
        variant
        for results in sources.sets
        for variant in results.run.variants
        if _is_instrument(variant, results)
    }
    if left:
        yield (
            f"Left out here: {counted(len(left), 'variant')} of vnetbench why (doses and "
            "techniques); what these were measured for is said where the gap is explained."
        )
    yield from (f"{text}." for text in troubles(metrics, sources))
