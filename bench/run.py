"""A run: blocks of trials in random order, each on a freshly built topology.

A block holds every selected (variant, arm, probe) once; its order is drawn anew for each block
from a recorded seed, so that a drift of the machine falls on all alike. A trial that cannot be
measured is recorded with its reason and the others go on.
"""

from __future__ import annotations

import json
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench import environment, loads
from bench.errors import CannotMeasure, MissingCapability, UsageError, VnetbenchError
from bench.forwarders import Running, forwarding
from bench.interrupts import undisturbed
from bench.probes import PROBES, Measurement, prove
from bench.probes import Path as NetPath
from bench.probes.base import Probe, refuse_guests
from bench.probes.delay import BASE_RATE
from bench.quality import canary
from bench.quality.repeats import Repeats
from bench.quality.rule import judge
from bench.quality.watch import watching
from bench.results import Asked, Attempt, PlannedTrial, ResultWriter, Run, VariantRecord
from bench.scenario import Variant
from bench.topology import Arm, Topology, build, facts

BLOCKS = {"quick": 4, "standard": 10, "rigorous": 20}
"""Profile → number of blocks."""

_ATTEMPTS = 2
"""Blocks in which a cell may fail before the rest of the run leaves it out."""


@dataclass(frozen=True)
class Problem:
    """Why a trial has no measurement; missing: because the machine lacks something for it."""

    reason: str
    missing: bool = False


@dataclass(frozen=True)
class Outcome:
    """How one trial ended: with a measurement, or with the reason why there is none."""

    trial: PlannedTrial
    seconds: float
    problem: Problem | None


Report = Callable[[Outcome, float], None]
"""Told of each trial as it ends, and the seconds that the remaining ones will probably take."""

Enough = Callable[[int], bool]
"""Asked after each block, by its number: is that all that need be measured?"""


class _Taken(NamedTuple):
    """What one try at a trial gave.

    facts: what its namespaces looked like. figures: what disturbed the measurement.
    """

    measurement: Measurement
    facts: dict[str, Any]
    figures: Mapping[str, float | None]

    @property
    def samples(self) -> Mapping[str, list[float]]:
        """Its values."""
        return self.measurement.samples


def plan_trials(
    variants: Sequence[str], arms: Sequence[Arm], probes: Sequence[str], blocks: int, seed: int
) -> list[PlannedTrial]:
    """Every (variant, arm, probe) once in each block, each block in an order of its own."""
    return plan_cells(
        [(v, str(a), p) for v in variants for a in arms for p in probes], blocks, seed
    )


def plan_cells(cells: Sequence[tuple[str, str, str]], blocks: int, seed: int) -> list[PlannedTrial]:
    """The same for some (variant, arm, probe) only."""
    shuffle = random.Random(seed).shuffle
    trials: list[PlannedTrial] = []
    for block in range(1, blocks + 1):
        order = list(cells)
        shuffle(order)
        for cell in order:
            trials.append(PlannedTrial(len(trials) + 1, block, *cell))
    return trials


def records(variants: Mapping[str, Variant]) -> dict[str, VariantRecord]:
    """What `run.json` says of the variants of a run that begins."""
    return {
        name: VariantRecord(
            scenario=variant.base, parameters=dict(variant.parameters), sha256=variant.digest
        )
        for name, variant in variants.items()
    }


def whole_run(asked: Asked, chosen: Mapping[str, Variant]) -> Run:
    """A run of every variant in every arm by every probe that was asked for, yet to begin."""
    arms = [Arm(arm) for arm in asked.arms]
    return Run(
        asked=asked,
        variants=records(chosen),
        environment=msgspec.to_builtins(environment.fingerprint()),
        plan=tuple(plan_trials(list(chosen), arms, asked.probes, asked.blocks, asked.seed)),
    )


def refuse_changed(begun: Run, variants: Mapping[str, Variant]) -> None:
    """Raise UsageError where a variant of a run that is gone on with is not what it was."""
    for name, record in begun.variants.items():
        if name not in variants or variants[name].digest != record.sha256:
            raise UsageError(f"{name}: its scenario file has changed since the run began; run anew")


