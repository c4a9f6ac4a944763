"""One session beside the baseline: a finding for each cell, and what has none that should have.

Every stage is a family of its own, so that noisy metrics cost the quiet ones nothing and tails cost
nobody anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from bench.compare import Comparison, Partly, compare, key_name, key_of
from bench.counts import TOLERANCES, CountRow
from bench.gate.drift import slowdown
from bench.gate.problems import Problem, untraced
from bench.gate.rules import MOST_DRIFT, STAGES, stage_of
from bench.gate.ungated import ungated, ungated_keys
from bench.probes import PROBES
from bench.results import Cell, ResultSet
from bench.verdict import Row

Verdict = Literal["better", "worse", "same", "cannot tell"]
_OF_TIMES: dict[str, Verdict] = {"faster": "better", "slower": "worse"}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one cell.

    old, new: medians of the block values, in `unit`. change: relative (0.08: 8 % more), None where
    the old one is 0. Of what was timed, low and high: its 95 % interval; visible: the smallest
    relative change that would have had a verdict, None: none would. Of what was counted,
    tolerance: the largest change for the worse, in `unit`, that is none.
    doubtful: it cannot tell of a count that may have got worse.
    confirmed: whether the second run showed the same regression; None: there was no second look, or
    one of the two cannot tell.
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
    doubtful: bool = False
    confirmed: bool | None = None

    @property
    def cell(self) -> Cell:
        """What it is of."""
        return Cell(self.variant, self.arm, self.metric)

    @property
    def name(self) -> str:
        """As cells are named everywhere."""
        return str(self.cell)

    @property
    def suspicious(self) -> bool:
        """Whether it got worse, or may have, and so must not pass without a second look."""
        return (self.verdict == "worse" or self.doubtful) and stage_of(self.metric).fails

    @property
    def fails(self) -> bool:
        """Whether it is a confirmed regression of a stage that may fail the gate."""
        return self.confirmed is True


@dataclass(frozen=True)
class Session:
    """What became of all cells.

    findings: in the order of the stages. unjudged: name of a cell that may fail the gate → why it
    could not have: too few blocks, or a machine that drifted too far. problems: those, and what was
    not measured or not comparable at all. failed: the part of them that failed. partly: what misses
    blocks and has enough. drifts: where the margin of times is wider than was asked for, and why.
    """

    findings: list[Finding] = field(default_factory=list)
    unjudged: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    failed: list[Problem] = field(default_factory=list)
    partly: list[Partly] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    drifts: list[str] = field(default_factory=list)


def beside(baseline: ResultSet, new: ResultSet, margin: float) -> Session:
    """Compare a session with the baseline. Raises UsageError where there is nothing to compare."""
    slower = slowdown(baseline, new)
    too_far = slower > MOST_DRIFT
    covering = margin if too_far else (1 + margin) * (1 + slower) - 1
    idle = ungated(baseline)

    def family(cell: Cell) -> tuple[str, float]:
        stage = stage_of(cell.metric)
        apart = " not gated" if cell in idle else ""
        return stage.id + apart, covering if stage.margin is None else stage.margin

    # What is worse has to be worse once more, by the margin with its whole interval each time: that
    # pays for the number of cells at the margin, and costs less power than a correction there.
    comparison = compare(baseline, new, margin, family=family, null=0.0, changed=True)
    findings = _findings(comparison)
    gated = [f for f in findings if stage_of(f.metric).fails and f.cell not in idle]
    problems = list(_unjudged(gated, comparison.partly, new))
    unjudged = {problem.name: problem.reason for problem in problems}
    never = _never_given(comparison, baseline, new, idle)
    aside = {str(cell): reason for cell, reason in idle.items()} | never
    vanished = _vanished(baseline, new, idle)
    missing = [item for item in comparison.failed if item.name not in never]
    refused, failed = (
        [Problem(item.name, item.reason, "broken") for item in items]
        for items in (comparison.refused, missing)
    )
    if too_far:
        reason = f"the machine itself drifted by {slower:.0%}: times not judged"
        findings = [_left_alone(found, reason) for found in findings]
        judged = {found.cell for found in gated}
        if drifted := [f.name for f in findings if f.reason == reason and f.cell in judged]:
            problems = [p for p in problems if p.name not in drifted]
            problems.append(Problem("times", f"{new.path}: {reason}", "machine"))
            unjudged |= dict.fromkeys(drifted, reason)
    return Session(
        findings=findings,
        unjudged=unjudged,
        problems=[
            *refused,
            *failed,
            *(problem for cell, problem in vanished if stage_of(cell.metric).fails),
            *problems,
        ],
        failed=failed,
        partly=[missed for missed in comparison.partly if missed.name not in {*unjudged, *aside}],
        differences=comparison.differences,
        notes=[
            *comparison.notes,
            *_ended_early(new),
            *_never_observed(baseline, new),
            *(f"not gated: {item.name}: {item.reason}" for item in comparison.unknown),
            *(f"not gated: {name}: {reason}" for name, reason in aside.items()),
            *(f"{p.name}: {p.reason}" for cell, p in vanished if not stage_of(cell.metric).fails),
        ],
        drifts=[
            f"{new.path}: the machine itself was {slower:.0%} slower than in the baseline's "
            "session, as its canaries say; the margin of times was widened by that"
        ]
        if slower and not too_far
        else [],
    )


def _never_observed(baseline: ResultSet, new: ResultSet) -> list[str]:
    """Metrics of what was measured that neither session has: nothing of them was compared."""
    seen = {cell.metric for results in (baseline, new) for cell in results.series()}
    probes = dict.fromkeys(trial.probe for trial in new.run.ended())
    unseen = [m for p in probes if p in PROBES for m in PROBES[p].metrics if m not in seen]
    return [f"observed in neither session, so not gated: {', '.join(unseen)}"] if unseen else []


def _never_given(
    comparison: Comparison, baseline: ResultSet, new: ResultSet, idle: dict[Cell, str]
) -> dict[str, str]:
    """What is absent, could not have been judged anyway, and did not fail now; with the reason."""
    failed = set(map(key_of, new.run.failures))
    names = set(map(key_name, ungated_keys(baseline, idle) - failed))
    return {item.name: item.reason for item in comparison.failed if item.name in names}


def _left_alone(found: Finding, reason: str) -> Finding:
    """A time without its verdict, whose margin would have to be wider than any use; else as is."""
    if found.tolerance is not None or stage_of(found.metric).margin is not None:
        return found
    return msgspec.structs.replace(found, visible=None, verdict="cannot tell", reason=reason)


def _ended_early(new: ResultSet) -> list[str]:
    """Where a session has fewer blocks than were planned, because its time was up."""
    blocks, planned = len({trial.block for trial in new.run.plan}), new.run.asked.blocks
    if blocks >= planned:
        return []
    return [f"{new.path}: the budget ended it after {blocks} of {planned} blocks"]


def _unjudged(findings: list[Finding], partly: list[Partly], new: ResultSet) -> Iterator[Problem]:
    """Of `findings`, what could not have failed the gate, whatever it did, with the reason.

    A time in too few blocks cannot have a verdict. A count has one from a single block; where more
    than half of them are missing it is the machine that chose which are left.
    """
    for found in findings:
        missed = [part for part in partly if part.name == found.name]
        said = [part.said for part in missed]
        if found.tolerance is None:
            if found.visible is None:
                yield Problem(found.name, "; ".join([found.reason, *said]), "broken")
        elif few := [part for part in missed if 2 * part.blocks < part.planned]:
            why = ""
            # What a baseline lacks it lacks on any machine.
            if all(part.path == str(new.path) for part in few):
                why = untraced(new, Cell(found.variant, found.arm, found.metric))
            yield _absent(found.name, "; ".join(said), why)


def _absent(name: str, reason: str, untraced: str) -> Problem:
    """What was not observed, with why the tracer is the reason, if it is."""
    if untraced:
        return Problem(name, f"{reason}: {untraced}", "machine")
    return Problem(name, reason, "broken")


def _vanished(
    baseline: ResultSet, new: ResultSet, idle: Collection[Cell]
) -> list[tuple[Cell, Problem]]:
    """What the baseline has, but for `idle`, and a probe that was measured now has not observed."""
    before, after = baseline.series(), new.series()
    planned = set(map(key_of, new.run.plan))
    measured = {(cell.variant, cell.arm, series.probe) for cell, series in after.items()}
    return [
        (
            cell,
            _absent(
                str(cell),
                f"{new.path}: is not observed any more, {series.probe} was measured",
                untraced(new, cell),
            ),
        )
        for cell, series in before.items()
        if cell not in after
        and cell not in idle
        and (cell.variant, cell.arm, series.probe) in planned & measured
    ]


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
        tolerance=TOLERANCES[row.metric].worse(row.old),
        verdict=row.verdict,
        reason=row.reason,
        doubtful=row.doubtful,
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
