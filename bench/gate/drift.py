"""How much slower the machine itself was than in the baseline's session, as its canaries say.

A canary is a fixed small measurement before each block, which no path has a part in. Where it got
slower, times of paths may have by as much, and the gate's margin must cover that, up to
`rules.MOST_DRIFT`.
"""

from __future__ import annotations

import statistics

from bench.quality.words import trusted_canaries
from bench.results import ResultSet

_RATES = frozenset({"memcpy"})
"""Parts of a canary that are rates and not times."""


def slowdown(baseline: ResultSet, new: ResultSet) -> float:
    """By which fraction the part that fared worst is slower now; 0 where none is, or none is known.

    Medians over the blocks: one bad moment is no drift.
    """
    before, after = _parts(baseline), _parts(new)
    ratios = [
        before[part] / after[part] if part in _RATES else after[part] / before[part]
        for part in before.keys() & after.keys()
        if before[part] > 0 and after[part] > 0
    ]
    return max([0.0, *(ratio - 1 for ratio in ratios)])


def _parts(results: ResultSet) -> dict[str, float]:
    """The median of each part; nothing of a set from before there were canaries."""
    found: dict[str, list[float]] = {}
    for canary in trusted_canaries(results.run):
        for part, value in canary.values.items():
            found.setdefault(part, []).append(value)
    return {part: statistics.median(values) for part, values in found.items()}
