"""What a run has measured, ready to be attributed: times and counts by variant and block.

The machine drifts, and all variants of a block drift alike. So each block is measured by how far it
lies above or below the others in all variants, and put back there, before anything is averaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.errors import UsageError
from bench.probes.priced import Priced
from bench.results import ResultSet
from bench.why.causes import CAUSES
from bench.why.prices import Mean

RESAMPLES = 1000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Observed:
    """One measure in one arm.

    names: of the variants. blocks: those in which all of them were measured. left_out: the others.
    times: seconds, by variant and block. counts: by variant, block and cause (in the order of
    `CAUSES`).
    """

    names: Sequence[str]
    blocks: Sequence[int]
    left_out: Sequence[int]
    times: Floats
    counts: Floats

    def means(self, chosen: NDArray[np.int64] | None = None) -> dict[str, Mean]:
        """Over all blocks, or over `chosen` ones (positions, with repetitions)."""
        index = np.arange(len(self.blocks)) if chosen is None else chosen
        # The median: now and then a whole trial is slow, for no reason of its own.
        times = np.median(self.times[:, index], axis=1)
        # Of the counts, too, so that both are of the same kind of trial.
        counts = np.median(self.counts[:, index], axis=1)
        return {
            name: Mean(float(times[i]), dict(zip(CAUSES, map(float, counts[i]), strict=True)))
            for i, name in enumerate(self.names)
        }

    def resamples(self) -> Iterator[NDArray[np.int64]]:
        """Choices of blocks, drawn with replacement: a bootstrap of blocks."""
        generator = np.random.default_rng(1)
        for _ in range(RESAMPLES):
            yield generator.integers(0, len(self.blocks), len(self.blocks))


def observed(results: ResultSet, probe: str, metric: str, arm: str) -> Observed | None:
    """What `probe` measured in `arm`; None where no block is whole.

    A variant that most blocks lack is left out, so that it does not take them along. Raises
    UsageError where the set is damaged.
    """
    trials = {
        (t.variant, t.block): t.trial
        for t in results.run.ended()
        if (t.probe, t.arm) == (probe, arm)
    }
    lowest = _lowest(results, metric)
    values: dict[str, dict[int, float]] = {}
    for (name, block), trial in trials.items():
        if trial in lowest:
            values.setdefault(name, {})[block] = lowest[trial]
    most = max((len(blocks_of) for blocks_of in values.values()), default=0)
    values = {name: blocks_of for name, blocks_of in values.items() if 2 * len(blocks_of) > most}
    begun = {block for blocks_of in values.values() for block in blocks_of}
    blocks = [b for b in sorted(begun) if all(b in blocks_of for blocks_of in values.values())]
    if not blocks:
        return None
    times = np.array([[blocks_of[b] for b in blocks] for blocks_of in values.values()])
    counts = [[_counts(results, probe, trials[name, block]) for block in blocks] for name in values]
    left_out = sorted(begun - set(blocks))
    return Observed(list(values), blocks, left_out, _levelled(times), np.array(counts))


def _lowest(results: ResultSet, metric: str) -> dict[int, float]:
    """Trial → the lowest of its values: what else the machine does for a moment only ever adds."""
    found: dict[int, float] = {}
    for sample in results.samples:
        if sample.metric == metric:
            found[sample.trial] = min(sample.value, found.get(sample.trial, sample.value))
    return found


def _counts(results: ResultSet, probe: str, trial: int) -> list[float]:
    file = results.path / probe / f"{trial}.json"
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=Priced)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{file}: is damaged: {error}") from None
    return [kept.counts.get(cause, 0.0) for cause in CAUSES]


def _levelled(times: Floats) -> Floats:
    """Take each block's own level out of it: the median over variants of log(value / typical)."""
    logs = np.log(times)
    own = logs - np.median(logs, axis=1, keepdims=True)
    levelled: Floats = np.exp(logs - np.median(own, axis=0, keepdims=True))
    return levelled
