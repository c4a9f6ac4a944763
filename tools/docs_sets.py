"""What templates see of result sets: figures by path, metric and arm, and what measured them."""

from __future__ import annotations

import functools
import itertools
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from docs_words import Bounded, count, plain

from bench.errors import UsageError
from bench.loads import LOAD
from bench.probes.delay import BASE_RATE
from bench.quality.words import closing
from bench.results import CellSummary, ResultSet, load, summarise
from bench.topology import Arm
from bench.units import format_value
from bench.why.answer import answer
from bench.why.claims import CLAIMS, Verdict
from bench.why.experiment import design_of
from bench.why.model import Ablation, Answer, Bridge, Effect, Estimate, Gap, Price, Share

if TYPE_CHECKING:
    from bench.report.model import Picture

_NATIVE = str(Arm.NATIVE)


def worst(of: Callable[..., float], *parts: Bounded) -> Estimate:
    """What is computed from figures with intervals, with an interval at the worst.

    Its ends are the least and the most that `of`, which must be monotone in each, makes of theirs.
    Raises UsageError where one has no interval.
    """
    ends = []
    for part in parts:
        if part.low is None or part.high is None:
            raise UsageError("a figure has no interval, and another is computed from it")
        ends.append((part.low, part.high))
    value = of(*map(plain, parts))
    corners = [value, *(of(*corner) for corner in itertools.product(*ends))]
    return Estimate(value, min(corners), max(corners))


def ratio(above: Bounded, below: Bounded) -> Estimate:
    """One over the other, with its ends at the worst."""
    return worst(operator.truediv, above, below)


def total(one: Bounded, other: Bounded) -> Estimate:
    """Both together, with its ends at the worst."""
    return worst(operator.add, one, other)


@functools.total_ordering
@dataclass(frozen=True, eq=False)
class Figure:
    """The median of a cell over its blocks; compared by its value.

    low, high: its 95 % interval, or where there are too few blocks, the lowest and the highest.
    blocks: those that have it, which may be fewer than the set has.
    """

    value: float
    unit: str
    low: float
    high: float
    blocks: int

    def __str__(self) -> str:
        # "4.00 1/packet" is not how anybody says it.
        unit = "" if self.unit.startswith("1") else self.unit
        return format_value(self.value, unit).strip()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Figure) and self.value == other.value

    def __lt__(self, other: Figure) -> bool:
        return self.value < other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __truediv__(self, other: Figure) -> Estimate:
        return ratio(self, other)

    @property
    def spread(self) -> str:
        """Where the ends of the interval lie, relative to the value: "-7% +14%"; of 0 nothing.

        A single block has no spread, and says so.
        """
        if self.blocks == 1:
            return "one block"
        if not self.value:
            return "±0" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        return " ".join(f"{end / self.value - 1:+.0%}" for end in (self.low, self.high))

    def surely_above(self, other: Figure) -> bool:
        """Whether the intervals of both lie apart; a single block has none."""
        return min(self.blocks, other.blocks) > 1 and self.low > other.high


@dataclass(frozen=True)
class Figures:
    """One result set."""

    results: ResultSet
    summaries: Mapping[tuple[str, str, str], CellSummary]

    @classmethod
    def of(cls, folder: Path) -> Figures:
        """Load a complete set. Raises UsageError."""
        results = load(folder)
        if results.run.status != "complete":
            raise UsageError(f"{folder}: is not complete; documents are made of complete sets")
        return cls(results, {(s.variant, s.arm, s.metric): s for s in summarise(results)})

    def __call__(self, path: str, metric: str, arm: str = _NATIVE) -> Figure:
        """The figure of a cell. Raises UsageError where the set does not have it."""
        found = self.summaries.get((path, arm, metric))
        if found is None:
            raise UsageError(f"{self.results.path}: has no {metric} of {path}, {arm}")
        return Figure(found.median, found.unit, *found.ends, found.blocks)

    def base_rate(self, path: str, arm: str = _NATIVE) -> float:
        """Datagrams a second of which the loads of its delays are shares.

        Raises UsageError where the set has no delays of that path.
        """
        try:
            return self.results.run.variants[path].conditions[arm][LOAD][BASE_RATE]
        except KeyError:
            raise UsageError(f"{self.results.path}: no load was found for {path}, {arm}") from None

    @functools.cached_property
    def pictures(self) -> Mapping[str, Picture]:
        """Those of its report by name, none of them drawn yet."""
        from bench.report.build import build, pictures  # noqa: PLC0415 - it imports matplotlib

        return {picture.name: picture for picture in pictures(build([self.results]))}

    @property
    def spread(self) -> str:
        """What the spread of its figures is."""
        exact = all(summary.low is not None for summary in self.summaries.values())
        return "the ends of the 95 % interval" if exact else "the lowest and the highest block"

    def has(self, path: str, metric: str, arm: str = _NATIVE) -> bool:
        """Whether it has that cell."""
        return (path, arm, metric) in self.summaries

    @property
    def paths(self) -> tuple[str, ...]:
        """Its variants, in the order asked for."""
        return tuple(self.results.run.variants)

    @property
    def blocks(self) -> int:
        """How many blocks were asked for."""
        return self.results.run.asked.blocks

    @property
    def minutes(self) -> int:
        """How long it took, in whole minutes."""
        run = self.results.run
        begun, ended = (
            datetime.fromisoformat(t) for t in (run.started, run.finished or run.started)
        )
        return round((ended - begun).total_seconds() / 60)

    @property
    def trials(self) -> int:
        """How many trials were completed."""
        return len(self.results.run.completed)

    @property
    def about(self) -> list[str]:
        """When it was, of which revision, how disturbed, and what it warned of."""
        run = self.results.run
        revision = run.environment.get("git_revision") or "not known"
        return [
            f"Measured on {run.started[:10]} by vnetbench {run.version}, revision {revision}, "
            f"profile {run.asked.profile}, seed {run.asked.seed}.",
            *closing(run),
            *([f"Its report has {count(self.warnings, 'warning')}."] if run.warnings else []),
        ]

    @property
    def disturbed(self) -> int:
        """How many trials count though something disturbed them each time."""
        return sum(bool(record.attempts[-1].spoilt) for record in self.results.run.quality)

    @property
    def warnings(self) -> int:
        """How many warnings its report has."""
        return len(self.results.run.warnings)

    @property
    def machine(self) -> str:
        """What measured it, in words, as far as that could be read."""
        return describe(self.results.run.environment)

    @property
    def cpus(self) -> int:
        """How many processors it had."""
        return int(self.results.run.environment.get("cpus_usable") or 0)


