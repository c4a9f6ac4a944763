"""The rule: what disturbs a trial, and how much of it is too much.

Fixed here before anything is measured, and the same for whatever is measured. It looks at what was
watched and never at a measured value, so it cannot favour one side of a comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Figures = Mapping[str, float | None]
"""Disturbance → how much of it; None: not observed."""

REPEATS = 2
"""How often a disturbed trial is repeated; the last try counts whatever happens in it."""
BUDGET = 0.25
"""Repeats of a whole run, as a share of the trials begun: on a machine that is never quiet they are
of no use, and a run shall not take three times as long there, however early it stops."""
MANY = 0.1
"""Share of trials that count though they were disturbed above which the user is warned."""


@dataclass(frozen=True)
class Disturbance:
    """One entry of the rule.

    limit: more than this spoils a trial; a share of the processors' time, or `unit`.
    probe: whose trials alone can tell of it; empty: it is watched in all.
    """

    id: str
    title: str
    limit: float
    why: str
    unit: str = ""
    probe: str = ""


DISTURBANCES = {
    entry.id: entry
    for entry in (
        Disturbance(
            "steal",
            "steal",
            0.02,
            "time that the hypervisor gave to others is missing from the figure as it is, and a "
            "packet that has to wait for it waits for milliseconds",
        ),
        Disturbance(
            "throttled",
            "throttling of our control group",
            0.01,
            "a group that has used up its share stands still for up to a tenth of a second",
        ),
        Disturbance(
            "thermal",
            "throttling by heat",
            0.01,
            "the same work takes longer, and the next trial finds it cooler",
        ),
        Disturbance(
            "other_load",
            "other load",
            0.05,
            "programs that are not ours take the CPU, and the caches, from those that are; what an "
            "idle system does by itself is well below",
        ),
        Disturbance(
            "interrupts",
            "device interrupts",
            1000,
            "no device of a scenario raises any; at some 10 microseconds each, in a virtual "
            "machine, these are a hundredth of a processor",
            unit="a second and CPU",
        ),
        Disturbance(
            "missed",
            "events the tracer missed",
            0.001,
            "what it counts in interrupts is not observed then; it misses what comes while one of "
            "its programs runs, and most where other programs raise events as well",
            unit="of those it counted",
            probe="ledger",
        ),
    )
}
"""What is judged. Frequency is put on record and not judged: a governor follows the load."""


def judge(figures: Figures) -> tuple[str, ...]:
    """What spoilt a trial with these figures: ids of disturbances; empty: nothing that was seen."""
    return tuple(
        id_
        for id_, entry in DISTURBANCES.items()
        if (figure := figures.get(id_)) is not None and figure > entry.limit
    )
