"""How many of each cause a packet has, from counts that cost the packet nothing.

No tracer: what pumps, IP layers and the scheduler count anyway is read before and after. So it can
be counted while the time is taken. What the endpoints do (their own system calls and copies) is the
same on every path and left out; the copies are added, so that shares of all copies can be told.
"""

from __future__ import annotations

from bench.ledger.evidence import Evidence
from bench.ledger.items import ITEMS
from bench.ledger.subject import Process

_WAITING = ("poll", "sched_yield", "io_uring_enter")
"""Calls of a pump that move nothing themselves."""
_ENDPOINT_COPIES = 2
"""Times each byte of payload is copied by the endpoints: into the kernel, and out of it."""


def counts(evidence: Evidence) -> dict[str, float]:
    """Cause → how many of it a delivered packet has; the ids are those of `bench.why.causes`.

    Raises Unseen where this machine does not tell.
    """
    delivered = evidence.delivered
    total = {
        "copies": float(_ENDPOINT_COPIES * delivered.bytes),
        "cold_copies": 0.0,
        "calls": 0.0,
        "polling": 0.0,
        "switches": _sum(evidence, "process"),
        "wakeups": _sum(evidence, "sleeps"),
        "traversals": float(sum(part.count for part in ITEMS["traversals"].count(evidence))),
        "sockets": 0.0,
        "devices": 0.0,
    }
    for process, counted in evidence.pumps():
        for cause, count in _of_pump(process, counted).items():
            total[cause] += count
    return {cause: count / delivered.packets for cause, count in total.items()}


def _of_pump(process: Process, counted: dict[str, int]) -> dict[str, float]:
    def added(*names: str) -> int:
        return sum(counted.get(name, 0) for name in names)

    def port(number: int, what: str) -> int:
        return added(f"port{number}.rx_{what}", f"port{number}.tx_{what}")

    moved = port(0, "bytes") + port(1, "bytes")
    units = added("port0.rx_units", "port1.rx_units")
    size = added("port0.rx_bytes", "port1.rx_bytes") / units if units else 0.0
    vain = sum(n for name, n in counted.items() if name.startswith("eagain."))
    waiting = added(*(f"syscall.{name}" for name in _WAITING)) - added(
        *(f"eagain.{name}" for name in _WAITING)
    )
    # Of an eventfd: they do about as much as a receive that finds nothing.
    telling = 4 * counted["handoff"]
    over_udp, through_tun = (counted.get(f"trip.{way}", 0) for way in ("udp", "tun"))
    listens = process.pump is not None and process.pump.listen
    return {
        "copies": moved + (counted["copy.hot"] + 2 * over_udp + 4 * through_tun) * size,
        "cold_copies": counted["copy.cold"] * size,
        "calls": sum(n for name, n in counted.items() if name.startswith("syscall."))
        - vain
        - waiting
        - telling,
        "polling": vain + waiting + telling,
        "sockets": (port(1, "units") if listens else 0) + 2 * (over_udp + through_tun),
        "devices": port(0, "units") + (0 if listens else port(1, "units")) + 2 * through_tun,
    }


def _sum(evidence: Evidence, observer: str) -> float:
    evidence.observed(observer)
    return float(sum(getattr(evidence.seen, observer).values()))
