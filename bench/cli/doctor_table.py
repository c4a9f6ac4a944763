"""What the doctor found, for people: two tables, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from bench.cli.tables import new_table, print_lines

if TYPE_CHECKING:
    from bench.doctor.examine import Examination
    from bench.doctor.model import Finding

_STYLES = {"ok": "green", "noisy": "yellow", "missing": "bold red", "unknown": "dim"}


def render(found: Examination, console: Console) -> None:
    """Print both tables, then each thing that is not well with the command that mends it."""
    _table("What this machine can measure", found.can_measure, console)
    _table("What makes it noisy", found.noise, console)
    findings = [*found.can_measure, *found.noise]
    _to_do([finding for finding in findings if finding.mend], console)
    counts = Counter(str(finding.status) for finding in findings)
    print_lines(
        console,
        [
            "",
            f"{', '.join(f'{counts[status]} {status}' for status in _STYLES)}; where each was "
            "read, and why it matters: vnetbench doctor --json.",
            "Which scenarios run here: vnetbench list. Whether data arrives unharmed: vnetbench "
            "doctor --offloads.",
        ],
    )


def _table(title: str, findings: Sequence[Finding], console: Console) -> None:
    table = new_table(title)
    table.add_column("status", no_wrap=True)
    table.add_column("what", min_width=10)
    table.add_column("found")
    for finding in findings:
        status = Text(str(finding.status), style=_STYLES[finding.status])
        table.add_row(status, Text(finding.what), Text(finding.found))
    console.print(table)


def _to_do(findings: Sequence[Finding], console: Console) -> None:
    """One entry for all that one command mends; the command is not broken, so it can be copied."""
    if not findings:
        return
    console.print(Text("\nWhat to do", style="bold"))
    for mend in dict.fromkeys(finding.mend for finding in findings):
        mended = [finding for finding in findings if finding.mend == mend]
        names = ", ".join(finding.what for finding in mended)
        why = "; ".join(dict.fromkeys(finding.why for finding in mended))
        print_lines(console, [f"{mended[0].status}: {names}: {why}"])
        console.print(Text(f"  → {mend}"), soft_wrap=True)
