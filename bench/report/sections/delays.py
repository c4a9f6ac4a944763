"""How long packets take: one way under load, and there and back in a closed loop."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.metrics import DELAY_LOADS, DELAY_PERCENTILES, delay_id
from bench.report import curves, rows
from bench.report.axes import beyond, show_percentiles, show_values, span_of
from bench.report.bases import base_notes
from bench.report.cells import (
    Metric,
    absence,
    gather,
    interval_field,
    interval_title,
    value_field,
)
from bench.report.curves import Line, Panel
from bench.report.distribution import Delays, Point, delays
from bench.report.model import Column, Field, Picture, Section, Table
from bench.report.naming import slug
from bench.report.rows import Absent, Chart, Mark, Row, Series
from bench.report.sources import Sources
from bench.report.theme import MARKERS
from bench.report.trips import round_trips
from bench.summary import Entry
from bench.units import format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP = (math.nan, math.nan)
_DIFFERS = 0.03
"""Share by which the two delays must differ somewhere for both to be drawn."""
_FROM_SENT = "from when it was sent"
_LATE = "at most (senders late)"


@dataclass(frozen=True)
class _Path:
    """A path of one set at one load. delays: None where `reason` says why there is no histogram."""

    label: str
    set: str
    variant: str
    entries: dict[str, Entry | None]
    delays: Delays | None
    reason: str


def make(sources: Sources) -> Section | None:
    """Percentile plots of one-way delays, one for each load, then round-trip times."""
    metrics = {metric.id: metric for metric in gather(sources)}
    blocks: list[Picture | Table] = []
    notes: dict[str, None] = {}
    for load in DELAY_LOADS:
        for arm in _arms(sources, load):
            paths = list(_paths(sources, metrics, load, arm))
            blocks += _under_load(load, arm, paths)
            notes |= dict.fromkeys(_notes(load, paths))
    if blocks:
        notes = dict.fromkeys([*_reading(sources), *notes])
    trips = round_trips(sources)
    if not blocks and not trips:
        return None
    lead = "How long packets take, as far into the tail as there are packets enough to tell."
    if trips:
        notes |= dict.fromkeys(
            [
                "Round-trip times are of a closed loop with one datagram outstanding: a stalled "
                "path delays the next question, too, so they say nothing of delay under a load. "
                "Each value is pyperf's mean over many round trips, so single slow ones are not "
                "seen."
            ]
        )
    return Section("delays", "Delay", lead, (*blocks, *trips), tuple(notes))


def _arms(sources: Sources, load: int) -> list[str]:
    asked = [results.run.asked for results in sources.sets]
    return list(
        dict.fromkeys(a for one in asked if f"delay_{load}" in one.probes for a in one.arms)
    )


def _paths(sources: Sources, metrics: dict[str, Metric], load: int, arm: str) -> Iterator[_Path]:
    """Every path that was asked for, whatever came of it."""
    names = sources.names
    having = [
        n for n, results in enumerate(sources.sets) if f"delay_{load}" in results.run.asked.probes
    ]
    for number in having:
        for variant in sources.sets[number].run.variants:
            entries = {
                percentile: _entry(metrics, delay_id(load, percentile), variant, number, arm)
                or _entry(metrics, f"delay_{load}", variant, number, arm)
                for percentile in DELAY_PERCENTILES
            }
            found, reason = delays(sources.sets[number], load, variant, arm)
            several = f" ({names[number]})" if len(having) > 1 else ""
            yield _Path(f"{variant}{several}", names[number], variant, entries, found, reason)


def _entry(
    metrics: dict[str, Metric], id_: str, variant: str, number: int, arm: str
) -> Entry | None:
    metric = metrics.get(id_)
    if metric is None or variant not in metric.rows:
        return None
    for source, entry in zip(metric.sources, metric.rows[variant], strict=True):
        if (source.number, source.arm) == (number, arm):
            return entry
    return None


def _under_load(load: int, arm: str, paths: Sequence[_Path]) -> Iterator[Picture | Table]:
    title = f"One-way delay at {load} % of the base rate, {arm}"
    name = slug("delay", str(load), arm)
    drawn = [path for path in paths if path.delays and path.delays.intended]
    if 0 < len(drawn) <= curves.MOST:
        yield from curves.pictures(
            name,
            title,
            drawn,
            _told,
            partial(_panels, drawn),
            dashed=_FROM_SENT,
            dotted=_LATE,
        )
    else:
        chart = _chart(title, paths)
        yield from rows.pictures(name, title, f"{title}: percentiles", chart)
    yield _table(f"{name}-table", title, paths)


# ---- percentile plots ---------------------------------------------------------------------------


def _panels(paths: Sequence[_Path], part: Sequence[_Path]) -> list[Panel]:
    """The lines of `part`, on axes that fit all of `paths`."""
    everything = [path.delays for path in paths if path.delays]
    points = [point for kept in everything for point in kept.intended]
    limit = max(point.share for point in points)
    span = span_of(point.seconds for point in points)

    def dress(axis: Axes) -> None:
        show_percentiles(axis, limit, "percentile of the datagrams that were due")
        show_values(axis, "y", span, "s", "one-way delay from when it was due")

    lines = tuple(_line(path.label, path.delays) for path in part if path.delays)
    return [Panel(lines, dress)]


def _line(label: str, kept: Delays) -> Line:
    """What is fit is a line, the rest is dotted and joins it."""
    solid: list[curves.Point] = []
    dotted: list[curves.Point] = []
    before: Point | None = None
    for point in kept.intended:
        if before is not None and before.fit and not point.fit:
            solid.append(_GAP)
            dotted.append(_place(before))
        elif before is not None and point.fit and not before.fit:
            dotted += [_place(point), _GAP]
        (solid if point.fit else dotted).append(_place(point))
        before = point
    # A line is never without a marker: colours alone tell nothing to some.
    marked = list(_named(kept).values()) or kept.intended[-1:]
    return Line(
        label=f"{label} at {format_value(kept.load, 'packet/s')}",
        points=tuple(solid),
        marked=tuple(_place(point) for point in marked if point.fit),
        hollow=tuple(_place(point) for point in marked if not point.fit),
        dashed=tuple(map(_place, kept.actual)) if _differs(kept) else (),
        dotted=tuple(dotted),
    )


def _place(point: Point) -> curves.Point:
    return beyond(point.share), point.seconds


def _differs(kept: Delays) -> bool:
    """Whether the two delays are far enough apart somewhere to be seen."""
    sent = {point.share: point.seconds for point in kept.actual}
    return any(
        abs(sent.get(point.share, point.seconds) - point.seconds) > _DIFFERS * point.seconds
        for point in kept.intended
    )


def _named(kept: Delays) -> dict[str, Point]:
    """Percentile → its point on the curve."""
    return {
        name: point
        for name, at in DELAY_PERCENTILES.items()
        for point in kept.intended
        if abs(point.share - at) < 1e-9  # noqa: PLR2004 - it was computed another way
    }


def _told(path: _Path) -> str:
    if path.delays is None:
        return f"{path.label}: no histogram"
    kept = path.delays
    said = [
        f"{name} {'at most ' * (not point.fit)}{format_value(point.seconds, 's')}"
        for name, point in _named(kept).items()
    ]
    load = format_value(kept.load, "packet/s")
    of_base = f"{100 * kept.load / kept.base:.0f} % of {format_value(kept.base, 'packet/s')}"
    told = ", ".join(said) or "no percentile"
    reach = f"{100 * kept.reach:.6g} % ({kept.why})"
    return f"{path.label} at {load} ({of_base}): {told}; drawn up to {reach}"


def _chart(title: str, paths: Sequence[_Path]) -> Chart:
    """Many paths, or some without histograms: their percentiles, a row each."""
    return Chart(
        series=tuple(
            Series(name, number, MARKERS[number]) for number, name in enumerate(DELAY_PERCENTILES)
        ),
        rows=tuple(Row(path.label, tuple(_marks(path))) for path in paths),
        label=f"{title}, from when it was due",
        unit="s",
        together=True,
    )


def _marks(path: _Path) -> Iterator[Mark | Absent]:
    found = False
    for number, entry in enumerate(path.entries.values()):
        if entry is not None and entry.summary is not None:
            value = entry.summary.median
            found = True
            yield Mark(number, value, value, value, format_value(value, "s"), bare=True)
    if not found:
        word = _absence(path, "p50")
        yield Absent(word, "bad" if word == "failed" else "dim")


def _absence(path: _Path, percentile: str) -> str:
    """Why a percentile has no value, in a word; the notes say more."""
    entry = path.entries[percentile]
    left_out = path.delays is not None and percentile in path.delays.left_out
    return "left out" if left_out or entry is None else absence(entry)


# ---- the table ----------------------------------------------------------------------------------


def _table(name: str, title: str, paths: Sequence[_Path]) -> Table:
    several = len({path.set for path in paths}) > 1
    summaries = [e.summary for path in paths for e in path.entries.values() if e and e.summary]
    kind = interval_title(summaries)
    columns = [
        *(Column("path"), *([Column("set")] if several else [])),
        *(Column("load", number=True), Column("base rate", number=True)),
    ]
    for percentile in DELAY_PERCENTILES:
        columns += [Column(percentile, number=True), Column(f"{percentile}: {kind}", number=True)]
    columns.append(Column("p99: hidden from a sender that waits", number=True))
    return Table(name, title, tuple(columns), tuple(_fields(p, kind, several) for p in paths))


def _fields(path: _Path, kind: str, several: bool) -> tuple[Field, ...]:
    kept = path.delays
    load = base = hidden = Field("")
    if kept is not None:
        load = Field(format_value(kept.load, "packet/s"), kept.load)
        base = Field(format_value(kept.base, "packet/s"), kept.base)
        if "p99" in kept.omitted:
            hidden = Field(format_value(kept.omitted["p99"], "s"), kept.omitted["p99"])
    fields = [Field(path.variant), *([Field(path.set)] if several else []), load, base]
    for percentile, entry in path.entries.items():
        if entry is not None and entry.summary is not None:
            fields += [value_field(entry), interval_field(entry, kind)]
        else:
            word = _absence(path, percentile)
            fields += [Field(word, tone="bad" if word == "failed" else "dim"), Field("")]
    return (*fields, hidden)


# ---- notes --------------------------------------------------------------------------------------


def _reading(sources: Sources) -> Iterator[str]:
    yield (
        "Delay under load is one way and open loop: it counts from when each datagram was due, not "
        "from when the sender got round to it (dashed), which would leave out what a stalled path "
        "delays (coordinated omission)."
    )
    yield (
        "Pictures are of all trials of a path together and end where fewer than ten datagrams lie "
        "beyond, or where datagrams were lost; they are dotted where senders were late, so that "
        "the path itself takes less. Figures in tables are medians over blocks."
    )
    yield from base_notes(sources)


def _notes(load: int, paths: Sequence[_Path]) -> Iterator[str]:
    for path in paths:
        here = f"{path.label} at {load} %"
        if path.reason:
            yield f"{here}: {path.reason}; what the trials themselves gave is shown."
        kept = path.delays
        if kept is None:
            continue
        trials = kept.trials + kept.gave_up
        if kept.gave_up:
            yield (
                f"{here}: {kept.gave_up} of {trials} trials are not in the "
                "picture, as their senders gave up."
            )
        left_out = [
            f"{percentile} in {sum(reasons.values())} of {trials} trials ({next(iter(reasons))})"
            for percentile, reasons in kept.left_out.items()
        ]
        if left_out:
            yield f"{here}: left out: {', '.join(left_out)}."
    failed = {
        f"{path.label} at {load} %: {absence(entry)}: {entry.reason}."
        for path in paths
        for entry in path.entries.values()
        if entry is not None and entry.failed
    }
    yield from sorted(failed)
