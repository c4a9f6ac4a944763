"""From a baseline, what was measured now, and a second look at what got worse: passed or failed.

A regression must be seen twice, in two independent runs, before it fails the gate. Each run is
compared with the baseline by itself (`session.py`). What either cannot tell of neither fails nor
passes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.compare import Key, Partly
from bench.errors import NOT_MEASURED, REGRESSION, SUCCESS, UNDECIDED, UsageError
from bench.gate.problems import Problem
from bench.gate.rules import MARGIN, STAGES
from bench.gate.session import Finding, Session, beside
from bench.results import Cell, ResultSet

_LOST = "and was not measured once more"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """All that the gate has to say.

    verdict: "passed", "failed", or "incomplete" where nothing failed but something could not be
    measured or compared. decided_by: the first stage with a confirmed regression.
    baseline, new, confirmation: paths of the result sets. margin: of times. problems: what was not
    measured, not comparable, or measured too little of. partly: what misses blocks and has enough.
    """

    format: int = 1
    baseline: str
    new: str
    confirmation: str | None
    margin: float
    verdict: Literal["passed", "failed", "incomplete"]
    decided_by: str | None
    findings: list[Finding]
    problems: list[Problem]
    partly: list[Partly]
    differences: list[str]
    notes: list[str]

    @property
    def exit_code(self) -> int:
        """0 passed, 1 failed, 3 incomplete for the machine's sake alone, 4 for any other reason."""
        if self.verdict == "incomplete":
            return NOT_MEASURED if self.excused else UNDECIDED
        return REGRESSION if self.verdict == "failed" else SUCCESS

    @property
    def excused(self) -> bool:
        """Whether nothing but the machine is the reason of any problem."""
        return all(problem.kind == "machine" for problem in self.problems)


def suspects(baseline: ResultSet, new: ResultSet, margin: float = MARGIN) -> set[Key]:
    """What must be measured once more: variant, arm and probe of all that may fail the gate."""
    probes = {cell: series.probe for cell, series in new.series().items()}
    return {
        (found.variant, found.arm, probes[Cell(found.variant, found.arm, found.metric)])
        for found in beside(baseline, new, margin).findings
        if found.suspicious
    }


def decide(
    baseline: ResultSet,
    new: ResultSet,
    confirmation: ResultSet | None = None,
    margin: float = MARGIN,
    *,
    unconfirmed: str = "",
) -> Decision:
    """Decide. confirmation: what came of measuring the `suspects` once more.

    unconfirmed: why they were not, if there were any; nothing that got worse passes without.

    Raises UsageError where there is nothing to compare.
    """
    first = beside(baseline, new, margin)
    findings, problems, partly = first.findings, first.problems, first.partly
    second = _second(baseline, confirmation, margin)
    findings = [_confirmed(found, second) for found in findings]
    suspected = {found.name for found in findings if found.suspicious}
    problems = [*problems, *_lost(findings, second, unconfirmed)]
    # What shares a probe with a suspect and is none itself was not asked about.
    asked = [part for part in second.partly if part.name in suspected]
    partly = [*partly, *(part for part in asked if part not in partly)]
    failed = [found for found in findings if found.fails]
    stages = [stage.id for stage in STAGES if any(f.stage == stage.id for f in failed)]
    return Decision(
        baseline=str(baseline.path),
        new=str(new.path),
        confirmation=str(confirmation.path) if confirmation else None,
        margin=margin,
        verdict="failed" if failed else "incomplete" if problems else "passed",
        decided_by=stages[0] if stages else None,
        findings=findings,
        problems=problems,
        partly=partly,
        differences=first.differences,
        notes=[*first.notes, *first.drifts, *second.drifts],
    )


def _second(baseline: ResultSet, confirmation: ResultSet | None, margin: float) -> Session:
    """What the second look gave: nothing where there was none or it cannot be compared at all."""
    if confirmation is None:
        return Session()
    try:
        return beside(baseline, confirmation, margin)
    except UsageError as error:
        return Session(failed=[Problem("confirmation", str(error), "broken")])


def _confirmed(found: Finding, second: Session) -> Finding:
    """The finding with what the second look says of it."""
    if not found.suspicious or (again := _again(found, second)) is None:
        return found
    confirmed: bool | None
    if again.suspicious:
        confirmed = True if found.verdict == again.verdict == "worse" else None
    else:
        confirmed = None if found.name in second.unjudged else False
    return msgspec.structs.replace(found, confirmed=confirmed)


def _again(found: Finding, second: Session) -> Finding | None:
    """The same cell in the second look."""
    return next((each for each in second.findings if each.name == found.name), None)


def _lost(findings: list[Finding], second: Session, unconfirmed: str) -> list[Problem]:
    """What neither passed nor failed the second look, which could not tell or saw nothing of it."""
    lost = [found for found in findings if found.suspicious and found.confirmed is None]
    return [
        *(Problem(f.name, _why_lost(f, second, unconfirmed), "doubtful") for f in lost),
        *second.failed,
    ]


def _why_lost(found: Finding, second: Session, unconfirmed: str) -> str:
    again = _again(found, second)
    if again is not None and again.suspicious:
        return f"{_seen(found)}, and in the second look {_seen(again)}"
    why = second.unjudged.get(found.name, unconfirmed)
    return f"{_seen(found)}, {_LOST}: {why}" if why else f"{_seen(found)}, {_LOST}"


def _seen(found: Finding) -> str:
    """What a look saw of what is suspicious in it."""
    return found.reason if found.doubtful else "got worse"
