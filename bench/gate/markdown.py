"""The decision as Markdown, for a pull request: what matters first, all the rest folded away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bench.gate.decide import Decision
from bench.gate.rules import STAGES
from bench.gate.session import Finding
from bench.gate.words import HEADINGS, headline, row, smallest_effects

_FIGURES = 3
"""The first column of figures; those are aligned to the right."""


def markdown(decision: Decision) -> str:
    """The whole report."""
    return "\n".join(_lines(decision)) + "\n"


def _lines(decision: Decision) -> Iterator[str]:
    yield f"### vnetbench gate {headline(decision)}"
    yield ""
    loud = [f for f in decision.findings if f.suspicious or f.verdict in ("worse", "better")]
    if loud:
        yield from _table(loud)
        yield ""
    yield from (f"- Not judged: {_text(f'{p.name}: {p.reason}')}" for p in decision.problems)
    yield from (f"- Partly measured: {_text(str(missed))}" for missed in decision.partly)
    yield from (f"- {_text(line)}" for line in smallest_effects(decision))
    yield ""
    for stage in STAGES:
        found = [found for found in decision.findings if found.stage == stage.id]
        if found:
            yield from _folded(f"{stage.title}: {len(found)} cells", list(_table(found)))
    about = [
        f"- Baseline {decision.baseline}, now {decision.new}"
        + (f", second look {decision.confirmation}" if decision.confirmation else ""),
        f"- Margin of times {100 * decision.margin:g} %",
        *(f"- Differs: {text}" for text in decision.differences),
        *(f"- Note: {text}" for text in decision.notes),
    ]
    yield from _folded("about this run", [_text(line) for line in about])


def _folded(summary: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"<details><summary>{summary}</summary>"
    yield ""  # without it what follows would be taken as HTML
    yield from lines
    yield ""
    yield "</details>"
    yield ""


def _table(findings: Sequence[Finding]) -> Iterator[str]:
    yield _row(HEADINGS)
    last = len(HEADINGS) - 1
    yield _row(["---:" if _FIGURES <= i < last else "---" for i in range(len(HEADINGS))])
    for found in findings:
        cells = [_text(text) for text in row(found)]
        if found.fails:
            cells[-1] = f"**{cells[-1]}**"
        yield _row(cells)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """`text` with what Markdown or HTML would take for its own escaped."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", text)
