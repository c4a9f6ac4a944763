"""What a ledger is asked for, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True)
class Load:
    """What is sent while everything is counted.

    kind: one of `bench.ledger.loads.LOADS`.
    packets, size, rate: of the kind "udp": datagrams, bytes of payload of each, datagrams a second
        (0: as many as will go). At a modest rate nothing is lost and nothing is batched, so counts
        are those of a packet.
    batch: of the same, datagrams that a system call of the sender may take.
    seconds: of the kind "tcp": how long the stream runs (whole seconds). Of the kind "echo": how
        long each of its `values` measurements takes.
    """

    kind: str = "udp"
    packets: int = 20_000
    size: int = 64
    rate: float = 5_000.0
    batch: int = 1
    seconds: float = 1
    values: int = 5


class Unseen(Exception):
    """Something is not observed here; the text is the reason, in the user's words."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Two independent ways of counting the same thing.

    what: names it. left, right: the ways, as they are called. missed: events that the kernel told
        the tracer it left out; the right one may be less by these. agree: None where the check
        does not apply; `reason` says why.
    """

    id: str
    what: str
    left: str = ""
    right: str = ""
    left_count: int = 0
    right_count: int = 0
    missed: int = 0
    agree: bool | None = None
    reason: str = ""


class Overhead(msgspec.Struct, frozen=True, kw_only=True):
    """What observing cost: the same load without the tracer and with it.

    what: the cost that was compared. plain, traced: that cost per packet. ratio: traced / plain.
    """

    what: str
    unit: str
    plain: float
    traced: float
    ratio: float


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Where the work of a packet goes, counted.

    name: of the path. load: what was sent. sent: packets, where the load knows.
    delivered: packets (TCP: bytes divided by the segment size). bytes: of payload delivered.
    segment: bytes of payload of a packet.
    per_packet, per_byte: item → its count divided by packets or bytes delivered; None: not
        observed. totals: the counts. segments_per_skb is a ratio in all three.
    reasons: item → why it is None.
    sources: item → which observer it comes from.
    by_host, by_process: item → host or process → its part, per packet; processes are named with
        their host. What no process does is in no process's part.
    drops: reason → packets that the kernel or a pump dropped.
    predicted: item → what the scenario's file says for this load.
    checks: the identity checks. sound: whether all of those that apply agree.
    unobserved: observer → why it counted nothing.
    events, missed: how many events the tracer counted, and how many the kernel left out.
    missed_share: the second by the first; None without the tracer.
    overhead: None where nothing was traced; `overhead_reason` says why.
    """

    name: str
    load: dict[str, Any]
    delivered: float
    bytes: int
    segment: int
    per_packet: dict[str, float | None]
    per_byte: dict[str, float | None]
    totals: dict[str, float | None]
    reasons: dict[str, str]
    sources: dict[str, str]
    by_host: dict[str, dict[str, float]]
    by_process: dict[str, dict[str, float]]
    drops: dict[str, int]
    predicted: dict[str, int]
    checks: list[Check]
    sound: bool
    unobserved: dict[str, str]
    events: int = 0
    missed: int = 0
    missed_share: float | None = None
    sent: int | None = None
    overhead: Overhead | None = None
    overhead_reason: str = ""

    def disagreements(self) -> list[str]:
        """A line for each identity check that failed."""
        return [
            f"{check.what}: {check.left} {check.left_count}, {check.right} {check.right_count}"
            for check in self.checks
            if check.agree is False
        ]
