"""From two series for each cell to a verdict for each: faster, slower or *cannot tell*."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from bench.labelings import blocks_needed
from bench.metrics import METRICS
from bench.relabel import family
from bench.results import Cell, Series
from bench.stats import LEVEL, Shift, shift

Verdict = Literal["faster", "slower", "cannot tell"]

_JOINT_SHARE = Fraction(4, 5)
"""Share of the allowed error that goes to the cells compared jointly when others miss blocks."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One cell compared. `old` and `new` are medians of block values, in `unit`.

    ratio: new over old, Hodges and Lehmann's estimate; low, high: its 95 % interval, None where
    there are too few blocks for one. p: of no change larger than the margin (or what else was
    taken for none), adjusted over all cells of the comparison. visible: the smallest change, as a
    fraction, that would have given a verdict; None: no change would.
    reason: why there is no verdict, else empty.
    """

    variant: str
    arm: str
    metric: str
    unit: str
    old: float
    new: float
    old_blocks: int
    new_blocks: int
    ratio: float
    low: float | None
    high: float | None
    p: float
    verdict: Verdict
    visible: float | None
    reason: str


class Pair(NamedTuple):
    """A cell with what the old and the new set have of it; all values are positive."""

    cell: Cell
    old: Series
    new: Series


def judge(
    pairs: Sequence[Pair], margin: float, null: float | None = None
) -> tuple[list[Row], list[str]]:
    """Judge all cells as one family; return a row for each, in order, and notes for the reader.

    null: the largest change that the corrected test, whose p-value is reported, takes for none; the
    margin unless told otherwise.

    Cells that miss blocks which others have cannot be relabelled with them. Each is tested by
    itself, with Bonferroni's correction over them, and the allowed error is divided between the
    two groups, so that together they still keep to it.
    """
    null = margin if null is None else null
    old_blocks = max((len(pair.old.blocks) for pair in pairs), default=0)
    new_blocks = max((len(pair.new.blocks) for pair in pairs), default=0)
    whole = [
        pair
        for pair in pairs
        if len(pair.old.blocks) == old_blocks and len(pair.new.blocks) == new_blocks
    ]
    rows: dict[Cell, Row] = {}
    notes = []
    missing = [pair for pair in pairs if pair not in whole]
    joint = _JOINT_SHARE if missing else Fraction(1)
    if whole:
        rows |= _judge_jointly(whole, joint, margin, null)
    if missing:
        notes.append(
            f"cells that miss blocks which others have ({len(missing)} of {len(pairs)}) are each "
            "tested by themselves, with Bonferroni's correction and a fifth of the allowed error"
        )
        for pair in missing:
            rows |= _judge_jointly([pair], (1 - joint) / len(missing), margin, null)
    return [rows[pair.cell] for pair in pairs], notes


def _judge_jointly(
    pairs: Sequence[Pair], share: Fraction, margin: float, null: float
) -> dict[Cell, Row]:
    """Compare cells that have the same blocks; `share` of the allowed error is theirs."""
    level = LEVEL * share
    old = [_logs(pair.old) for pair in pairs]
    new = [_logs(pair.new) for pair in pairs]
    values = np.array([o + n for o, n in zip(old, new, strict=True)]).T
    found = family(values, len(old[0]), level, limit=math.log1p(null))
    rows = {}
    for pair, o, n, p, distance in zip(pairs, old, new, found.p, found.distance, strict=True):
        change = shift(o, n)
        adjusted = min(1.0, float(p / share))
        visible = _visible(change, float(distance), margin)
        verdict = _verdict(pair.cell.metric, change, adjusted, margin)
        sized = math.isfinite(change.low)
        rows[pair.cell] = Row(
            **pair.cell._asdict(),
            unit=pair.old.unit,
            old=statistics.median(pair.old.blocks.values()),
            new=statistics.median(pair.new.blocks.values()),
            old_blocks=len(o),
            new_blocks=len(n),
            ratio=math.exp(change.estimate),
            low=math.exp(change.low) if sized else None,
            high=math.exp(change.high) if sized else None,
            p=adjusted,
            verdict=verdict,
            visible=visible,
            reason="" if verdict != "cannot tell" else _reason(change, visible, margin, level),
        )
    return rows


def _logs(series: Series) -> list[float]:
    """In the order of the blocks: row i of a family must be one block of the session."""
    return [math.log(value) for _, value in sorted(series.blocks.items())]


def _verdict(metric: str, change: Shift, p: float, margin: float) -> Verdict:
    """Only what is no accident, and has its whole interval outside the margin, has one.

    p alone pays for the number of cells. The interval is what the reader sees: it must not
    contradict the verdict.
    """
    limit = math.log1p(margin)
    if p > LEVEL or (-limit <= change.high and change.low <= limit):
        return "cannot tell"
    higher_is_better = METRICS[metric].better == "higher"
    return "faster" if (change.low > 0) == higher_is_better else "slower"


def _visible(change: Shift, distance: float, margin: float) -> float | None:
    """The smallest change that would have been seen with blocks that scatter as these do.

    It must take the end of the interval which is nearer to no change out of the margin, and
    bring the adjusted p-value down to the level.
    """
    side = change.estimate - change.low if change.estimate > 0 else change.high - change.estimate
    needed = max(math.log1p(margin) + side, abs(change.estimate) + distance)
    return math.expm1(needed) if math.isfinite(needed) else None


def _reason(change: Shift, visible: float | None, margin: float, level: Fraction) -> str:
    if visible is None:
        return f"too few blocks: no change can be shown with fewer than {blocks_needed(level)}"
    limit = math.log1p(margin)
    if -limit <= change.low and change.high <= limit:
        return f"a change, if any, is within the margin of {100 * margin:g} %"
    return "the change is smaller than what could be seen"
