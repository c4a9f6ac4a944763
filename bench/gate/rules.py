"""What the gate looks at, in which order, and what of it may fail: one entry of `STAGES` each.

Counts come first, because they do not scatter: what they show is so. Instructions scatter little,
times much, and the machine itself is faster in one session than in another; tails are the noisiest
part of all and only advise. The tolerances of counts stand in `bench/counts.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.counts import TOLERANCES

MARGIN = 0.20
"""Changes of times up to this do not matter to a gate, unless told otherwise. Larger than the
margin of `compare`, whose verdicts a person reads: two sessions on one machine differ by some 7 %
without any reason, and a gate that fails by accident once a week is one that nobody believes."""

MOST_DRIFT = 0.25
"""How much slower the machine itself may be than in the baseline's session for times to be judged.
The margin is widened by it, and with the gate's own becomes 50 % at the most. A gate that sees less
than that has nothing to say of times, and should not look as if it had."""

_COUNTS = frozenset(TOLERANCES)
_INSTRUCTIONS = frozenset({"instructions_per_packet"})


@dataclass(frozen=True)
class Stage:
    """Some of the metrics, judged together.

    has: whether a metric is of this stage, if it is of none before. fails: whether a regression
    fails the gate. margin: changes up to this do not matter; None: up to that of the gate. (Counts
    have tolerances instead.)
    """

    id: str
    title: str
    has: Callable[[str], bool]
    fails: bool = True
    margin: float | None = None


STAGES: tuple[Stage, ...] = (
    Stage("ledger", "counts of the ledger", lambda metric: metric in _COUNTS),
    Stage("instructions", "instructions", lambda metric: metric in _INSTRUCTIONS, margin=0.02),
    Stage("time", "times", lambda metric: "_p99" not in metric),
    Stage("tails", "tails (advice only)", lambda _: True, fails=False),
)


def stage_of(metric: str) -> Stage:
    """The stage that a metric is judged in."""
    return next(stage for stage in STAGES if stage.has(metric))
