"""Two variants in one run: which trials, in which order, and the two sides of what it leaves."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from bench import environment, forwarders
from bench import run as runner
from bench.ab.model import PROBE_SETTINGS, PROFILE, AbAsked
from bench.ab.pairs import Side
from bench.probes import PROBES
from bench.quality.rule import REPEATS
from bench.results import Asked, PlannedTrial, ResultSet, Run
from bench.scenario import Variant
from bench.why.design import variant_of


def chosen_variants(asked: AbAsked) -> dict[str, Variant]:
    """Both by name, the old one first; a variant against itself is called something else."""
    old, new = variant_of(asked.old), variant_of(asked.new)
    if new.name == old.name:
        new = again(new)
    for variant in (old, new):
        forwarders.check(variant)
    return {old.name: old, new.name: new}


def again(variant: Variant, word: str = "again") -> Variant:
    """The same under another name, to be compared with itself."""
    return replace(variant, name=f"{variant.name} ({word})")


def new_run(asked: AbAsked, chosen: Mapping[str, Variant]) -> Run:
    """Plan as many blocks as are allowed; it may end after fewer."""
    settings = {id_: dict(PROBES[id_].settings[PROBE_SETTINGS]) for id_ in asked.probes}
    cells = [(tuple(chosen), arm, probe) for arm in asked.arms for probe in asked.probes]
    return Run(
        asked=Asked(
            scenarios=(asked.old, asked.new),
            overrides=(),
            profile=PROFILE,
            settings=settings,
            probes=asked.probes,
            arms=asked.arms,
            blocks=asked.max_blocks,
            seed=asked.seed,
            repeats=REPEATS,
            one_for_all=True,
        ),
        variants=runner.records(chosen),
        environment=msgspec.to_builtins(environment.fingerprint()),
        plan=tuple(plan(cells, asked.max_blocks, asked.seed)),
    )


def plan(
    cells: Sequence[tuple[Sequence[str], str, str]], blocks: int, seed: int
) -> list[PlannedTrial]:
    """Every cell (what is compared, arm, probe) in each block, in random order.

    What is compared comes right after each other, in an order drawn anew each time: what drifts
    has moved least, and as often to the one's favour as to the other's.
    """
    shuffle = random.Random(seed).shuffle
    trials: list[PlannedTrial] = []
    for block in range(1, blocks + 1):
        order = list(cells)
        shuffle(order)
        for compared, arm, probe in order:
            names = list(compared)
            shuffle(names)
            for name in names:
                trials.append(PlannedTrial(len(trials) + 1, block, name, arm, probe))
    return trials


def sides(results: ResultSet, chosen: Sequence[str]) -> tuple[Side, Side]:
    """What a run has of the old and the new variant, without a block that was not finished."""
    stopped = {trial.block for trial in results.run.pending()}
    samples = tuple(sample for sample in results.samples if sample.block not in stopped)
    whole = replace(results, samples=samples)
    old, new = Side(), Side()
    old.add(whole, {chosen[0]: chosen[1]})
    new.add(whole, {chosen[1]: chosen[1]})
    return old, new
