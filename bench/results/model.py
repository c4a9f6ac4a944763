"""What a result set holds: the structure of `run.json` and of a row of `samples.csv`.

Unknown keys are ignored on reading, so a key can be added without a new format version; the
version goes up when a key changes its meaning or is taken away.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec

from bench import __version__

FORMAT = 1
PROGRAM = "vnetbench"

Status = Literal["running", "interrupted", "complete"]
Purpose = Literal["session", "second look", "calibration"]
"""What a set was measured for. All but a session serve a set beside them and say nothing alone: of
what had just got worse in a gate, say, or with a handicap to be weighed."""


def now() -> str:
    """The time as the format writes it: ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class PlannedTrial(msgspec.Struct, frozen=True):
    """One trial of the plan: `trial` numbers them in the order in which they are carried out."""

    trial: int
    block: int
    variant: str
    arm: str
    probe: str


class Completed(msgspec.Struct, frozen=True):
    """A trial whose values are all in `samples.csv`, and when it ended."""

    trial: int
    ended: str


class Failure(msgspec.Struct, frozen=True):
    """A trial that could not be measured, and the reason in one line.

    missing: the machine lacks something for it, so nothing broke.
    """

    trial: int
    block: int
    variant: str
    arm: str
    probe: str
    reason: str
    missing: bool = False


class Attempt(msgspec.Struct, frozen=True):
    """One try at a trial: what was watched meanwhile, and what of it was too much.

    figures: disturbance → how much of it, None: not observed. spoilt: those above the limit.
    samples: metric → values, of a try that does not count; those of the last are in
    `samples.csv`.
    """

    figures: dict[str, float | None]
    spoilt: tuple[str, ...] = ()
    samples: dict[str, list[float]] = {}


class Quality(msgspec.Struct, frozen=True):
    """How undisturbed a trial was: all its tries that came to an end, in order.

    The last is the one that counts, unless it is that of a trial that failed when it was repeated.
    """

    trial: int
    attempts: tuple[Attempt, ...]


class Canary(msgspec.Struct, frozen=True):
    """What the machine itself did before a block; that after the last has the number that follows.

    values: part → what was measured, in its SI unit. spoilt: what disturbed it, as of a trial.
    """

    block: int
    taken: str
    values: dict[str, float]
    spoilt: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for.

    scenarios: names or paths as given. overrides: texts such as "mtu=1400,9000".
    settings: probe → what the profile made it do; equal settings make results comparable.
    repeats: how often a disturbed trial was to be repeated.
    one_for_all: whether the load that is found for the first variant goes for all variants of an
        arm, because they are to be compared.
    """

    scenarios: tuple[str, ...]
    overrides: tuple[str, ...]
    profile: str
    settings: dict[str, dict[str, Any]]
    probes: tuple[str, ...]
    arms: tuple[str, ...]
    blocks: int
    seed: int
    repeats: int = 0
    one_for_all: bool = False


class VariantRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One variant: where it comes from, and what was found inside its namespaces.

    sha256: of the scenario file, hexadecimal. facts: arm → anything JSON can say.
    conditions: arm → probe → what its figures hold for; "load" → what was found before them.
    """

    scenario: str
    parameters: dict[str, bool | int | float | str]
    sha256: str
    facts: dict[str, Any] = {}
    conditions: dict[str, dict[str, dict[str, float]]] = {}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of `run.json`. `variants` are in the order asked for, `plan` in trial order."""

    format: int = FORMAT
    program: str = PROGRAM
    version: str = __version__
    id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)
    status: Status = "running"
    purpose: Purpose = "session"
    started: str = msgspec.field(default_factory=now)
    finished: str | None = None
    asked: Asked
    variants: dict[str, VariantRecord]
    environment: dict[str, Any]
    warnings: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    completed: tuple[Completed, ...] = ()
    quality: tuple[Quality, ...] = ()
    canaries: tuple[Canary, ...] = ()
    plan: tuple[PlannedTrial, ...]

    def pending(self) -> list[PlannedTrial]:
        """The trials that have neither been measured nor failed, in order."""
        ended = self._ended()
        return [trial for trial in self.plan if trial.trial not in ended]

    def ended(self) -> list[PlannedTrial]:
        """The other trials, in the planned order."""
        ended = self._ended()
        return [trial for trial in self.plan if trial.trial in ended]

    def _ended(self) -> set[int]:
        return {t.trial for t in self.completed} | {t.trial for t in self.failures}


class Sample(NamedTuple):
    """One row of `samples.csv`: one raw value, in the metric's SI unit."""

    scenario: str
    variant: str
    arm: str
    metric: str
    unit: str
    block: int
    trial: int
    value: float


class Cell(NamedTuple):
    """What is summarised and compared: one metric of one variant in one arm."""

    variant: str
    arm: str
    metric: str

    def __str__(self) -> str:
        return f"{self.metric}[{self.variant},{self.arm}]"


class Series(NamedTuple):
    """The values of a cell: block → the median of the raw values measured in it."""

    unit: str
    probe: str
    blocks: Mapping[int, float]
