"""Figures and numbers of things as the report's sentences and tables have them."""

from __future__ import annotations

from collections.abc import Sequence

from bench.units import format_value, significant

_COUNTED = {"1/packet": " a packet", "B/packet": " B a packet", "1": ""}
"""Units of what is counted, as they are read aloud."""


def counted(number: int, noun: str) -> str:
    """So many of something: "1 block", "8 blocks"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def value(figure: float, unit: str, digits: int = 3) -> str:
    """A measured or counted figure with its unit."""
    if unit in _COUNTED:
        return f"{significant(figure, digits)}{_COUNTED[unit]}"
    return format_value(figure, unit, digits)


def span(low: float, high: float, unit: str, digits: int = 3) -> str:
    """The ends of an interval; a unit that both have is said once."""
    ends = [value(end, unit, digits) for end in (low, high)]
    first, _, name = ends[0].partition(" ")
    if name and ends[1].endswith(f" {name}"):
        return f"{first} to {ends[1]}"
    return " to ".join(ends)
