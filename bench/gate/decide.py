"""From a baseline, what was measured now, and a second look at what got worse: passed or failed.

A regression must be seen twice, in two independent runs, before it fails the gate. Each run is
compared with the baseline by itself (`bench/compare.py`), every stage a family of its own, so that
noisy metrics cost the quiet ones nothing and tails cost nobody anything.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.compare import Comparison, Key, LeftOut, compare
from bench.counts import CountRow
from bench.errors import UsageError
from bench.gate.drift import slowdown
from bench.gate.rules import MARGIN, STAGES, stage_of
from bench.results import Cell, ResultSet
from bench.verdict import Row

Verdict = Literal["better", "worse", "same", "cannot tell"]
_OF_TIMES: dict[str, Verdict] = {"faster": "better", "slower": "worse"}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one cell.

    old, new: medians of the block values, in `unit`. change: relative (0.08: 8 % more), None where
    the old one is 0. Of what was timed, low and high: its 95 % interval; visible: the smallest
    relative change that would have had a verdict, None: none would. Of what was counted,
    tolerance: the largest difference, in `unit`, that is none.
    confirmed: whether the second run showed the same regression; None: there was no second look.
    """

    stage: str
    variant: str
    arm: str
    metric: str
    unit: str
    old: float
    new: float
    change: float | None
    low: float | None = None
    high: float | None = None
    visible: float | None = None
    tolerance: float | None = None
    verdict: Verdict
    reason: str
    confirmed: bool | None = None

    @property
    def name(self) -> str:
        """As cells are named everywhere."""
        return str(Cell(self.variant, self.arm, self.metric))

    @property
    def fails(self) -> bool:
        """Whether it is a confirmed regression of a stage that may fail the gate."""
        return self.confirmed is True


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """All that the gate has to say.

    verdict: "passed", "failed", or "incomplete" where nothing failed but something could not be
    measured or compared. decided_by: the first stage with a confirmed regression.
    baseline, new, confirmation: paths of the result sets. margin: of times. problems: what was not
    measured or not comparable.
    """

    format: int = 1
    baseline: str
    new: str
    confirmation: str | None
    margin: float
    verdict: Literal["passed", "failed", "incomplete"]
    decided_by: str | None
    findings: list[Finding]
    problems: list[LeftOut]
    differences: list[str]
    notes: list[str]

    @property
    def exit_code(self) -> int:
        """0 passed, 1 failed, 3 something could not be measured or compared."""
        return {"passed": 0, "failed": 1, "incomplete": 3}[self.verdict]


def suspects(baseline: ResultSet, new: ResultSet, margin: float = MARGIN) -> set[Key]:
    """What must be measured once more: variant, arm and probe of all that may fail the gate."""
    probes = {cell: series.probe for cell, series in new.series().items()}
    return {
        (found.variant, found.arm, probes[Cell(found.variant, found.arm, found.metric)])
        for found in _findings(_compared(baseline, new, margin))
        if _suspicious(found)
    }


def decide(
    baseline: ResultSet,
    new: ResultSet,
    confirmation: ResultSet | None = None,
    margin: float = MARGIN,
) -> Decision:
    """Decide. confirmation: what came of measuring the `suspects` once more.

    Raises UsageError where there is nothing to compare.
    """
    comparison = _compared(baseline, new, margin)
    findings, problems = _findings(comparison), _problems(comparison, baseline, new)
    if confirmation is not None:
        findings, lost = _confirmed(findings, baseline, confirmation, margin)
        problems += lost
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
        differences=comparison.differences,
        notes=[
            *comparison.notes,
            *_drifts(baseline, new, confirmation),
            *(f"not gated: {item.name}: {item.reason}" for item in comparison.unknown),
        ],
    )


def _compared(baseline: ResultSet, new: ResultSet, margin: float) -> Comparison:
    covering = (1 + margin) * (1 + slowdown(baseline, new)) - 1

    def family(metric: str) -> tuple[str, float]:
        stage = stage_of(metric)
        return stage.id, covering if stage.margin is None else stage.margin

    return compare(baseline, new, margin, family=family, changed=True)


def _drifts(baseline: ResultSet, *sessions: ResultSet | None) -> list[str]:
    """Where the margin of times is wider than was asked for, and why."""
    return [
        f"{session.path}: the machine itself was {slower:.0%} slower than in the baseline's "
        "session, as its canaries say; the margin of times was widened by that"
        for session in sessions
        if session is not None and (slower := slowdown(baseline, session))
    ]


def _confirmed(
    findings: list[Finding], baseline: ResultSet, confirmation: ResultSet, margin: float
) -> tuple[list[Finding], list[LeftOut]]:
    """The findings with what the second run says of them, and what it could not say."""
    try:
        comparison = _compared(baseline, confirmation, margin)
    except UsageError as error:
        return findings, [LeftOut("confirmation", str(error))]
    again = {found.name: found.verdict == "worse" for found in _findings(comparison)}
    seen = [
        msgspec.structs.replace(found, confirmed=again.get(found.name))
        if _suspicious(found)
        else found
        for found in findings
    ]
    lost = [
        LeftOut(found.name, f"{confirmation.path}: got worse, and was not measured once more")
        for found in seen
        if _suspicious(found) and found.confirmed is None
    ]
    return seen, [*lost, *comparison.failed]


def _suspicious(found: Finding) -> bool:
    return found.verdict == "worse" and stage_of(found.metric).fails


def _problems(comparison: Comparison, baseline: ResultSet, new: ResultSet) -> list[LeftOut]:
    """What has no verdict that should have one."""
    before, after = baseline.series(), new.series()
    planned = {(t.variant, t.arm, t.probe) for t in new.run.plan}
    measured = {(cell.variant, cell.arm, series.probe) for cell, series in after.items()}
    vanished = [
        LeftOut(str(cell), f"{new.path}: is not observed any more, {series.probe} was measured")
        for cell, series in before.items()
        if cell not in after and (cell.variant, cell.arm, series.probe) in planned & measured
    ]
    return [*comparison.refused, *comparison.failed, *vanished]


def _findings(comparison: Comparison) -> list[Finding]:
    """All cells, in the order of the stages."""
    found = [*map(_of_count, comparison.counts), *map(_of_time, comparison.rows)]
    order = [stage.id for stage in STAGES]
    return sorted(found, key=lambda finding: order.index(finding.stage))


def _of_count(row: CountRow) -> Finding:
    return Finding(
        stage=stage_of(row.metric).id,
        variant=row.variant,
        arm=row.arm,
        metric=row.metric,
        unit=row.unit,
        old=row.old,
        new=row.new,
        change=row.change / row.old if row.old else None,
        tolerance=row.tolerance,
        verdict=row.verdict,
        reason=row.reason,
    )


def _of_time(row: Row) -> Finding:
    return Finding(
        stage=stage_of(row.metric).id,
        variant=row.variant,
        arm=row.arm,
        metric=row.metric,
        unit=row.unit,
        old=row.old,
        new=row.new,
        change=row.ratio - 1,
        low=None if row.low is None else row.low - 1,
        high=None if row.high is None else row.high - 1,
        visible=row.visible,
        verdict=_OF_TIMES.get(row.verdict, "cannot tell"),
        reason=row.reason,
    )
