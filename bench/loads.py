"""At which loads delays are measured: found before the first trial that goes by one, or taken over.

What is to be compared has one load for all, and it is the old side's, whichever is drawn first. A
load goes for a whole run, so it is found by itself, again where that was disturbed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from bench.probes import Measurement
from bench.probes.delay import BASE_RATE
from bench.quality.rule import DISTURBANCES, judge
from bench.results import Run

LOAD = "load"
"""What a load is kept under among the conditions of a variant and arm, where probes have theirs."""
_DISTURBED = "disturbed"
"""The condition, 0 or 1: whether it was found while something disturbed it."""

Search = Callable[[], tuple[Measurement, Mapping[str, float | None]]]
"""Finds a load; returns it with what was watched meanwhile."""


def whose(run: Run, variant: str) -> str:
    """The variant whose load the trials of `variant` go by: of those compared, the old side."""
    return next(iter(run.variants)) if run.asked.one_for_all else variant


def base_of(run: Run, variant: str, arm: str, probe: str) -> float | None:
    """The packet rate, in packet/s, that the trials of a probe of delay went by.

    None where there were none, or where the set is older than its condition.
    """
    return run.variants[variant].conditions.get(arm, {}).get(probe, {}).get(BASE_RATE)


def load_of(run: Run, variant: str, arm: str, probe: str) -> float | None:
    """Datagrams a second that were due in those trials; None as in `base_of`."""
    base = base_of(run, variant, arm, probe)
    return None if base is None else base * int(probe.removeprefix("delay_")) / 100


def find(name: str, search: Search, tries: int) -> Measurement:
    """Search until nothing disturbs it, so often at most; the last one counts. name: of the load.

    Raises what `search` does.
    """
    for left in reversed(range(tries)):
        found, figures = search()
        spoilt = judge(figures)
        if not spoilt or not left:
            break
    warnings = list(found.warnings)
    if spoilt:
        by = ", ".join(DISTURBANCES[id_].title for id_ in spoilt)
        warnings.append(f"{name}: was found while disturbed ({by}); tries: {tries}")
    conditions = {**found.conditions, _DISTURBED: float(bool(spoilt))}
    return Measurement({}, warnings=tuple(warnings), conditions=conditions)


def go_by(begun: Run, other: Run) -> Run:
    """A run that measures under the conditions of another one, where that had the same variants."""
    theirs = other.variants
    variants = {
        name: msgspec.structs.replace(record, conditions=theirs[name].conditions)
        if name in theirs
        else record
        for name, record in begun.variants.items()
    }
    return msgspec.structs.replace(begun, variants=variants)


def has_loads(run: Run) -> bool:
    """Whether a load was found in it that others can go by."""
    return any(BASE_RATE in found for _, found in _conditions(run))


def disturbed(run: Run) -> bool | None:
    """Whether a load of it was found while disturbed; None: it does not say."""
    loads = [found for kept_under, found in _conditions(run) if kept_under == LOAD]
    return any(found.get(_DISTURBED) for found in loads) if loads else None


def _conditions(run: Run) -> list[tuple[str, dict[str, float]]]:
    return [
        each
        for record in run.variants.values()
        for by_probe in record.conditions.values()
        for each in by_probe.items()
    ]
