"""What a history says: the document of `vnetbench trend --json`, key by key in docs/results.md."""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["faster", "slower", "small"]


class SetRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A set of the history; the others speak of it by its position in the list."""

    path: str
    started: str
    version: str
    revision: str | None


class EpochRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Sets in which a cell is the same thing on the same machine.

    first, last: positions of its sets, of which there are `sets` (other epochs' may lie between).
    differences: from what was before, empty in the first. correlation: of sets that follow each
    other, 0 where it may be chance.
    """

    first: int
    last: int
    sets: int
    differences: tuple[str, ...]
    correlation: float


class ChangeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A change of level.

    epoch: which of the cell's. before, after: the sets it lies between. old, new: medians of its
    two sides, up to the changes next to it. ratio: new over old, with its 95 % interval. p:
    adjusted for everything that was searched. verdict: "small" where the interval touches the
    margin.
    """

    epoch: int
    before: int
    after: int
    old: float
    new: float
    old_sets: int
    new_sets: int
    ratio: float
    low: float
    high: float
    p: float
    verdict: Verdict


class History(msgspec.Struct, frozen=True, kw_only=True):
    """One cell: `values` in `unit`, each of the set whose position stands in `sets`.

    visible: the smallest step (as a fraction) in the middle of what came after the last change
    of the latest epoch that would have been found there; None where there are too few sets for any.
    """

    variant: str
    arm: str
    metric: str
    unit: str
    sets: list[int]
    values: list[float]
    epochs: list[EpochRecord]
    changes: list[ChangeRecord]
    visible: float | None

    def standing(self) -> ChangeRecord | None:
        """The last change that matters of the epoch which the latest set is in."""
        latest = max(range(len(self.epochs)), key=lambda number: self.epochs[number].last)
        ours = [c for c in self.changes if c.epoch == latest and c.verdict != "small"]
        return ours[-1] if ours else None


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. left_out: a line for each set that does not count, and why."""

    format: int = 1
    level: float
    margin: float
    sets: list[SetRecord]
    left_out: list[str]
    cells: list[History]
    notes: list[str]

    def exit_code(self, *, fail: bool) -> int:
        """0, or 1 where `fail` is given and a cell got slower and has not recovered."""
        standing = (cell.standing() for cell in self.cells)
        return int(fail and any(change and change.verdict == "slower" for change in standing))
