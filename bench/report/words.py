"""Figures, times and names as the report's sentences and tables have them."""

from __future__ import annotations

from collections.abc import Sequence

from bench.units import format_value, significant

_COUNTED = {"1/packet": " a packet", "B/packet": " B a packet", "1": ""}
"""Units of what is counted, as they are read aloud."""


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def value(figure: float, unit: str, digits: int = 3) -> str:
    """A measured or counted figure with its unit."""
    if unit in _COUNTED:
        return f"{significant(figure, digits)}{_COUNTED[unit]}"
    return format_value(figure, unit, digits)


def moment(text: str) -> str:
    """A time as result sets have it: 2026-01-31T12:00:00Z is "2026-01-31 12:00:00 UTC"."""
    return text.replace("T", " ").replace("Z", " UTC")
