"""From result sets to pairs: what both sides have of each metric, block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.ab.model import NotMeasured
from bench.ab.tries import watched
from bench.conditions import alike
from bench.metrics import METRICS
from bench.results import Cell, ResultSet, Series
from bench.sequential import Paired

Key = tuple[str, str, str]
"""What was measured, in which arm, by which probe."""


@dataclass
class Side:
    """What there is of one side.

    tried, failed: how many trials, of blocks that were finished. why: the first reason of a
    failure. settings: of each probe. conditions: all that its figures hold for. watched: whether it
    tells of all trials what disturbed them.
    """

    series: dict[Cell, Series] = field(default_factory=dict)
    tried: Counter[Key] = field(default_factory=Counter)
    failed: Counter[Key] = field(default_factory=Counter)
    why: dict[Key, str] = field(default_factory=dict)
    settings: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    conditions: dict[Key, list[Mapping[str, float]]] = field(default_factory=dict)
    watched: bool = True

    def add(self, results: ResultSet, names: Mapping[str, str], block: int | None = None) -> None:
        """Add what a result set has of some variants, all of it as of `block` where that is given.

        names: variant → what its cells are called.
        """
        self.settings |= results.run.asked.settings
        self.watched &= watched(results.run)
        for cell, series in results.series().items():
            if cell.variant in names:
                self._add_series(cell._replace(variant=names[cell.variant]), series, block)
        stopped = {trial.block for trial in results.run.pending()}
        for trial in results.run.ended():
            if trial.variant in names and trial.block not in stopped:
                self.tried[names[trial.variant], trial.arm, trial.probe] += 1
        for failure in results.run.failures:
            if failure.variant in names and failure.block not in stopped:
                key = (names[failure.variant], failure.arm, failure.probe)
                self.failed[key] += 1
                self.why.setdefault(key, failure.reason)
        for variant, name in names.items():
            for arm, probes in results.run.variants[variant].conditions.items():
                for probe, found in probes.items():
                    self.conditions.setdefault((name, arm, probe), []).append(found)

    def _add_series(self, cell: Cell, series: Series, block: int | None) -> None:
        values = dict(series.blocks)
        if block is not None:
            values = dict.fromkeys([block], next(iter(values.values())))
        before = self.series[cell].blocks if cell in self.series else {}
        self.series[cell] = series._replace(blocks={**before, **values})


def pairs(old: Side, new: Side) -> list[Paired]:
    """What can be compared, by metric, name and arm."""
    found = [
        Paired(cell, series, new.series[cell])
        for cell, series in old.series.items()
        if cell in new.series and not _unlike(cell, old, new)
    ]
    order = list(METRICS)
    return sorted(found, key=lambda pair: (order.index(pair.cell.metric), pair.cell))


def not_measured(old: Side, new: Side) -> list[NotMeasured]:
    """What cannot be compared, what one side has nothing of, what is missing more often on the new.

    What is missing is seldom so by accident: a slow block is the one that fails or gives no figure.
    """
    found = [
        NotMeasured(str(cell), problem)
        for cell in old.series
        if (problem := (cell in new.series and _unlike(cell, old, new)) or _without(cell, old, new))
    ]
    for key in dict.fromkeys((*old.tried, *new.tried)):
        if problem := _absent(key, old, new) or _failing_more(key, old, new):
            found.append(NotMeasured(f"{key[2]}[{key[0]},{key[1]}]", problem))
    return found


def _unlike(cell: Cell, old: Side, new: Side) -> str:
    """Why a metric is not the same thing on both sides, or nothing."""
    a, b = old.series[cell], new.series[cell]
    if cell.metric not in METRICS:
        return "not a metric this vnetbench knows"
    if {a.unit, b.unit} != {METRICS[cell.metric].unit}:
        return f"is in {a.unit} and {b.unit}, expected {METRICS[cell.metric].unit}"
    if old.settings.get(a.probe) != new.settings.get(b.probe):
        return f"{a.probe} has other settings on the new side"
    key = (cell.variant, cell.arm, a.probe)
    first, *others = (*old.conditions.get(key, ()), *new.conditions.get(key, ())) or ({},)
    if not all(alike(first, other) for other in others):
        return f"{a.probe} was not done under the same conditions everywhere"
    if min(*a.blocks.values(), *b.blocks.values()) <= 0:
        return "a value of 0 or less has no ratio"
    return ""


def _without(cell: Cell, old: Side, new: Side) -> str:
    """Why a metric is missing on the new side where its trials did not fail, or nothing."""
    key = (cell.variant, cell.arm, old.series[cell].probe)
    before, after = (
        side.tried[key]
        - side.failed[key]
        - len(side.series[cell].blocks if cell in side.series else ())
        for side in (old, new)
    )
    if after * old.tried[key] <= before * new.tried[key]:
        return ""
    return f"new: no figure in {after} of {new.tried[key]} trials, its warnings say why"


def _absent(key: Key, old: Side, new: Side) -> str:
    return "; ".join(
        f"{label}: {side.why.get(key, 'not reached')}"
        for label, side in (("old", old), ("new", new))
        if side.failed[key] == side.tried[key]
    )


def _failing_more(key: Key, old: Side, new: Side) -> str:
    # Crosswise, so that nothing is divided by what was never tried.
    if new.failed[key] * old.tried[key] <= old.failed[key] * new.tried[key]:
        return ""
    return f"new: {new.failed[key]} of {new.tried[key]} trials failed: {new.why[key]}"