def describe(environment: Mapping[str, object]) -> str:
    """A fingerprint in words: "a virtual machine with 2 CPUs (…) under KVM, Linux 6.18, …"."""
    hypervisor = environment.get("hypervisor")
    virtual = hypervisor not in (None, "none")
    text = "a virtual machine" if virtual else "a machine"
    if (cpus := environment.get("cpus_usable")) is not None:
        text += f" with {cpus} CPU{'s' if cpus != 1 else ''}"
    if model := environment.get("cpu_model"):
        text += f" ({' '.join(str(model).split())})"
    if virtual and hypervisor != "unidentified":
        text += f" under {hypervisor}"
    if kernel := re.match(r"\d+\.\d+", str(environment.get("kernel_release"))):
        text += f", Linux {kernel[0]}"
    if distribution := environment.get("distribution"):
        text += f", {re.sub(r' GNU/Linux| [(].*[)]', '', str(distribution))}"
    return text


# ---- what `vnetbench why` answered --------------------------------------------------------------


class _Claims(msgspec.Struct, frozen=True):
    """What `vnetbench why --claims --json` prints."""

    claims: dict[str, Verdict]


@dataclass(frozen=True)
class Explained:
    """A set of `vnetbench why`, its answer, and its verdicts on the claims."""

    figures: Figures
    answer: Answer
    verdicts: Mapping[str, Verdict]

    @classmethod
    def of(cls, folder: Path) -> Explained:
        """Load a set with its answer, which is worked out where it is not kept. Raises UsageError.

        The verdicts are what `vnetbench why --claims --json` printed, kept as claims.json.
        """
        figures = Figures.of(folder)
        try:
            found = msgspec.json.decode((folder / "why.json").read_bytes(), type=Answer)
        except FileNotFoundError:
            found = answer(figures.results, design_of(figures.results.run))
        if any(gap.gap.low is None for gap in found.gaps):
            raise UsageError(f"{folder}: has too few blocks for intervals; measure eight")
        file = folder / "claims.json"
        try:
            verdicts = msgspec.json.decode(file.read_bytes(), type=_Claims).claims
        except FileNotFoundError:
            raise UsageError(
                f"{file}: is missing; make it on the same machine with: "
                f"vnetbench why --claims --json > {file}"
            ) from None
        if missing := CLAIMS.keys() - verdicts.keys():
            raise UsageError(f"{file}: lacks {', '.join(sorted(missing))}; make it anew")
        return cls(figures, found, verdicts)

    def gap(self, measure: str, arm: str = _NATIVE, fast: str = "") -> Gap:
        """The gap from the fast path, or from another that stands beside it."""
        wanted = (measure, arm, fast or self.answer.fast)
        for gap in self.answer.gaps:
            if (gap.measure, gap.arm, gap.fast) == wanted:
                return gap
        raise UsageError(f"{self.figures.results.path}: has no gap {', '.join(wanted)}")

    def share(self, cause: str, measure: str, arm: str = _NATIVE) -> Share:
        """What a cause accounts for of the gap to the fast path."""
        gap = self.gap(measure, arm)
        for share in gap.shares:
            if share.cause == cause:
                return share
        raise UsageError(f"{self.figures.results.path}: has no {cause} of {measure}, {arm}")

    def price(self, cause: str, measure: str, arm: str = _NATIVE) -> Price:
        """What one more of a cause costs."""
        for price in self.answer.prices.get(f"{measure},{arm}", []):
            if price.cause == cause:
                return price
        raise UsageError(f"{self.figures.results.path}: no price of {cause} for {measure}, {arm}")

    def ablation(self, measure: str, arm: str = _NATIVE) -> Ablation:
        """What the techniques save."""
        for found in self.answer.ablations:
            if (found.measure, found.arm) == (measure, arm):
                return found
        raise UsageError(f"{self.figures.results.path}: no ablation of {measure}, {arm}")

    def won(self, measure: str, arm: str = _NATIVE) -> Estimate:
        """The share of the gap that all techniques together win back, its ends at the worst."""
        found, gap = self.ablation(measure, arm), self.gap(measure, arm)
        times = (found.time, found.best, gap.fast_time)
        return worst(lambda slow, best, fast: (slow - best) / (slow - fast), *times)

    def effect(self, factor: str, measure: str, arm: str = _NATIVE) -> Effect:
        """What one technique saves."""
        for effect in self.ablation(measure, arm).effects:
            if effect.factor == factor:
                return effect
        raise UsageError(f"{self.figures.results.path}: no {factor} of {measure}, {arm}")

    def bridge(self, fast: str = "") -> Bridge:
        """The gap of a stream in factors."""
        for found in self.answer.bridges:
            if found.fast == (fast or self.answer.fast):
                return found
        raise UsageError(f"{self.figures.results.path}: was not measured in both arms")
