"""The gate's decision, for people: a table for each stage, then what there is to know about it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from bench.cli.tables import print_lines, table_of
from bench.gate.decide import Decision
from bench.gate.rules import STAGES
from bench.gate.words import HEADINGS, headline, row, smallest_effects

_STYLES = {"better": "green", "worse": "bold red", "cannot tell": "dim"}
_WORDS = frozenset({"metric", "arm", "verdict"})
"""Columns that are no figures."""


def render_decision(decision: Decision, console: Console) -> None:
    """Print the whole decision."""
    for stage in STAGES:
        findings = [found for found in decision.findings if found.stage == stage.id]
        if not findings:
            continue
        table = table_of(stage.title.capitalize())
        for heading in HEADINGS[1:]:
            if heading in _WORDS:
                table.add_column(heading)
            else:
                table.add_column(heading, justify="right", no_wrap=True)
        for found in findings:
            *cells, verdict = row(found)
            table.add_row(*map(Text, cells), Text(verdict, style=_STYLES.get(found.verdict, "")))
        console.print(table)
    console.print()
    print_lines(console, _lines(decision))


def _lines(decision: Decision) -> Iterator[str]:
    yield from (f"Not judged: {item.name}: {item.reason}" for item in decision.problems)
    yield from (f"Partly measured: {missed}" for missed in decision.partly)
    yield from (f"Differs: {text}" for text in decision.differences)
    yield from (f"Note: {text}" for text in decision.notes)
    yield from (f"Visible: {text}." for text in smallest_effects(decision))
    yield f"Baseline {decision.baseline}, now {decision.new}; margin {100 * decision.margin:g} %."
    if decision.confirmation:
        yield f"What got worse was measured once more: {decision.confirmation}."
    yield f"Gate {headline(decision)}."
