"""A history for people: a table of what changed, and what one has to know to read it."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from bench.arms import explained
from bench.cli.tables import print_lines, table_of
from bench.metrics import METRICS
from bench.trend.model import ChangeRecord, History, SetRecord, Trend
from bench.units import format_interval, format_ratio, format_value, format_visible

_BARS = "▁▂▃▄▅▆▇█"
_FLATTEST = 0.1
"""Log units (10 %) that the bars span at least: noise shall not look like mountains."""
_NARROW, _WIDTH, _WIDEST = 80, 7, 40
_SHOWN = 10
_STYLES = {"faster": "green", "slower": "bold red", "small": "dim"}


def render_trend(trend: Trend, console: Console, *, everything: bool) -> None:
    """Print the cells that changed, or with `everything` all cells and all changes."""
    width = min(max(_WIDTH + console.width - _NARROW, _WIDTH), _WIDEST)
    shown = {
        i: [c for c in cell.changes if everything or c.verdict != "small"]
        for i, cell in enumerate(trend.cells)
    }
    changes = sorted((c.after, c.before) for found in shown.values() for c in found)
    places = {place: mark for mark, place in enumerate(dict.fromkeys(changes), 1)}
    for metric, arm in dict.fromkeys((cell.metric, cell.arm) for cell in trend.cells):
        rows = [
            row
            for i, cell in enumerate(trend.cells)
            if (cell.metric, cell.arm) == (metric, arm) and (shown[i] or everything)
            for row in _rows(cell, shown[i], width, places)
        ]
        if not rows:
            continue
        table = table_of(f"{METRICS[metric].title}, {arm}")
        table.add_column("history", no_wrap=True)
        table.add_column("from → to", justify="right", no_wrap=True)
        for heading in ("ratio", "interval", "p"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("change", no_wrap=True)
        table.add_column("at", justify="right", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    console.print()
    print_lines(console, _places(trend, places))
    print_lines(console, _some(list(_epochs(trend))))
    print_lines(console, _some([f"Left out: {line}" for line in trend.left_out]))
    print_lines(console, (f"Note: {text}" for text in trend.notes))
    print_lines(console, _summary(trend, everything=everything))


def _rows(
    cell: History,
    changes: Sequence[ChangeRecord],
    width: int,
    places: Mapping[tuple[int, int], int],
) -> Iterator[list[Text]]:
    """A row for each change; name and history stand in the first."""
    first = [Text(cell.variant), Text(_bars(cell.values, width))]
    if not changes:
        yield [*first, Text(format_value(cell.values[-1], cell.unit))]
    for change in changes:
        yield [
            *first,
            Text(_from_to(change, cell.unit)),
            Text(format_ratio(change.ratio)),
            Text(format_interval(change.low, change.high)),
            Text(f"{change.p:.3f}"),
            Text(change.verdict, style=_STYLES[change.verdict]),
            Text(str(places[change.after, change.before])),
        ]
        first = [Text(), Text()]


def _from_to(change: ChangeRecord, unit: str) -> str:
    """Both levels, the unit once where it is the same."""
    old, new = (format_value(value, unit) for value in (change.old, change.new))
    number, _, name = old.partition(" ")
    return f"{number if name == new.partition(' ')[2] else old} → {new}"


def _bars(values: Sequence[float], width: int) -> str:
    """The history in `width` bars, each the median of as many sets; on a log scale."""
    n = len(values)
    width = min(width, n)
    edges = [n * i // width for i in range(width + 1)]
    levels = [
        math.log(statistics.median(values[start:end])) for start, end in itertools.pairwise(edges)
    ]
    low, high = min(levels), max(levels)
    span = max(high - low, _FLATTEST)
    floor = (low + high - span) / 2
    top = len(_BARS) - 1
    return "".join(_BARS[round((level - floor) / span * top)] for level in levels)


def _places(trend: Trend, places: Mapping[tuple[int, int], int]) -> Iterator[str]:
    for (after, before), mark in places.items():
        yield f"at {mark}: between {_name(trend.sets[before])} and {_name(trend.sets[after])}"


def _name(found: SetRecord) -> str:
    commit, dash, changed = (found.revision or "").partition("-")
    what = f"{commit[:12]}{dash}{changed}" if commit else f"vnetbench {found.version}"
    return f"{found.path} ({found.started}, {what})"


def _epochs(trend: Trend) -> Iterator[str]:
    """Each beginning of an epoch once, with the number of cells it concerns."""
    begun: Counter[tuple[int, tuple[str, ...]]] = Counter(
        (epoch.first, epoch.differences)
        for cell in trend.cells
        for epoch in cell.epochs
        if epoch.differences
    )
    for (first, differences), cells in sorted(begun.items()):
        what = "; ".join(differences)
        yield f"New epoch of {cells} cells from {_name(trend.sets[first])}: {what}"


def _some(lines: Sequence[str]) -> Iterable[str]:
    """The first lines, and how many more there are."""
    hidden = len(lines) - _SHOWN
    return lines if hidden <= 0 else [*lines[:_SHOWN], f"(and {hidden} lines more like these)"]


def _summary(trend: Trend, *, everything: bool) -> Iterator[str]:
    yield from explained(cell.arm for cell in trend.cells)
    verdicts = Counter(change.verdict for cell in trend.cells for change in cell.changes)
    visible = [cell.visible for cell in trend.cells if cell.visible is not None]
    if visible:
        yield (
            "A step of this size amid the sets since the last change would have been found: "
            f"{format_visible(min(visible))} to {format_visible(max(visible))}, half of the cells "
            f"{format_visible(statistics.median(visible))} or less."
        )
    hidden = "" if everything or not verdicts["small"] else " (--all shows them)"
    yield (
        f"{len(trend.sets)} sets from {trend.sets[0].started} to {trend.sets[-1].started}, "
        f"{len(trend.cells)} cells; changes: {verdicts['slower']} slower, "
        f"{verdicts['faster']} faster, {verdicts['small']} within the margin of "
        f"{100 * trend.margin:g} %{hidden}."
    )
    yield "p: chance of so clear a change in any cell, were the order of the sets an accident."
