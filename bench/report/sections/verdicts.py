"""Several sets: each against the first, with the verdicts of `vnetbench compare`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.metrics import METRICS
from bench.report import rows
from bench.report.model import Column, Field, Picture, Section, Table, Tone
from bench.report.rows import Absent, Chart, Mark, Row, Series
from bench.report.sources import Sources
from bench.units import format_interval, format_ratio, format_value, format_visible

if TYPE_CHECKING:
    from bench.compare import Comparison
    from bench.counts import CountRow
    from bench.verdict import Row as Verdict

_TONES: dict[str, Tone] = {
    "faster": "good",
    "better": "good",
    "slower": "bad",
    "worse": "bad",
    "same": "",
    "cannot tell": "dim",
}
_SERIES = (
    Series("faster", "good", "^"),
    Series("slower", "bad", "v"),
    Series("cannot tell", "dim", "o", hollow=True),
)


def make(sources: Sources) -> Section | None:
    """What changed from the first set to each other one; None for a single set."""
    if not sources.several:
        return None
    old, *others = sources.names
    blocks: list[Table | Picture] = []
    notes: list[str] = []
    for number, (name, found) in enumerate(zip(others, sources.comparisons, strict=True), 1):
        prefix = f"{name} against {old}"
        if isinstance(found, UsageError):
            notes.append(f"{prefix}: {found}.")
            continue
        blocks += _blocks(found, f"verdicts-{number}", prefix)
        notes += [f"{prefix}: {text}" for text in _notes(found)]
    if sources.comparable:
        # Imported here: numpy's threads must not exist where nothing is compared.
        from bench.compare import MARGIN  # noqa: PLC0415

        lead = (
            f"{old} is the old set. A verdict needs a change that is beyond the margin of "
            f"{MARGIN:.0%} by no accident, all cells taken together, and its whole interval too. "
            "All else is “cannot tell”, which is not “no change”: “visible” is the smallest change "
            "that would have had a verdict."
        )
    else:
        lead = (
            f"None of the other sets measured what {old} did, so nothing is compared: the "
            "sections below show what each has."
        )
    title = "What changed" if sources.comparable else "Not compared"
    return Section("verdicts", title, lead, tuple(blocks), tuple(notes))


def _blocks(comparison: Comparison, name: str, title: str) -> Iterator[Table | Picture]:
    if comparison.rows:
        yield from rows.pictures(name, title, _intro(comparison, title), _chart(comparison))
        yield _timed(f"{name}-table", title, comparison.rows)
    if comparison.counts:
        yield _counted(f"{name}-counts", f"{title}: counts of the ledger", comparison.counts)
    if left_out := _left_out(f"{name}-left-out", f"{title}: what has no verdict", comparison):
        yield left_out


def _intro(comparison: Comparison, title: str) -> str:
    verdicts = Counter(row.verdict for row in comparison.rows)
    counted = ", ".join(f"{verdicts[one.label]} {one.label}" for one in _SERIES)  # type: ignore[index]
    return f"Ratios new to old, {title}: {counted}"


# ---- the picture --------------------------------------------------------------------------------


def _chart(comparison: Comparison) -> Chart:
    sized = any(row.low is not None for row in comparison.rows)
    intervals = "with 95 % interval" if sized else "too few blocks for intervals"
    return Chart(
        series=_SERIES,
        rows=tuple(_rows(comparison.rows)),
        label=f"new / old, {intervals}; shaded: changes that do not matter",
        margin=comparison.margin,
    )


def _rows(found: Sequence[Verdict]) -> Iterator[Row]:
    """Rows under a heading for each metric and arm."""
    keys = sorted({(row.metric, row.arm) for row in found}, key=_place)
    for metric, arm in keys:
        better = Absent(f"{METRICS[metric].better} is better")
        yield Row(f"{METRICS[metric].title}, {arm}", (better,), heading=True)
        for row in found:
            if (row.metric, row.arm) == (metric, arm):
                yield Row(row.variant, (_mark(row),))


def _place(key: tuple[str, str]) -> tuple[int, str]:
    return list(METRICS).index(key[0]), key[1]


def _mark(row: Verdict) -> Mark | Absent:
    number = [one.label for one in _SERIES].index(row.verdict)
    bare = row.low is None or row.high is None
    low, high = (row.ratio, row.ratio) if bare else (row.low, row.high)
    assert low is not None  # noqa: S101 - bare says so
    assert high is not None  # noqa: S101
    return Mark(number, row.ratio, low, high, format_ratio(row.ratio), bare=bare)


# ---- the tables ---------------------------------------------------------------------------------


def _timed(name: str, title: str, found: Sequence[Verdict]) -> Table:
    columns = (
        *(Column("path"), Column("metric"), Column("arm")),
        *(Column("old", number=True), Column("new", number=True)),
        *(Column("new / old", number=True), Column("95 % interval", number=True)),
        *(Column("visible", number=True), Column("verdict")),
    )
    lines = [
        (
            Field(row.variant),
            Field(METRICS[row.metric].title),
            Field(row.arm),
            Field(format_value(row.old, row.unit), row.old),
            Field(format_value(row.new, row.unit), row.new),
            Field(format_ratio(row.ratio), row.ratio),
            _interval(row),
            Field(format_visible(row.visible), row.visible),
            Field(row.verdict, tone=_TONES[row.verdict]),
        )
        for row in found
    ]
    return Table(name, title, columns, tuple(lines))


def _interval(row: Verdict) -> Field:
    text = format_interval(row.low, row.high)
    if row.low is None or row.high is None:
        return Field(text)
    return Field(text, ends=(row.low, row.high), sort=row.low)


def _counted(name: str, title: str, found: Sequence[CountRow]) -> Table:
    columns = (
        *(Column("path"), Column("count"), Column("arm")),
        *(Column("old", number=True), Column("new", number=True)),
        *(Column("change", number=True), Column("tolerance", number=True), Column("verdict")),
    )
    lines = [
        (
            Field(row.variant),
            Field(METRICS[row.metric].title),
            Field(row.arm),
            Field(f"{row.old:.2f}", row.old),
            Field(f"{row.new:.2f}", row.new),
            Field(f"{row.change:+.2f}", row.change),
            Field(f"{row.tolerance:.2f}", row.tolerance),
            Field(row.verdict, tone=_TONES[row.verdict]),
        )
        for row in found
    ]
    return Table(name, title, columns, tuple(lines))


def _left_out(name: str, title: str, comparison: Comparison) -> Table | None:
    """All that has no verdict, or not one of every block, and why."""
    columns = (Column("cell"), Column("what"), Column("why"))
    tones: dict[str, Tone] = {"not measured": "bad", "not comparable": "bad"}
    fields = tuple(
        (Field(cell), Field(what, tone=tones.get(what, "dim")), Field(why))
        for what, cell, why in comparison.left_out
    )
    if not fields:
        return None
    return Table(name, title, columns, fields)


def _notes(comparison: Comparison) -> Iterator[str]:
    """What limits the verdicts."""
    yield from (f"{text}." for text in comparison.uncertain)
    yield from (f"differs: {text}." for text in comparison.differences)
    yield from (f"{text}." for text in comparison.notes)
