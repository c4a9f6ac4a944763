"""Result sets that were never written: made up in memory, so that thousands can be compared."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from sets import BASE, a_run

from bench.metrics import METRICS
from bench.results import PlannedTrial, ResultSet, Run, Sample
from bench.results.model import Completed

Values = Callable[[PlannedTrial], Mapping[str, float]]
"""What a trial gives: a value for each of some metrics."""

BLOCK, SESSION = 0.14, 0.05
"""Log standard deviations: of a block from its session, and of a session from the machine."""


def imagine(name: str, run: Run, values: Values) -> ResultSet:
    """A complete set of a planned run."""
    samples = tuple(
        Sample(
            *(run.variants[trial.variant].scenario, trial.variant, trial.arm, metric),
            *(METRICS[metric].unit, trial.block, trial.trial, value),
        )
        for trial in run.plan
        for metric, value in values(trial).items()
    )
    done = tuple(Completed(trial.trial, "2026-01-01T00:00:00Z") for trial in run.plan)
    return ResultSet(Path(name), replace(run, status="complete", completed=done), samples, False)


def a_gated_run(variants: Sequence[str], blocks: int) -> Run:
    """Goodput and round trips of some paths in both arms."""
    return a_run(variants=tuple(variants), blocks=blocks)


class Machine:
    """A noisy machine. Each session is faster or slower as a whole, in every cell by itself."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def session(self, name: str, run: Run, slower: float = 1.0) -> ResultSet:
        """Measure `run`; everything is `slower` times as slow as it was."""
        drift: dict[tuple[str, str, str], float] = {}

        def values(trial: PlannedTrial) -> dict[str, float]:
            cell = (trial.variant, trial.arm, trial.probe)
            if cell not in drift:
                drift[cell] = self._random.normal(0, SESSION)
            noise = drift[cell] + self._random.normal(0, BLOCK)
            sign = -1 if METRICS[trial.probe].better == "higher" else 1
            return {trial.probe: BASE[trial.probe] * slower**sign * float(np.exp(noise))}

        return imagine(name, run, values)
