"""GitHub's workflow commands: what a step prints to have it shown on the run and the pull request.

The syntax is `::error title=TITLE::MESSAGE`, one line each; what would end a line, a property or
the list of properties is written as a percent sign and the byte's number.
"""

from __future__ import annotations

from bench.gate.decide import Decision
from bench.gate.words import headline, sentence, smallest_effects

_MOST = 9
"""GitHub shows ten annotations of a kind for a step; the last one counts those left out."""


def workflow_commands(decision: Decision) -> list[str]:
    """The commands, in the order in which to print them."""
    errors = [sentence(found) for found in decision.findings if found.fails]
    warnings = [
        *(f"{problem.name}: {problem.reason}" for problem in decision.problems),
        *map(str, decision.partly),
        *(sentence(found) for found in decision.findings if found.suspicious and not found.fails),
    ]
    advice = [
        sentence(found)
        for found in decision.findings
        if found.verdict == "worse" and not found.suspicious
    ]
    outcome = [headline(decision), *smallest_effects(decision)]
    return [
        *_commands("error", "vnetbench: regression", errors),
        *_commands("warning", "vnetbench: not judged, not wholly or not confirmed", warnings),
        *_commands("notice", "vnetbench: tails, advice only", advice),
        _command("notice", "vnetbench gate", "\n".join(outcome)),
    ]


def _commands(kind: str, title: str, messages: list[str]) -> list[str]:
    shown = messages if len(messages) <= _MOST + 1 else messages[:_MOST]
    left = len(messages) - len(shown)
    return [
        _command(kind, title, message)
        for message in [*shown, *([f"and {left} more"] if left else [])]
    ]


def _command(kind: str, title: str, message: str) -> str:
    title = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={title}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