def run(
    variants: Mapping[str, Variant],
    settings: Mapping[str, Mapping[str, Any]],
    writer: ResultWriter,
    report: Report,
    enough: Enough = lambda _: False,
) -> None:
    """Carry out the trials that `writer` still has to do, recording each as it ends.

    variants: by name. settings: probe id → what its `measure` is given.
    A trial that was disturbed is repeated as the run asks for. KeyboardInterrupt passes through
    between two records, never inside one.
    """
    trials = writer.pending()
    estimate = _Estimate(settings)
    repeats = Repeats.of(writer.run)
    failures: Counter[tuple[str, str, str]] = Counter()
    given_up: dict[tuple[str, str, str], Problem] = {}
    known_facts: set[tuple[str, str]] = set()
    lacking = {
        id_: Problem(_one_line(reason), missing=True)
        for id_ in settings
        if (reason := PROBES[id_].missing())
    }
    block = None
    for position, trial in enumerate(trials):
        if trial.block != block:
            block = trial.block
            _sing(writer, block)
        cell = (trial.variant, trial.arm, trial.probe)
        started = time.monotonic()
        problem = lacking.get(trial.probe) or given_up.get(cell)
        attempts: list[Attempt] = []
        if problem is None:
            try:
                _find_load(variants, trial, settings, writer)
                started = time.monotonic()
                known = writer.conditions(trial.variant, trial.arm)
                measure = partial(_measure, variants[trial.variant], trial, settings, known)
                taken = repeats.settle(measure, attempts)
            except Exception as error:  # whatever it is, the other trials go on
                problem = _problem(error)
                failures[cell] += 1
                if problem.missing:  # and will be in every block
                    given_up[cell] = problem
                elif failures[cell] >= _ATTEMPTS:
                    given_up[cell] = Problem("left out: it failed before")
        seconds = time.monotonic() - started
        with undisturbed():
            if problem is not None:
                writer.record_failure(
                    trial, problem.reason, missing=problem.missing, attempts=attempts
                )
            else:
                writer.record(trial, taken.measurement, attempts)
                for warning in taken.measurement.warnings:
                    writer.warn(warning)
                if (trial.variant, trial.arm) not in known_facts:
                    writer.record_facts(trial.variant, trial.arm, taken.facts)
                    known_facts.add((trial.variant, trial.arm))
                estimate.learn(trial.probe, seconds)
        remaining = trials[position + 1 :]
        report(Outcome(trial, seconds, problem), estimate.of(remaining))
        if remaining and remaining[0].block != trial.block and enough(trial.block):
            break
    if block is not None:
        _sing(writer, block + 1)


def estimate_seconds(
    trials: Sequence[PlannedTrial], settings: Mapping[str, Mapping[str, Any]]
) -> float:
    """How long `trials` will take, before anything has been measured."""
    return _Estimate(settings).of(trials)


@contextmanager
def _proved(
    probe: Probe, variant: Variant, arm: str, name: str
) -> Iterator[tuple[NetPath, Topology, Sequence[Running]]]:
    """A path for `probe`, up and carrying packets; an error says which forwarder died of it."""
    refuse_guests(probe, variant.scenario)
    with build(variant.scenario, Arm(arm)) as topology, forwarding(topology) as forwarders:
        try:
            yield prove(topology, name, forwarders), topology, forwarders
        except CannotMeasure as error:
            raise type(error)(_blame(error, forwarders)) from error


def _find_load(
    variants: Mapping[str, Variant],
    trial: PlannedTrial,
    settings: Mapping[str, Mapping[str, Any]],
    writer: ResultWriter,
) -> None:
    """Find, and put on record, what a trial goes by, unless that is known. Raises CannotMeasure."""
    probe, arm = PROBES[trial.probe], trial.arm
    find = probe.load
    if find is None or BASE_RATE in writer.conditions(trial.variant, arm):
        return
    variant = variants[loads.whose(writer.run, trial.variant)]
    name = f"{loads.LOAD}[{variant.name},{arm}]"

    def search() -> tuple[Measurement, Mapping[str, float | None]]:
        with _proved(probe, variant, arm, name) as (path, _, _), watching() as watch:
            found = find(path, settings[trial.probe])
        return found, watch.figures

    found = loads.find(name, search, 1 + writer.run.asked.repeats)
    with undisturbed():
        writer.record_conditions(variant.name, arm, loads.LOAD, dict(found.conditions))
        for warning in found.warnings:
            writer.warn(warning)


