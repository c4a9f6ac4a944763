"""Conditions: what a trial's figures hold for, such as the load at which a delay was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping

_ALIKE = 0.01
"""Fraction by which one may differ: near its limit a path's delay grows with every bit."""


def alike(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether conditions are near enough for the figures to be compared."""
    return one.keys() == other.keys() and all(
        math.isclose(value, other[name], rel_tol=_ALIKE) for name, value in one.items()
    )
