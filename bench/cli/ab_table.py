"""The table of an A/B comparison. It fits 80 columns and survives pasting."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from bench.ab.model import INTERRUPTED, Report
from bench.arms import explained
from bench.cli.tables import add_compared, compared, print_lines, table_of
from bench.metrics import METRICS
from bench.sequential import Answer

_STYLES = {
    "faster": "green",
    "slower": "bold red",
    "no slower": "green",
    "cannot tell": "dim",
    "not yet": "dim",
}


def render_report(report: Report, console: Console) -> None:
    """Print what came of a comparison: a row for each metric, arm and path."""
    many = len({(answer.variant, answer.arm) for answer in report.answers}) > 1
    table = table_of(f"{report.old} → {report.new}", "metric")
    add_compared(table)
    table.add_column("answer", no_wrap=True)
    for answer in report.answers:
        name = METRICS[answer.metric].title
        if many:
            name = f"{name}, {answer.variant}, {answer.arm}"
        table.add_row(Text(name), *compared(answer), _word(answer))
    if report.answers:
        console.print(table)
    console.print()
    asked = report.asked
    print_lines(console, explained(asked.arms))
    print_lines(console, (f"Not measured: {item.name}: {item.reason}" for item in report.failed))
    print_lines(console, (f"Note: {text}" for text in report.notes))
    looked_for = f"{100 * asked.look_for:g} %"
    print_lines(
        console,
        [
            f"{report.blocks} blocks, of {asked.max_blocks} that were allowed, in "
            f"{report.seconds / 60:.1f} min; it ended because {_ending(report)}.",
            f'Margin {100 * asked.margin:g} %. "no slower": a slowdown of {looked_for} or more is '
            "ruled out; visible: the smallest slowdown that would have been shown.",
            f"Looks after {', '.join(map(str, report.planned_looks))} blocks; over all of them and "
            f"all metrics, a false alarm in at most {report.alarm:.1%} of comparisons.",
            "Ratio new/old of paired blocks, with an interval that holds at all looks with "
            f"{1 - report.interval:.0%}.",
            f"Results: {report.results}",
        ],
    )


def _ending(report: Report) -> str:
    if report.blocks == 0:
        return "no block was finished"
    if report.stopped.startswith("as many"):
        return "those were all"
    if report.stopped == INTERRUPTED:
        return f"{report.stopped}: no verdict yet, --resume goes on"
    return report.stopped


def _word(answer: Answer) -> Text:
    text: str = answer.verdict
    if answer.open:
        text = "cannot tell" if answer.level else "not yet"
    elif answer.verdict == "cannot tell":
        text = "no slower"
    return Text(text, style=_STYLES[text])
