"""How the figures of an answer are written in tables."""

from __future__ import annotations

from bench.units import format_value, scale_of, significant
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


def time_and_interval(estimate: Estimate) -> str:
    """A time with both ends of its interval, which need not lie alike about it."""
    if estimate.low is None or estimate.high is None:
        return time(estimate)
    written = [format_value(each, "s", 3) for each in (estimate.value, estimate.low, estimate.high)]
    if len({scale_of(each, "s") for each in (estimate.value, estimate.low, estimate.high)}) == 1:
        written[1:] = (each.partition(" ")[0] for each in written[1:])
    return f"{written[0]} [{', '.join(written[1:])}]"


def share(estimate: Estimate | None) -> str:
    """A share with its interval, in per cent."""
    if estimate is None:
        return ""
    if estimate.low is None or estimate.high is None:
        return percent(estimate.value)
    return f"{percent(estimate.value)} [{_end(estimate.low)}, {_end(estimate.high)}]"


def _end(share: float) -> str:
    """In whole per cent, but as fine as it takes where that would hide on which side of 0 it is."""
    whole = percent(share).removesuffix("%")
    return significant(100 * share, 1) if whole == "0" and share else whole


def percent(value: float) -> str:
    """A share in whole per cent; there is no minus before 0."""
    return f"{round(value, 2) + 0.0:.0%}"
