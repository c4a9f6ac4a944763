"""What has to be measured to say why one path is slower than another.

Two paths, others to set beside them, and around one of them two sets of variants: doses, each with
more of one cause, and ablations, every combination of the pump's techniques. Each is measured in
every block; the order within a block is random, so that the machine's drift falls on all alike.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench import forwarders
from bench.errors import ScenarioError, UsageError
from bench.results import PlannedTrial
from bench.scenario import Variant, find, variants
from bench.topology import Arm
from bench.why.causes import CAUSES, DOSES
from bench.why.factors import FACTORS
from bench.why.prices import Doses

MEASURES = {"serial": "one packet at a time", "stream": "a saturating TCP stream"}
"""Probes whose time is attributed, and what each is of."""


@dataclass(frozen=True)
class Design:
    """All variants by name, and what each is there for.

    others: to be set beside the two. doses: cause → the variants that have more and more of it.
    ablated: the variant that techniques are given to. ablations: those of them that are in force →
    variant; the empty set is `ablated`. notes: what could not be had, and why.
    """

    slow: str
    fast: str
    others: tuple[str, ...]
    variants: Mapping[str, Variant]
    doses: Mapping[str, Doses]
    ablated: str | None
    ablations: Mapping[frozenset[str], str]
    notes: Sequence[str] = field(default_factory=tuple)

    def names(self, arm: Arm) -> Iterator[str]:
        """The variants that are measured in an arm."""
        off = {id_ for id_, factor in FACTORS.items() if factor.offload}
        skipped = {name for chosen, name in self.ablations.items() if chosen & off}
        for name in self.variants:
            if arm is Arm.NATIVE or name not in skipped:
                yield name


def design(slow: str, fast: str, others: Sequence[str]) -> Design:
    """Work out what to measure to explain why `slow` is slower than `fast`.

    Each is a scenario's name or file, optionally with parameters: "flannel-udp[batch=16]".
    Raises UsageError or ScenarioError.
    """
    chosen = {name: variant_of(name) for name in dict.fromkeys((slow, fast, *others))}
    ends = [chosen[slow], chosen[fast]]
    if ends[0].name == ends[1].name:
        raise UsageError(f"{slow}: there is no gap between a path and itself; name two")
    pumps = [variant for variant in reversed(ends) if variant.scenario.forwarders]
    found = {variant.name: variant for variant in chosen.values()}
    notes: list[str] = []
    doses: dict[str, Doses] = {}
    dosed = pumps[0] if pumps else ends[0]
    for cause in CAUSES.values():
        instrument = cause.instrument
        try:
            base = more(dosed, instrument.on) if instrument.on else dosed
            made = [more(base, {instrument.parameter: k * instrument.step}) for k in DOSES]
            for variant in (base, *made):
                forwarders.check(variant)
        except ScenarioError as error:  # which also names a place on this machine
            notes.append(f"{cause.title}: no price: {error.key}: {error.problem}")
            continue
        except UsageError as error:
            notes.append(f"{cause.title}: no price: {error}")
            continue
        doses[cause.id] = Doses(base.name, tuple(variant.name for variant in made))
        found |= {variant.name: variant for variant in (base, *made)}
    ablated = _ablated(ends[0], notes) if ends[0].scenario.forwarders else {}
    found |= {variant.name: variant for variant in ablated.values()}
    for variant in chosen.values():
        forwarders.check(variant)
    beside = dict.fromkeys(chosen[name].name for name in others)
    return Design(
        slow=ends[0].name,
        fast=ends[1].name,
        others=tuple(name for name in beside if name not in (ends[0].name, ends[1].name)),
        variants=found,
        doses=doses,
        ablated=ends[0].name if ablated else None,
        ablations={ids: variant.name for ids, variant in ablated.items()},
        notes=notes,
    )


def plan(
    chosen: Design, arms: Sequence[Arm], blocks: Mapping[str, int], seed: int
) -> list[PlannedTrial]:
    """The trials, block by block, each in an order of its own.

    blocks: probe → in how many of the blocks it is done. The ledger is taken of the paths
    themselves, before all else: what it cannot vouch for need not be timed.
    """
    shuffle = random.Random(seed).shuffle
    paths = (chosen.slow, chosen.fast, *chosen.others)
    trials: list[PlannedTrial] = []
    for block in range(1, max(blocks.values()) + 1):
        cells = [
            (name, arm, probe)
            for probe in MEASURES
            if block <= blocks.get(probe, 0)
            for arm in arms
            for name in chosen.names(arm)
        ]
        shuffle(cells)
        if block <= blocks.get("ledger", 0):
            cells = [*((name, arm, "ledger") for arm in arms for name in paths), *cells]
        for name, arm, probe in cells:
            trials.append(PlannedTrial(len(trials) + 1, block, name, str(arm), probe))
    return trials


def variant_of(text: str) -> Variant:
    """The variant that "name" or "name[parameter=value,…]" means."""
    parts = re.fullmatch(r"([^\[\]]+)(?:\[([^\[\]]+)\])?", text)
    if not parts:
        raise UsageError(f'{text}: expected a scenario, or "scenario[parameter=value,…]"')
    overrides = parts[2].split(",") if parts[2] else []
    [variant] = variants(find([parts[1]]), overrides)
    return variant


def _ablated(path: Variant, notes: list[str]) -> dict[frozenset[str], Variant]:
    """Every combination of the techniques that the path's pumps can be given and do not have."""
    found = {frozenset[str](): path}
    for factor in FACTORS.values():
        added = {}
        try:
            for ids, before in found.items():
                variant = _variant_with(before, factor.settings)
                forwarders.check(variant)
                added[ids | {factor.id}] = variant
        except ScenarioError as error:
            notes.append(f"{factor.title}: not tried: {error.key}: {error.problem}")
            continue
        if added[frozenset({factor.id})].scenario == path.scenario:
            notes.append(f"{factor.title}: not tried: {path.name} has it")
            continue
        found |= added
    return found if len(found) > 1 else {}


def more(variant: Variant, amounts: Mapping[str, int]) -> Variant:
    """`variant` with some of its parameters, which are numbers, raised."""
    settings = {}
    for name, amount in amounts.items():
        if name not in variant.parameters:
            raise UsageError(f"{variant.name} has no parameter {name}")
        settings[name] = str(int(variant.parameters[name]) + amount)
    return _variant_with(variant, settings)


def _variant_with(variant: Variant, settings: Mapping[str, str]) -> Variant:
    own = re.fullmatch(r"[^\[\]]+\[(.*)\]", variant.name)
    before = dict(text.split("=", 1) for text in own[1].split(",")) if own else {}
    merged = {**before, **settings}
    [found] = variants([variant.source], [f"{name}={value}" for name, value in merged.items()])
    return found
