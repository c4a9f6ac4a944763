"""From folders of result sets to what they say over time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.errors import UsageError, did_you_mean
from bench.metrics import METRICS
from bench.results import Cell
from bench.stats import LEVEL, Shift
from bench.trend.correlation import correlations
from bench.trend.effect import effect
from bench.trend.epochs import Epoch, epochs
from bench.trend.gather import gather
from bench.trend.model import ChangeRecord, EpochRecord, History, SetRecord, Trend, Verdict
from bench.trend.read import Session, Value
from bench.trend.search import FEWEST, Array, Searched, search

MARGIN = 0.02
"""Smaller changes do not matter. It need not cover the drift between sessions, as the margin of
`compare` does: here sessions are the replicates, and their scatter contains the drift."""


class _Part(NamedTuple):
    """An epoch of a cell: its values, how alike neighbours are, and what was found in it."""

    values: Array
    correlation: float
    found: Searched


class _Asked(NamedTuple):
    """Which cells are wanted; none named means all."""

    metrics: Sequence[str]
    scenarios: Sequence[str]
    arms: Sequence[str]

    def wants(self, cell: Cell, session: Session) -> bool:
        return (
            (not self.metrics or cell.metric in self.metrics)
            and (not self.arms or cell.arm in self.arms)
            and (
                not self.scenarios
                or cell.variant in self.scenarios
                or session.variants[cell.variant].scenario in self.scenarios
            )
        )


def trend(
    folders: Sequence[Path],
    *,
    margin: float = MARGIN,
    metrics: Sequence[str] = (),
    scenarios: Sequence[str] = (),
    arms: Sequence[str] = (),
) -> Trend:
    """Read all result sets in `folders` and find where the cells that are wanted changed.

    scenarios: names of variants, or of the scenarios they are variants of. Raises UsageError where
    there is no set, or none of them has such a cell.
    """
    if not 0 <= margin < math.inf:
        raise UsageError(f"margin {100 * margin:g} %: expected 0 or more")
    sessions, left_out = gather(folders)
    notes: list[str] = []
    sessions = _chosen(sessions, _Asked(metrics, scenarios, arms), notes)
    found = epochs(sessions)
    parts = [(cell, number) for cell, ours in found.items() for number in range(len(ours))]
    series = [_logs(cell, found[cell][number], sessions) for cell, number in parts]
    alike = correlations(series)
    if drifting := sum(r > 0 for r in alike):
        notes.append(
            f"sets that follow each other resemble each other in {drifting} of {len(alike)} series "
            f"(correlation up to {max(alike):.2f}): there only what is new in a set was shuffled"
        )
    searched_parts = map(_Part, series, alike, search(series, alike))
    results = dict(zip(parts, searched_parts, strict=True))
    cells = []
    for cell in sorted(found, key=_order(found)):
        searched = [results[cell, number] for number in range(len(found[cell]))]
        cells.append(_history(cell, found[cell], searched, sessions, margin))
    if short := sum(cell.visible is None for cell in cells):
        notes.append(
            f"{short} of {len(cells)} cells have too few sets since their last change or new epoch "
            f"for any later change to be found; it takes {FEWEST}"
        )
    return Trend(
        level=float(LEVEL),
        margin=margin,
        sets=[_record(session) for session in sessions],
        left_out=left_out,
        cells=cells,
        notes=notes,
    )


# ---- which values count -------------------------------------------------------------------------


def _chosen(sessions: Sequence[Session], asked: _Asked, notes: list[str]) -> list[Session]:
    """The sessions with those of their values that are wanted and can be put into a ratio."""
    unfit: dict[str, dict[Cell, int]] = {}
    chosen: list[Session] = []
    for session in sessions:
        wanted = {c: v for c, v in session.values.items() if asked.wants(c, session)}
        for cell, value in wanted.items():
            if problem := _unfit(cell, value):
                places = unfit.setdefault(problem, {})
                places[cell] = places.get(cell, 0) + 1
        fit = {c: v for c, v in wanted.items() if not _unfit(c, v)}
        chosen.append(replace(session, values=fit))
    for problem, places in unfit.items():
        names = ", ".join(map(str, list(places)[:3])) + (", …" if len(places) > 3 else "")  # noqa: PLR2004
        notes.append(f"left out of {max(places.values())} sets: {names}: {problem}")
    if not any(session.values for session in chosen):
        raise UsageError(_nothing(sessions, asked))
    return chosen


def _nothing(sessions: Sequence[Session], asked: _Asked) -> str:
    """What to say where no set has what is asked for: what they do have."""
    cells = [(cell, session) for session in sessions for cell in session.values]
    variants = [cell.variant for cell, _ in cells]
    bases = [session.variants[cell.variant].scenario for cell, session in cells]
    text = f"none of the {len(sessions)} sets has a value of what is asked for"
    for given, known in (
        (asked.metrics, dict.fromkeys(cell.metric for cell, _ in cells)),
        (asked.scenarios, dict.fromkeys([*bases, *variants])),
    ):
        for name in given:
            if name not in known:
                text += f"; {name}{did_you_mean(name, known)}: they have {', '.join(known)}"
    return text


def _unfit(cell: Cell, value: Value) -> str:
    """Why a value cannot be a part of a history."""
    if cell.metric not in METRICS:
        return "not a metric this vnetbench knows"
    unit = METRICS[cell.metric].unit
    if value.unit != unit:
        return f"in {value.unit}, expected {unit}"
    return "" if value.median > 0 else "a value of 0 or less has no ratio"


def _logs(cell: Cell, epoch: Epoch, sessions: Sequence[Session]) -> Array:
    return np.log([sessions[position].values[cell].median for position in epoch.sets])


def _order(cells: Sequence[Cell] | dict[Cell, list[Epoch]]) -> Callable[[Cell], tuple[int, ...]]:
    """Metrics in the order of their table, arms and variants in that of their first appearance."""
    metrics = {metric: position for position, metric in enumerate(METRICS)}
    arms = {arm: position for position, arm in enumerate(dict.fromkeys(c.arm for c in cells))}
    names = {name: i for i, name in enumerate(dict.fromkeys(c.variant for c in cells))}
    return lambda cell: (metrics[cell.metric], arms[cell.arm], names[cell.variant])


# ---- what is said of them -----------------------------------------------------------------------


def _record(session: Session) -> SetRecord:
    revision = session.environment.get("git_revision")
    return SetRecord(
        path=str(session.path),
        started=session.started,
        version=session.version,
        revision=revision if isinstance(revision, str) else None,
    )


def _history(
    cell: Cell,
    ours: Sequence[Epoch],
    searched: Sequence[_Part],
    sessions: Sequence[Session],
    margin: float,
) -> History:
    positions = sorted(position for epoch in ours for position in epoch.sets)
    latest = max(range(len(ours)), key=lambda number: ours[number].sets[-1])
    visible = searched[latest].found.visible
    return History(
        **cell._asdict(),
        unit=METRICS[cell.metric].unit,
        sets=positions,
        values=[sessions[position].values[cell].median for position in positions],
        epochs=[
            EpochRecord(
                first=epoch.sets[0],
                last=epoch.sets[-1],
                sets=len(epoch.sets),
                differences=epoch.differences,
                correlation=part.correlation,
            )
            for epoch, part in zip(ours, searched, strict=True)
        ],
        changes=[
            change
            for number, (epoch, part) in enumerate(zip(ours, searched, strict=True))
            for change in _changes(cell, number, epoch, part, margin)
        ],
        visible=math.expm1(visible) if math.isfinite(visible) else None,
    )


def _changes(
    cell: Cell, number: int, epoch: Epoch, part: _Part, margin: float
) -> list[ChangeRecord]:
    values, changes = part.values, part.found.changes
    places = [0, *(change.at for change in changes), len(values)]
    records = []
    for change, start, end in zip(changes, places[:-2], places[2:], strict=True):
        old, new = values[start : change.at], values[change.at : end]
        found = effect(old, new)
        records.append(
            ChangeRecord(
                epoch=number,
                before=epoch.sets[change.at - 1],
                after=epoch.sets[change.at],
                old=math.exp(statistics.median(old.tolist())),
                new=math.exp(statistics.median(new.tolist())),
                old_sets=len(old),
                new_sets=len(new),
                ratio=math.exp(found.estimate),
                low=math.exp(found.low),
                high=math.exp(found.high),
                p=change.p,
                verdict=_verdict(cell.metric, found, margin),
            )
        )
    return records


def _verdict(metric: str, found: Shift, margin: float) -> Verdict:
    """Only what lies with its whole interval outside the margin matters."""
    limit = math.log1p(margin)
    if -limit <= found.high and found.low <= limit:
        return "small"
    return "faster" if (found.low > 0) == (METRICS[metric].better == "higher") else "slower"
