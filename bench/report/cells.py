"""What several result sets have of each metric, side by side, and the words for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.metrics import METRICS, PACKET_RATES
from bench.report.model import Field
from bench.report.sources import Sources
from bench.results import CellSummary
from bench.summary import Entry, sections
from bench.units import format_range, format_times, format_value

_RATES = {
    metric: f"Packet rate, {size} B, {f'up to {100 * loss:g} % lost' if loss else 'none lost'}"
    for size, by_loss in PACKET_RATES.items()
    for loss, metric in by_loss.items()
}
"""Titles that need no column of a table to be understood."""
EXACT, RANGE = "95 % interval", "lowest and highest block"


@dataclass(frozen=True)
class Source:
    """Where values come from: a set, by its position and name, and an arm."""

    number: int
    set: str
    arm: str


@dataclass(frozen=True)
class Metric:
    """One metric. rows: variant → an entry for each of `sources`, None where its set lacks it."""

    id: str
    title: str
    unit: str
    sources: tuple[Source, ...]
    rows: Mapping[str, tuple[Entry | None, ...]]

    @property
    def summaries(self) -> Iterator[CellSummary]:
        """All that was measured."""
        for entries in self.rows.values():
            yield from (entry.summary for entry in entries if entry and entry.summary)

    @property
    def better(self) -> str:
        """Which direction is, as a remark; empty where this version does not know the metric."""
        return f"{METRICS[self.id].better} is better" if self.id in METRICS else ""


def gather(sources: Sources) -> list[Metric]:
    """Every metric that any of the sets was asked for, in the order of the sets."""
    names = sources.names
    found: dict[str, dict[Source, Mapping[str, Entry]]] = {}
    titles: dict[str, str] = {}
    for number, results in enumerate(sources.sets):
        for section in sections(results):
            titles.setdefault(section.metric, _RATES.get(section.metric, section.title))
            for position, arm in enumerate(section.arms):
                found.setdefault(section.metric, {})[Source(number, names[number], arm)] = {
                    variant: entries[position] for variant, entries in section.rows.items()
                }
    return [_metric(id_, titles[id_], by_source) for id_, by_source in found.items()]


def _metric(id_: str, title: str, by_source: Mapping[Source, Mapping[str, Entry]]) -> Metric:
    # Arms of several sets stand together, so that each arm can be followed from set to set.
    arms = list(dict.fromkeys(source.arm for source in by_source))
    sources = tuple(sorted(by_source, key=lambda s: (arms.index(s.arm), s.number)))
    variants = dict.fromkeys(v for by_variant in by_source.values() for v in by_variant)
    rows = {v: tuple(by_source[source].get(v) for source in sources) for v in variants}
    unit = next(
        (entry.summary.unit for row in rows.values() for entry in row if entry and entry.summary),
        METRICS[id_].unit if id_ in METRICS else "",
    )
    return Metric(id_, title, unit, sources, rows)


# ---- words --------------------------------------------------------------------------------------


def interval_title(summaries: Sequence[CellSummary]) -> str:
    """What the intervals of a column are: 95 % where there are blocks enough, else the range."""
    exact = {summary.low is not None for summary in summaries}
    if exact == {True}:
        return EXACT
    return RANGE if exact == {False} else "interval"


def interval_notes(summaries: Iterable[CellSummary]) -> Iterator[str]:
    """What the intervals of pictures and tables are."""
    kinds = {interval_title([summary]) for summary in summaries}
    if EXACT in kinds:
        yield "Error bars and intervals: 95 % intervals of the median over blocks."
    if RANGE in kinds:
        few = (
            "Where a cell has fewer than six blocks, which give no such interval, they"
            if EXACT in kinds
            else "Error bars and intervals"
        )
        yield f"{few} go from the lowest to the highest block."


def absence(entry: Entry) -> str:
    """What stands in the place of a value."""
    if not entry.failed:
        return "not measured"
    return "skipped" if entry.skipped else "failed"


def value_field(entry: Entry | None) -> Field:
    """The median, or what stands for it; empty where nothing was to be measured."""
    if entry is None:
        return Field("")
    if entry.summary is None:
        return Field(absence(entry), tone="bad" if absence(entry) == "failed" else "dim")
    return Field(
        format_value(entry.summary.median, entry.summary.unit), float(entry.summary.median)
    )


def interval_field(entry: Entry | None, title: str) -> Field:
    """The interval, sorted by its width; `title` is that of its column."""
    if entry is None or entry.summary is None:
        return Field("")
    odd = title not in (EXACT, RANGE) and entry.summary.low is None
    return ends_field(entry.summary, " (range)" if odd else "")


def ends_field(summary: CellSummary, remark: str = "") -> Field:
    """Both ends of what was measured, sorted by how far they are apart."""
    if summary.blocks == 1:
        return Field("one block", tone="dim", sort=0.0)
    low, high = summary.ends
    text = f"{format_range(low, high, summary.unit)}{remark}"
    return Field(text, ends=(low, high), sort=high - low)


def ratio_field(entry: Entry | None) -> Field:
    """How many times as much as the first path of the same arm."""
    if entry is None or entry.ratio is None:
        return Field("")
    return Field(format_times(entry.ratio), float(entry.ratio))


def troubles(metrics: Sequence[Metric], sources: Sources) -> list[str]:
    """A sentence for each reason why something is missing, with all that is missing for it."""
    several = sources.several
    found: dict[str, list[str]] = {}
    for metric in metrics:
        for variant, entries in metric.rows.items():
            for source, entry in zip(metric.sources, entries, strict=True):
                if entry is None or (entry.summary is not None and not entry.failed):
                    continue
                where = f" of {source.set}" if several else ""
                what = f"{variant} ({metric.title}, {source.arm}{where})"
                found.setdefault(_trouble(entry), []).append(what)
    return [f"{said}: {', '.join(dict.fromkeys(what))}" for said, what in found.items()]


def _trouble(entry: Entry) -> str:
    reason = f" ({entry.reason})" if entry.reason else ""
    if entry.summary is None:
        return f"{absence(entry).capitalize()}{reason}"
    done = "skipped" if entry.skipped else "failed"
    return f"{entry.failed} of {entry.planned} trials {done}{reason}"
