"""Which tries at a block of two revisions count: decided here, for both sides alike.

A revision may repeat what was disturbed by a rule of its own. If the one puts up with more than the
other, only the other's bad trials are made again, and it looks faster. So of both sides the first
try of every trial counts, and where something disturbed one of them, by the rule of the vnetbench
that compares, the whole block is measured again, on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.ab.revisions import LABELS
from bench.metrics import METRICS
from bench.quality.repeats import Repeats
from bench.quality.rule import BUDGET, DISTURBANCES, REPEATS, Figures
from bench.results import ResultSet, Run, Sample

_ASIDE = "disturbed"


@dataclass(frozen=True)
class Tried:
    """A try at a block of both sides: what disturbed it. Its values are in its folders."""

    figures: Figures
    samples: Mapping[str, list[float]] = field(default_factory=dict)


def watched(run: Run) -> bool:
    """Whether it tells of all its trials what disturbed them."""
    return {trial.trial for trial in run.completed} <= {found.trial for found in run.quality}


def most_disturbed(runs: list[Run]) -> Figures:
    """How much there was at most of each disturbance, in the first tries of some runs.

    Not observed where one try does not tell: what is known of one side only would favour that one.
    """
    if not all(watched(run) for run in runs):
        return {}
    tries = [found.attempts[0].figures for run in runs for found in run.quality]
    return {id_: _most([figures.get(id_) for figures in tries]) for id_ in DISTURBANCES}


def _most(figures: list[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return max(known) if known and len(known) == len(figures) else None


def first_tries(results: ResultSet) -> ResultSet:
    """The same with the values of the first try of each trial, whatever it was repeated for."""
    run = results.run
    completed = {trial.trial for trial in run.completed}
    first = {
        found.trial: found.attempts[0].samples
        for found in run.quality
        if found.trial in completed and len(found.attempts) > 1
    }
    samples = [sample for sample in results.samples if sample.trial not in first]
    for trial in run.plan:
        scenario = run.variants[trial.variant].scenario
        for metric, values in first.get(trial.trial, {}).items():
            unit = METRICS[metric].unit if metric in METRICS else ""
            row = (scenario, trial.variant, trial.arm, metric, unit, trial.block, trial.trial)
            samples += [Sample(*row, value) for value in values]
    return replace(results, samples=tuple(samples))


def repeats_left(folder: Path, blocks: int, most: int) -> Repeats:
    """How many blocks may be measured again, of so many that were measured and `most` at most."""
    return Repeats(
        REPEATS, spent=set_aside_so_far(folder), begun=blocks, most=math.ceil(BUDGET * most)
    )


def set_aside(block: Path) -> None:
    """Keep one side's try at a block that does not count beside the one that will."""
    before = len(list(block.parent.glob(f"{block.name}-{_ASIDE}-*")))
    block.rename(f"{block}-{_ASIDE}-{before + 1}")


def set_aside_so_far(folder: Path) -> int:
    """How many tries were."""
    return len(list((folder / LABELS[0]).glob(f"block-*-{_ASIDE}-*")))
