"""What went wrong or was not quiet: warnings, failures, disturbed trials, drift of the machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bench.quality.rule import DISTURBANCES, Disturbance
from bench.quality.words import CANARIES, closing, folded
from bench.report.model import Block, Column, Field, Section, Table, Words
from bench.report.sources import Sources
from bench.report.words import moment
from bench.results import Attempt, Run
from bench.units import counted, format_value

_CANARY_UNITS = {"memcpy": "B/s", "system_call": "s", "loopback": "s"}


def make(sources: Sources) -> Section:
    """The section; where there is nothing to warn of it says so."""
    blocks: list[Block] = []
    for number, (name, results) in enumerate(zip(sources.names, sources.sets, strict=True), 1):
        mark = f"-{number}" if sources.several else ""
        blocks += _of(results.run, name if sources.several else "", mark)
    return Section(
        id="warnings",
        title="Warnings",
        lead="What the figures should be read with: what could not be measured, what disturbed "
        "the trials, and whether the machine itself stayed the same.",
        blocks=tuple(blocks),
    )


def _of(run: Run, name: str, mark: str) -> Iterator[Block]:
    """What is to be said of one run. mark: what makes the names of its tables its own."""
    of = f" of {name}" if name else ""
    yield Words(tuple(_said(run)), title=name)
    if said := folded(run.warnings, run.variants):
        yield Words(tuple(said), title=f"Warnings{of} ({len(said)})")
    if run.failures:
        yield _failures(run, f"failures{mark}", f"Not measured{of}")
    if any(a.figures for quality in run.quality for a in quality.attempts):
        yield _disturbances(run, f"disturbances{mark}", f"What disturbed the trials{of}")
    if run.canaries:
        yield _canaries(run, f"canaries{mark}", f"The machine itself{of}")


def _said(run: Run) -> Iterator[str]:
    """How it ended and how quiet it was."""
    measured = f"{len(run.completed)} of {counted(len(run.plan), 'planned trial')}"
    ended = {
        "complete": f"The run is complete: {measured} were measured.",
        "interrupted": f"The run was interrupted: {measured} were measured.",
        "running": f"The run has not finished: {measured} were measured so far.",
    }
    yield ended[run.status]
    yield from closing(run) or ["Nothing was watched for what disturbs a trial."]
    if not run.failures and run.status == "complete":
        yield "No trial failed or was skipped."
    if not run.warnings:
        yield "There are no warnings."


def _failures(run: Run, name: str, title: str) -> Table:
    """A row for each variant, arm, probe and reason, with how many trials it was."""
    planned = Counter((t.variant, t.arm, t.probe) for t in run.plan)
    found = Counter((f.variant, f.arm, f.probe, f.missing, f.reason) for f in run.failures)
    rows = tuple(
        (
            Field(variant),
            Field(arm),
            Field(probe),
            Field("skipped", tone="dim") if missing else Field("failed", tone="bad"),
            Field(f"{count} of {planned[variant, arm, probe]}", count),
            Field(reason),
        )
        for (variant, arm, probe, missing, reason), count in found.items()
    )
    columns = ("variant", "arm", "probe", "what")
    return Table(
        name,
        title,
        (*map(Column, columns), Column("trials", number=True), Column("reason")),
        rows,
    )


def _disturbances(run: Run, name: str, title: str) -> Table:
    """A row for each disturbance: its limit, the worst of it, and what came of it."""
    tries = [attempt for quality in run.quality for attempt in quality.attempts]
    failed = {failure.trial for failure in run.failures}
    last = [q.attempts[-1] for q in run.quality if q.trial not in failed]
    rows = tuple(
        (
            Field(entry.title),
            Field(f"{_figure(entry.limit, entry)} {entry.unit}".strip(), entry.limit),
            _worst(tries, entry),
            _number(sum(entry.id in attempt.spoilt for attempt in tries)),
            _number(sum(entry.id in attempt.spoilt for attempt in last)),
            Field(entry.why),
        )
        for entry in DISTURBANCES.values()
        if not entry.probe or entry.probe in run.asked.probes
    )
    titles = ("limit", "most seen", "tries spoilt", "counted all the same")
    columns = (*(Column(each, number=True) for each in titles), Column("why it matters"))
    return Table(name, title, (Column("disturbance"), *columns), rows)


def _worst(tries: Sequence[Attempt], entry: Disturbance) -> Field:
    seen = [x for a in tries if (x := a.figures.get(entry.id)) is not None]
    if not seen:
        return Field("not observed", tone="dim")
    most = max(seen)
    return Field(_figure(most, entry), most, "bad" if most > entry.limit else "")


def _figure(amount: float, entry: Disturbance) -> str:
    return f"{amount:.0f}" if entry.limit > 1 else f"{amount:.1%}"


def _number(count: int) -> Field:
    return Field(str(count), count, "bad" if count else "dim")


def _canaries(run: Run, name: str, title: str) -> Table:
    """A row for each canary: the small fixed measurement before each block."""
    rows = tuple(
        (
            Field(str(canary.block), canary.block),
            Field(moment(canary.taken)),
            *(_part(canary.values.get(part), unit) for part, unit in _CANARY_UNITS.items()),
            _spoilt(canary.spoilt),
        )
        for canary in run.canaries
    )
    columns = (
        Column("before block", number=True),
        Column("taken"),
        *(Column(CANARIES[part], number=True) for part in _CANARY_UNITS),
        Column("disturbed by"),
    )
    return Table(name, title, columns, rows)


def _part(figure: float | None, unit: str) -> Field:
    if figure is None:
        return Field("not measured", tone="dim")
    text = f"{figure / 1e9:.2f} GB/s" if unit == "B/s" else format_value(figure, unit)
    return Field(text, figure)


def _spoilt(ids: Sequence[str]) -> Field:
    if not ids:
        return Field("nothing that was seen", tone="dim")
    titles = (DISTURBANCES[id_].title if id_ in DISTURBANCES else id_ for id_ in ids)
    return Field(", ".join(titles), tone="bad")
