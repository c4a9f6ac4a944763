"""The best and the worst path of a metric in a sentence, or why no path is called that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.conditions import alike
from bench.loads import load_of
from bench.metrics import METRICS
from bench.report.words import listed, value
from bench.results import CellSummary, ResultSet, Run, summarise
from bench.units import capitalised, counted, format_range, format_value, significant

_RATES = {"bit/s", "packet/s"}
_CLOSE = 1.1
_NAMED = 3
"""As many paths are named that cannot be told from the fastest one."""
_LISTED = 9
"""As many paths have their figures in a sentence that ranks none: those of the ladder."""


@dataclass(frozen=True)
class _Cells:
    """One metric in one arm. planned: the variants that were to give it; blocks: of each.

    loads: variant → datagrams a second that were due, None where the set does not say; empty where
    the metric is of no load.
    """

    metric: str
    found: Sequence[CellSummary]
    planned: Sequence[str]
    blocks: int
    loads: Mapping[str, float | None]

    @property
    def missing(self) -> list[str]:
        measured = {summary.variant for summary in self.found}
        return [variant for variant in self.planned if variant not in measured]

    @property
    def apart(self) -> bool:
        """Whether what was measured is under different loads, as far as is known."""
        loads = [self.loads[s.variant] for s in self.found if s.variant in self.loads]
        first, *others = loads or [None]
        return any(
            first is None or other is None or not alike({"load": first}, {"load": other})
            for other in others
        )


def ends(results: ResultSet) -> Iterator[tuple[str, str]]:
    """For the first metric of each probe, in each arm: what it is, and a sentence on its paths."""
    run, summaries = results.run, summarise(results)
    for probe, metric in _first_metrics(results):
        for arm in dict.fromkeys((*run.asked.arms, *(s.arm for s in summaries))):
            planned = [
                variant
                for variant in run.variants
                if any((t.variant, t.arm, t.probe) == (variant, arm, probe) for t in run.plan)
            ]
            found = [s for s in summaries if (s.metric, s.arm) == (metric, arm)]
            if planned:
                loads = _loads(run, probe, arm)
                cells = _Cells(metric, found, planned, run.asked.blocks, loads)
                yield f"{capitalised(METRICS[metric].title)}, {arm}", _sentence(cells)


def _first_metrics(results: ResultSet) -> Iterator[tuple[str, str]]:
    """Each probe with the first metric of those that it gave, in the order of all metrics."""
    given: dict[str, list[str]] = {}
    for cell, series in results.series().items():
        if cell.metric in METRICS:
            given.setdefault(series.probe, []).append(cell.metric)
    order = list(METRICS)
    first = [(probe, min(metrics, key=order.index)) for probe, metrics in given.items()]
    yield from sorted(first, key=lambda pair: order.index(pair[1]))


def _loads(run: Run, probe: str, arm: str) -> Mapping[str, float | None]:
    if not probe.startswith("delay_"):
        return {}
    return {variant: load_of(run, variant, arm, probe) for variant in run.variants}


def _sentence(cells: _Cells) -> str:
    if not cells.found:
        return f"none of {counted(len(cells.planned), 'path')} has a value."
    if cells.missing or cells.apart:
        return _unranked(cells)
    return _ranked(cells)


# ---- ranked -------------------------------------------------------------------------------------


def _ranked(cells: _Cells) -> str:
    """The best and the worst path, with how far apart they are."""
    metric, found = cells.metric, cells.found
    higher = METRICS[metric].better == "higher"
    ordered = sorted(found, key=lambda s: s.median, reverse=higher)
    best, worst = ordered[0], ordered[-1]
    if len(found) == 1:
        return f"{best.variant} has {_figure(best, cells)}."
    if best.median == worst.median:
        return f"all {len(found)} paths have {value(best.median, best.unit)}."
    first, last = _superlatives(metric)
    low, high = sorted((best.median, worst.median))
    factor = f", a factor of {_times(high / low)}" if low > 0 else ""
    return (
        f"{best.variant} {first} {_figure(best, cells, found)}; "
        f"{worst.variant} {last} {_figure(worst, cells, found)}{factor}."
    )


def _times(ratio: float) -> str:
    """More digits where fewer would say that there is no difference."""
    return significant(ratio, 2 if ratio >= _CLOSE else 3)


def _superlatives(metric: str) -> tuple[str, str]:
    entry = METRICS[metric]
    if entry.unit in _RATES or (entry.unit == "s" and not metric.startswith("cpu")):
        return "is fastest with", "is slowest with"
    least = "fewest" if entry.unit == "1/packet" else "least"
    words = (f"has the {least},", "has the most,")
    return words if entry.better == "lower" else (words[1], words[0])


# ---- not ranked ---------------------------------------------------------------------------------


def _unranked(cells: _Cells) -> str:
    """What each path has, and why none is called the best: the best may be among the missing."""
    reasons = []
    if cells.missing:
        missing = cells.missing
        named = listed(missing) if len(missing) <= _LISTED else f"{len(missing)} others"
        these = "this is" if len(cells.found) == 1 else "these are"
        reasons.append(
            f"{these} {len(cells.found)} of {counted(len(cells.planned), 'path')} "
            f"(left out: {named})"
        )
    if cells.apart:
        unknown = any(cells.loads[summary.variant] is None for summary in cells.found)
        reasons.append(
            "the set does not say at which load" if unknown else "each path has a load of its own"
        )
    return f"{_each(cells)}. Not ranked: {', and '.join(reasons)}."


def _each(cells: _Cells) -> str:
    if len(cells.found) > _LISTED:
        medians = [summary.median for summary in cells.found]
        span = format_range(min(medians), max(medians), cells.found[0].unit, value)
        return f"{len(medians)} paths have {span}"
    return listed(
        [f"{s.variant}{_under(s.variant, cells)} has {_figure(s, cells)}" for s in cells.found]
    )


def _under(variant: str, cells: _Cells) -> str:
    """At which load, where the metric has one and the set says it."""
    load = cells.loads.get(variant)
    return f" at {format_value(load, 'packet/s')}" if load is not None else ""


# ---- figures ------------------------------------------------------------------------------------


def _figure(summary: CellSummary, cells: _Cells, among: Sequence[CellSummary] = ()) -> str:
    """A median with its interval, where it has one, and whose intervals overlap with that."""
    low, high = summary.ends
    others = [
        other.variant
        for other in among
        if other.variant != summary.variant and other.ends[0] <= high and low <= other.ends[1]
    ]
    said = []
    if summary.blocks < cells.blocks:
        said.append(f"{summary.blocks} of {counted(cells.blocks, 'block')}")
    elif summary.blocks == 1:
        said.append("one block")
    if low < high:
        said.append(format_range(low, high, summary.unit, value))
    if others:
        named = listed(others) if len(others) <= _NAMED else f"{len(others)} others"
        said.append(f"overlapping {named}")
    behind = f" ({', '.join(said)})" if said else ""
    return f"{value(summary.median, summary.unit)}{behind}"
