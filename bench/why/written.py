"""How the figures of an answer are written in tables."""

from __future__ import annotations

from bench.units import format_value, significant
from bench.why.model import Estimate

_FEW = 0.001
"""Of a cause in a packet: less is written as less than this."""


def count(value: float) -> str:
    """How many of a cause a packet has."""
    if 0 < value < _FEW:
        return f"<{_FEW}"
    return significant(value, 3) if value else "0"


def time(estimate: Estimate) -> str:
    """A time alone."""
    return format_value(estimate.value, "s", 3)


def time_and_half(estimate: Estimate) -> str:
    """A time with half of its interval."""
    if estimate.low is None or estimate.high is None:
        return time(estimate)
    half = (estimate.high - estimate.low) / 2
    return f"{time(estimate)} ±{format_value(half, 's', 2)}"


def share(estimate: Estimate | None) -> str:
    """A share with its interval, in per cent."""
    if estimate is None:
        return ""
    if estimate.low is None or estimate.high is None:
        return percent(estimate.value)
    low, high = (percent(end).removesuffix("%") for end in (estimate.low, estimate.high))
    return f"{percent(estimate.value)} [{low}, {high}]"


def percent(value: float) -> str:
    """A share in whole per cent; there is no minus before 0."""
    return f"{round(value, 2) + 0.0:.0%}"
