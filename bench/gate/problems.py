"""What has no verdict that should have one, and whether that can be put down to the machine.

The baseline has it, so whoever changed something may be the reason why it is gone. Excused is only
what no change can have caused: the tracer could not observe it, or the machine itself drifted.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.quality.rule import DISTURBANCES
from bench.results import Cell, ResultSet

Kind = Literal["machine", "broken", "doubtful"]
_MISSED = "missed"
_IN_INTERRUPTS = frozenset({"wakeups", "segments_per_skb"})
"""Counts that the tracer does not give where it has missed too much."""
_UNTRACED = frozenset({"memory_copies", "traversals"})
"""Counts in which it has no part."""


class Problem(msgspec.Struct, frozen=True):
    """A cell, or several, without a verdict.

    kind: "machine": the tracer could not observe it, or the machine drifted too far. "broken": it
    was not measured, is not observed any more, is not comparable, or in too few blocks to be
    judged. "doubtful": it got worse, or may have, and the second look neither confirmed nor
    cleared it.
    """

    name: str
    reason: str
    kind: Kind


def untraced(results: ResultSet, cell: Cell) -> str:
    """Why the tracer is the reason that trials have no value of a count; empty where it is not.

    It must be of every trial that has none; one that failed is never the tracer's doing.
    """
    valued = {s.trial for s in results.samples if (s.variant, s.arm, s.metric) == cell}
    key = (cell.variant, cell.arm, "ledger")
    blank = [
        trial.trial
        for trial in results.run.ended()
        if (trial.variant, trial.arm, trial.probe) == key and trial.trial not in valued
    ]
    failed = {failure.trial for failure in results.run.failures}
    reasons = ["" if n in failed else _without_tracer(results, n, cell.metric) for n in blank]
    return "; ".join(dict.fromkeys(reasons)) if all(reasons) else ""


def _without_tracer(results: ResultSet, trial: int, metric: str) -> str:
    attempts = next((q.attempts for q in results.run.quality if q.trial == trial), ())
    if not attempts or _MISSED not in attempts[-1].figures or metric in _UNTRACED:
        return ""
    missed = attempts[-1].figures[_MISSED]
    if missed is None:
        return "there was no tracer, vnetbench doctor says why"
    if metric in _IN_INTERRUPTS and missed > DISTURBANCES[_MISSED].limit:
        return f"the tracer missed {missed:.1%} of the events, the machine is too busy"
    return ""
