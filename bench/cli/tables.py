"""Tables for people: one run, and two runs compared. They fit any width and survive pasting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.arms import explained
from bench.cli.layout import FittingTable
from bench.metrics import METRICS
from bench.quality.words import closing, folded
from bench.units import (
    capitalised,
    format_interval,
    format_ratio,
    format_times,
    format_value,
    format_visible,
)

if TYPE_CHECKING:
    from bench.compare import Comparison
    from bench.counts import CountRow
    from bench.results import CellSummary, ResultSet
    from bench.summary import Entry

_TIMED = {"faster": "green", "slower": "bold red", "cannot tell": "dim"}
_COUNTED = {"better": "green", "worse": "bold red", "same": "", "cannot tell": "dim"}


class _Notes:
    """Footnotes: one number for each text, however often it is used."""

    def __init__(self) -> None:
        self._texts: dict[str, int] = {}

    def mark(self, text: str) -> str:
        """The mark that refers to `text`."""
        return f"[{self._texts.setdefault(text, len(self._texts) + 1)}]"

    def lines(self) -> Iterable[str]:
        """All notes, each led by its mark."""
        return (f"[{number}] {text}" for text, number in self._texts.items())


def render_summary(results: ResultSet, console: Console) -> None:
    """Print the table of one run: for each metric, a row for each variant."""
    # Imported here: numpy would slow every other command down.
    from bench.summary import sections  # noqa: PLC0415

    run = results.run
    notes = _Notes()
    exact = True
    for section in sections(results):
        table = table_of(section.title)
        for arm in section.arms:
            table.add_column(arm, justify="right", no_wrap=True)
            table.add_column("spread", no_wrap=True)
            table.add_column("ratio", justify="right", no_wrap=True)
        for variant, entries in section.rows.items():
            cells = [text for entry in entries for text in _entry(entry, notes)]
            table.add_row(Text(variant), *map(Text, cells))
            exact &= all(e.summary.low is not None for e in entries if e.summary)
        console.print(table)
    spread = "95 % interval" if exact else "lowest and highest block"
    first = next(iter(run.variants))
    console.print()
    print_lines(console, notes.lines())
    print_lines(console, explained(run.asked.arms))
    print_lines(
        console,
        [
            f"Median of {run.asked.blocks} blocks ({run.asked.profile} profile), spread: "
            f"{spread}; ratio to {first} in the same arm.",
            *closing(run),
            *(f"Warning: {text}" for text in folded(run.warnings, run.variants)),
            *([] if run.status == "complete" else [f"This run is not complete: {run.status}."]),
            f"Results: {results.path}",
        ],
    )


def _entry(entry: Entry, notes: _Notes) -> tuple[str, str, str]:
    """Median, spread and ratio of one cell, or what stands for them."""
    if entry.summary is None:
        if not entry.failed:
            return "not measured", "", ""
        return "skipped" if entry.skipped else "failed", notes.mark(entry.reason), ""
    what = "skipped" if entry.skipped else "failed"
    text = f"{entry.failed} of {entry.planned} {what}: {entry.reason}"
    mark = notes.mark(text) if entry.failed else ""
    value = format_value(entry.summary.median, entry.summary.unit)
    ratio = "" if entry.ratio is None else format_times(entry.ratio)
    return value, f"{_spread(entry.summary)}{mark}", ratio


def _spread(summary: CellSummary) -> str:
    """The interval relative to the median, so that it needs no unit of its own."""
    if summary.median == 0:
        return ""
    low, high = summary.ends
    return f"{low / summary.median - 1:+.0%} {high / summary.median - 1:+.0%}"


def render_comparison(comparison: Comparison, console: Console) -> None:
    """Print two sets compared: for each metric and arm, a row for each variant."""
    found = dict.fromkeys((row.metric, row.arm) for row in comparison.rows)
    for metric, arm in sorted(found, key=lambda key: list(METRICS).index(key[0])):
        table = table_of(f"{METRICS[metric].title}, {arm}")
        add_compared(table)
        table.add_column("verdict", no_wrap=True)
        for row in comparison.rows:
            if (row.metric, row.arm) == (metric, arm):
                table.add_row(
                    Text(row.variant),
                    *compared(row),
                    Text(row.verdict, style=_TIMED[row.verdict]),
                )
        console.print(table)
    _render_counts(comparison.counts, console)
    console.print()
    timed, counted = [row.arm for row in comparison.rows], [row.arm for row in comparison.counts]
    print_lines(console, explained([*timed, *counted]))
    print_lines(
        console,
        (
            f"{capitalised(what)}: {name}" + (f": {why}" if why else "")
            for what, name, why in comparison.left_out
        ),
    )
    print_lines(console, (f"Differs: {text}" for text in comparison.differences))
    print_lines(console, (f"Note: {text}" for text in comparison.notes))
    print_lines(console, _totals(comparison))


def _totals(comparison: Comparison) -> Iterator[str]:
    """What the tables come to, and how to read them."""
    yield from (f"{capitalised(text)}." for text in comparison.uncertain)
    old_and_new = f"Old {comparison.old}, new {comparison.new}: "
    if comparison.counts:
        judged: Counter[str] = Counter(row.verdict for row in comparison.counts)
        totals = ", ".join(f"{judged[verdict]} {verdict}" for verdict in _COUNTED)
        yield f"{old_and_new}{totals} of what was counted, beyond its tolerance."
    if comparison.rows or not comparison.counts:
        verdicts: Counter[str] = Counter(row.verdict for row in comparison.rows)
        yield old_and_new + ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in _TIMED) + "."
        yield (
            f"Ratio new/old with its 95 % interval; margin {100 * comparison.margin:g} %; "
            "visible: the smallest change that would have had a verdict."
        )


def _render_counts(rows: Sequence[CountRow], console: Console) -> None:
    """Print what was counted: a row for each cell."""
    for arm in dict.fromkeys(row.arm for row in rows):
        table = table_of(f"Counts of the ledger, {arm}")
        table.add_column("count", no_wrap=True)
        for heading in ("old", "new", "change", "tolerance"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for row in rows:
            if row.arm == arm:
                figures = [f"{v:.2f}" for v in (row.old, row.new)]
                change = [f"{row.change:+.2f}", f"{row.tolerance:.2f}"]
                cells = [row.variant, METRICS[row.metric].title, *figures, *change]
                table.add_row(*map(Text, cells), Text(row.verdict, style=_COUNTED[row.verdict]))
        console.print(table)


class Compared(Protocol):
    """Two sides of a cell that was timed, as all comparisons have them."""

    @property
    def unit(self) -> str: ...

    @property
    def old(self) -> float: ...

    @property
    def new(self) -> float: ...

    @property
    def ratio(self) -> float: ...

    @property
    def low(self) -> float | None: ...

    @property
    def high(self) -> float | None: ...

    @property
    def visible(self) -> float | None: ...


def add_compared(table: Table) -> None:
    """Add the columns of two sides that were timed."""
    for heading in ("old", "new", "ratio", "interval", "visible"):
        table.add_column(heading, justify="right", no_wrap=True)


def compared(row: Compared) -> list[Text]:
    """What stands in these columns."""
    return [
        Text(format_value(row.old, row.unit)),
        Text(format_value(row.new, row.unit)),
        Text(format_ratio(row.ratio)),
        Text(format_interval(row.low, row.high)),
        Text(format_visible(row.visible)),
    ]


def new_table(title: str) -> Table:
    """An empty table as all of ours look, on any width; its columns are still to come."""
    return FittingTable(
        title=Text(f"\n{title}", style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )


def table_of(title: str, first: str = "path") -> Table:
    """A table with its first column: long names take more lines, figures are never broken."""
    table = new_table(title)
    table.add_column(first, min_width=11)
    return table


def print_lines(console: Console, lines: Iterable[str]) -> None:
    """Print each line; what is not a terminal breaks none."""
    for line in lines:
        console.print(Text(line), soft_wrap=not console.is_terminal)
