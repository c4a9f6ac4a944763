"""The causes that a gap is attributed to: one entry of `CAUSES` each.

A cause is something that can be counted on a path and whose price can be measured: by an
instrument that makes more of it, all else being equal. Nothing here knows which path is slow.

An instrument changes more than it means to (a hand-off is two context switches, but also some
calls). So causes are priced in the order of the table, and what an instrument's doses have
changed of the causes before is taken off at their price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DOSES = (1, 2, 4)
"""Multiples of an instrument's step; 0 is the path without it."""


@dataclass(frozen=True)
class Instrument:
    """A parameter of a path's scenario that makes more of a cause. Dose k adds k x step to it.

    on: parameters that it needs besides, which what is compared has as well.
    """

    parameter: str
    step: int = 1
    on: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Cause:
    """One entry.

    id: what `counts.py` counts it as. noun: for sentences ("the ... account for").
    unit: what one is. instrument: what makes more of it.
    mode: "slope": the price is the slope over all doses, for what is too small to be seen once.
        "first": it is what the first dose costs: for what leaves the caches cold, so that a second
        one right after it is cheaper than it would be anywhere on a path.
    """

    id: str
    title: str
    noun: str
    unit: str
    instrument: Instrument
    mode: Literal["slope", "first"] = "slope"


CAUSES: dict[str, Cause] = {
    cause.id: cause
    for cause in (
        Cause(
            "copies",
            "copies (bytes)",
            "copies between user and kernel space",
            "byte copied",
            Instrument("hot_copies", 12),
        ),
        Cause(
            "cold_copies",
            "cold copies (bytes)",
            "copies to memory that is not in the cache",
            "byte copied",
            Instrument("cold_copies", 4),
        ),
        Cause(
            "calls",
            "system calls",
            "system calls",
            "call",
            Instrument("null_calls", 4),
        ),
        Cause(
            "polling",
            "asking in vain",
            "calls that find nothing or only wait",
            "call",
            Instrument("vain_receives", 4),
        ),
        Cause(
            "switches",
            "context switches",
            "context switches",
            "context switch",
            Instrument("yields", on={"handoffs": 1}),
        ),
        Cause(
            "wakeups",
            "sleeping and waking",
            "going to sleep and being woken up",
            "sleep",
            Instrument("handoffs"),
        ),
        Cause(
            "traversals",
            "trips through IP",
            "passes through an IP layer",
            "traversal",
            Instrument("hops"),
        ),
        Cause(
            "sockets",
            "socket work",
            "passages through a UDP socket of a forwarder",
            "passage",
            Instrument("udp_trips"),
            "first",
        ),
        Cause(
            "devices",
            "tun work",
            "passages through a tun device to or from user space",
            "passage",
            Instrument("tun_trips"),
            "first",
        ),
    )
}
