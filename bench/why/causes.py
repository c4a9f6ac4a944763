"""The causes that a gap is attributed to: one entry of `CAUSES` each.

A cause is something that can be counted on a path and whose price can be measured: by an
instrument that makes more of it, all else being equal. Nothing here knows which path is slow.

An instrument changes more than it means to (a hand-off is two context switches, but also some
futex calls). So causes are priced in the order of the table, and what an instrument's doses have
changed of the causes before is taken off at their price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DOSES = (1, 2, 4)
"""Multiples of an instrument's step; 0 is the path without it."""


@dataclass(frozen=True)
class Handicap:
    """An instrument: a parameter of the path's scenario. Dose k sets it to k x step."""

    parameter: str
    step: int = 1


@dataclass(frozen=True)
class Rungs:
    """An instrument: two scenarios, of which `more` has the cause and `less` has not."""

    less: str
    more: str


@dataclass(frozen=True)
class Cause:
    """One entry.

    id: what `counts.py` counts it as. noun: for sentences ("the ... account for").
    unit: what one is. instrument: what makes more of it.
    mode: "slope": the price is the slope over all doses, for what is too small to be seen once.
        "first": it is what the first dose costs: for what leaves the caches cold, so that a second
        one right after it is cheaper than it would be anywhere on a path.
    explains: whether its share counts as explained. Of what only an instrument makes, always; see
        docs/method.md.
    """

    id: str
    title: str
    noun: str
    unit: str
    instrument: Handicap | Rungs
    mode: Literal["slope", "first"] = "slope"


CAUSES: dict[str, Cause] = {
    cause.id: cause
    for cause in (
        Cause(
            "copies",
            "copies user/kernel",
            "copies between user and kernel space",
            "byte copied",
            Handicap("hot_copies", 12),
        ),
        Cause(
            "cold_copies",
            "copies to cold memory",
            "copies to memory that is not in the cache",
            "byte copied",
            Handicap("cold_copies", 4),
        ),
        Cause(
            "calls",
            "system calls",
            "system calls",
            "call",
            Handicap("null_calls", 4),
        ),
        Cause(
            "polling",
            "asking in vain",
            "calls that find nothing or only wait",
            "call",
            Handicap("vain_receives", 4),
        ),
        Cause(
            "switches",
            "wake-ups and switches",
            "wake-ups with their context switches",
            "context switch",
            Handicap("handoffs"),
            "first",
        ),
        Cause(
            "traversals",
            "trips through IP",
            "passes through an IP layer",
            "traversal",
            Handicap("hops"),
            "first",
        ),
        Cause(
            "sockets",
            "socket work",
            "passages through a UDP socket of a forwarder",
            "passage",
            Handicap("udp_trips"),
            "first",
        ),
        Cause(
            "devices",
            "tun work",
            "passages through a tun device to or from user space",
            "passage",
            Rungs("veth", "tun-relay"),
            "first",
        ),
    )
}


Counts = Mapping[str, float]
"""Cause id → how many of it a delivered packet has."""