def _measure(
    variant: Variant,
    trial: PlannedTrial,
    settings: Mapping[str, Mapping[str, Any]],
    known: Mapping[str, float],
) -> _Taken:
    """Build, prove, measure and remove: one try at a trial."""
    probe = PROBES[trial.probe]
    name = f"{trial.probe}[{variant.name},{trial.arm}]"
    with _proved(probe, variant, trial.arm, name) as (path, topology, forwarders):
        before = _counters(forwarders)
        with watching() as watch:
            measurement = probe.measure(replace(path, known=known), settings[trial.probe])
        if before:
            counted = {
                name: {key: count - before[name][key] for key, count in counters.items()}
                for name, counters in _counters(forwarders).items()
            }
            warnings = (*_refusals(variant.name, counted), *_lost_trips(variant.name, counted))
            raw = {**measurement.raw, "pump": json.dumps(counted, indent=1).encode()}
            measurement = replace(measurement, raw=raw, warnings=(*measurement.warnings, *warnings))
        found = facts(topology)
        if forwarders:
            found["pumps"] = {forwarder.name: dict(forwarder.facts) for forwarder in forwarders}
        return _Taken(measurement, found, {**watch.figures, **measurement.disturbances})


def _sing(writer: ResultWriter, block: int) -> None:
    """Put on record what the machine itself does now, before the block; repeated as a trial is."""
    try:
        for _ in range(1 + writer.run.asked.repeats):
            with watching() as watch:
                values = canary.sing()
            if not (spoilt := judge(watch.figures)):
                break
    except CannotMeasure as error:  # it is not worth the run
        with undisturbed():
            writer.warn(f"no canary before block {block}: {error}")
        return
    with undisturbed():
        writer.record_canary(block, values, spoilt)


def _refusals(variant: str, counted: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A warning for each offload that a pump asked for and did not get."""
    return [
        f"{variant}: {forwarder}: the kernel refused offload ({name}), packets went one by one"
        for forwarder, counters in counted.items()
        for name, count in counters.items()
        if name.startswith("refused.") and count
    ]


def _lost_trips(variant: str, counted: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A warning for each pump whose handicap was not what was asked for."""
    return [
        f"{variant}: {forwarder}: {lost} trips were lost, the handicap cost less than it should"
        for forwarder, counters in counted.items()
        if (lost := counters.get("trip.lost", 0))
    ]


def _counters(forwarders: Sequence[Running]) -> dict[str, dict[str, int]]:
    """What the forwarders that count have counted so far, by their names."""
    return {f.name: f.counters() for f in forwarders if f.counters}


def _blame(error: CannotMeasure, forwarders: Sequence[Running]) -> str:
    """The error, and the forwarder that died, if one did: that is probably why."""
    for forwarder in forwarders:
        if not forwarder.child.alive():
            try:
                forwarder.child.receive(0)
            except CannotMeasure as death:
                return f"{error} (its forwarder has died: {death})"
    return str(error)


def _problem(error: Exception) -> Problem:
    """What to record of an error; of one that was not foreseen also where it was raised."""
    if isinstance(error, VnetbenchError):
        return Problem(_one_line(str(error)), isinstance(error, MissingCapability))
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = Path(*Path(frame.filename).parts[-2:])
    text = f"{type(error).__name__} at {place}:{frame.lineno}: {error}"
    return Problem(_one_line(text).rstrip(": "))


def _one_line(text: str) -> str:
    return " ".join(text.split())


class _Estimate:
    """Time left, from each probe's own figure until trials of it have been timed."""

    def __init__(self, settings: Mapping[str, Mapping[str, Any]]) -> None:
        self._expected = {id_: PROBES[id_].duration(values) for id_, values in settings.items()}
        self._timed: dict[str, list[float]] = {id_: [] for id_ in settings}

    def learn(self, probe: str, seconds: float) -> None:
        self._timed[probe].append(seconds)

    def of(self, trials: Sequence[PlannedTrial]) -> float:
        each = {
            probe: sum(timed) / len(timed) if timed else self._expected[probe]
            for probe, timed in self._timed.items()
        }
        canaries = canary.SECONDS * len({trial.block for trial in trials})
        return canaries + sum(each[trial.probe] for trial in trials)
