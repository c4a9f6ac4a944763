"""What is asked of an A/B comparison, and what comes of it: the structure of the two JSON files.

Unknown keys are ignored on reading, as in `run.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from bench.counts import TOLERANCES
from bench.errors import CannotMeasure, UsageError
from bench.probes import PROBES
from bench.sequential import (
    ALARM,
    INTERVAL,
    MISS,
    MOST_BLOCKS,
    Answer,
    Limits,
    Look,
    fewest,
    plan_looks,
)

PROFILE = "ab"
"""What a result set of two variants has for a profile."""
ASKED, ANSWER = "ab-asked.json", "ab.json"
TIME_UP, INTERRUPTED = "the time was up", "it was interrupted"
"""Why a comparison ended before its plan did: all its budgets are spent, or nothing is beyond those
of the looks it had, and it can go on."""
PROBE_SETTINGS = "quick"
"""The profile whose settings the probes have: many short trials say more than few long ones."""

TIMED = tuple(id_ for id_, probe in PROBES.items() if not set(probe.metrics) <= TOLERANCES.keys())
"""Probes whose metrics ab compares. A count may be nothing, which has no quotient: counts are told
apart by their tolerance, by `compare` and the gate, and need no session in common."""

Kind = Literal["variants", "revisions"]


class AbAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared and how. `old` and `new` are as the user wrote them.

    commits: of two revisions, what they stood for when it began; None: the working tree.
    scenarios: what is measured of two revisions; of two variants none. minutes: None for no limit.
    max_blocks: the looks are planned for so many.
    """

    format: int = 1
    kind: Kind
    old: str
    new: str
    commits: tuple[str | None, ...] = ()
    scenarios: tuple[str, ...] = ()
    probes: tuple[str, ...]
    arms: tuple[str, ...]
    margin: float
    look_for: float
    max_blocks: int
    minutes: float | None
    seed: int

    @property
    def limits(self) -> Limits:
        """What matters. Raises UsageError."""
        return Limits(self.margin, self.look_for)

    def looks(self) -> tuple[Look, ...]:
        """When the answer is looked for. Raises UsageError where there are too few blocks."""
        return plan_looks(self.max_blocks, self._cells())

    def blocks_within(self, minutes: float) -> int:
        """About how many blocks can be measured in so long; enough for an answer in any case."""
        trials = 2 * len(self.arms) * max(1, len(self.scenarios))
        probes = (PROBES[id_] for id_ in self.probes)
        seconds = trials * sum(p.duration(p.settings[PROBE_SETTINGS]) for p in probes)
        return max(fewest(self._cells()), min(MOST_BLOCKS, int(60 * minutes / seconds)))

    def _cells(self) -> int:
        metrics = sum(len(PROBES[probe].metrics) for probe in self.probes)
        return metrics * len(self.arms) * max(1, len(self.scenarios))


class NotMeasured(msgspec.Struct, frozen=True):
    """What has no figures on one side at least, or failed more often on the new one."""

    name: str
    reason: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    old, new: with the commit they stood for. answers: of every metric. looks: how many were taken.
    blocks: after how many the last of them was, or it was interrupted. stopped: why no more was
    measured. alarm, miss, interval: the budgets of error, over all looks. notes: what else to know
    of it.
    """

    format: int = 1
    results: str
    asked: AbAsked
    old: str
    new: str
    blocks: int
    looks: int
    planned_looks: list[int]
    stopped: str
    seconds: float
    answers: list[Answer]
    failed: list[NotMeasured]
    notes: list[str] = []
    alarm: float = float(ALARM)
    miss: float = float(MISS)
    interval: float = float(INTERVAL)

    def exit_code(self) -> int:
        """0 no regression shown, 1 regression, 3 something could not be measured."""
        if any(answer.verdict == "slower" for answer in self.answers):
            return 1
        return CannotMeasure.exit_code if self.failed or not self.answers else 0


def read_asked(folder: Path) -> AbAsked:
    """What a comparison in `folder` was asked for. Raises UsageError."""
    file = folder / ASKED
    try:
        asked = msgspec.json.decode(file.read_bytes(), type=AbAsked)
    except FileNotFoundError:
        raise UsageError(f"{folder}: has no {ASKED}, so it is not of vnetbench ab") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from None
    if asked.kind == "revisions" and len(asked.commits) != len((asked.old, asked.new)):
        raise UsageError(f"{file}: does not say which two commits; measure anew")
    if unknown := [probe for probe in asked.probes if probe not in PROBES]:
        raise UsageError(f"{', '.join(unknown)}: not a probe of this vnetbench; measure anew")
    return asked


def said_of(folder: Path) -> Report | None:
    """What was said before of the comparison in `folder`, if anything was."""
    try:
        return msgspec.json.decode((folder / ANSWER).read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def seconds_of(folder: Path) -> float:
    """How long it took, by what was said of it before; 0 where nothing was."""
    said = said_of(folder)
    return said.seconds if said else 0.0


def time_was_up(folder: Path) -> bool:
    """Whether the time ended it: its budgets are spent then, and there is no going on."""
    said = said_of(folder)
    return said is not None and said.stopped == TIME_UP


def write(file: Path, what: AbAsked | Report) -> None:
    """Write one of the two files."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(what), indent=1) + b"\n")
