"""What one more of a cause costs here, and what that makes of a gap.

price of c    =  (T(dose) - T(0) - the price of whatever else the dose changed) / more of c
share of c    =  price of c x (count on the slow path - count on the fast one)
residual      =  T(slow) - T(fast) - all shares
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.why.causes import CAUSES

_TELLING = 0.02
"""Least that a dose must add to a cause, as a share of what the path has of it anyway: less may as
well be what was counted beside it."""

Prices = dict[str, float]
"""Cause → seconds for one."""


@dataclass(frozen=True)
class Mean:
    """Of one variant: seconds of a packet, and how many of each cause it had."""

    time: float
    counts: Mapping[str, float]


@dataclass(frozen=True)
class Doses:
    """Names of variants: what is compared with, and the same with more and more of a cause."""

    base: str
    given: tuple[str, ...]


def prices(means: Mapping[str, Mean], doses: Mapping[str, Doses], *, every: bool = False) -> Prices:
    """Price every cause that has doses, in the order of the table.

    A cause counts what its instrument really made, as it was observed; where that is nothing, or no
    dose was measured (of what is priced by the first one: not that one), there is no price.
    every: use all doses of every cause, also of those whose first dose is closer to what happens on
    a path; for times too noisy for one dose.
    """
    found: Prices = {}
    for cause in CAUSES.values():
        of_it = doses.get(cause.id)
        if of_it is None or of_it.base not in means:
            continue
        base = means[of_it.base]
        first = cause.mode == "first" and not every
        names = of_it.given[:1] if first else of_it.given
        given = [means[name] for name in names if name in means]
        pairs = [_effect(dose, base, cause.id, found) for dose in given]
        most = max((more for more, _ in pairs), default=0.0)
        if most > _TELLING * base.counts[cause.id]:
            weight = sum(more * more for more, _ in pairs)
            found[cause.id] = sum(more * time for more, time in pairs) / weight
    return found


def _effect(dose: Mean, base: Mean, cause: str, known: Prices) -> tuple[float, float]:
    """How much more of the cause a dose made, and the seconds that are left for it to explain."""
    time = dose.time - base.time
    for other, price in known.items():
        time -= price * (dose.counts[other] - base.counts[other])
    return dose.counts[cause] - base.counts[cause], time


def shares(slow: Mean, fast: Mean, known: Prices) -> dict[str, float]:
    """Cause → seconds of the gap between two paths that it accounts for."""
    return {
        cause: price * (slow.counts[cause] - fast.counts[cause]) for cause, price in known.items()
    }


def predicted(mean: Mean, known: Prices) -> float:
    """Seconds of a packet that all causes together account for."""
    return sum(price * mean.counts[cause] for cause, price in known.items())
