"""The lines of a ledger: one entry of `ITEMS` each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.ledger.calls import DATA_CALLS, WAITING_CALLS
from bench.ledger.evidence import COUNTERS, TALLIES, TRACE, Evidence
from bench.ledger.model import Unseen
from bench.ledger.subject import Process

_FORWARDING_CALLS = DATA_CALLS | {"io_uring_enter"}
"""The calls of a forwarder that are useful where they return more than 0."""


@dataclass(frozen=True)
class Part:
    """What one process of a host, or the host's kernel (None), did. weight: see `Item.ratio`."""

    host: str
    process: Process | None
    count: int
    source: str
    weight: int = 0


@dataclass(frozen=True)
class Item:
    """One line.

    count: who did how much; raises Unseen where it is not observed.
    unit: of the figure per packet. ratio: the figure is the sum of counts by the sum of weights,
    not by packets.
    """

    id: str
    title: str
    unit: str
    count: Callable[[Evidence], Iterator[Part]]
    ratio: bool = False


def _calls(wanted: Callable[[Process, str, str], bool]) -> Callable[[Evidence], Iterator[Part]]:
    """System calls of which `wanted` (process, name, outcome) says that they count."""

    def count(evidence: Evidence) -> Iterator[Part]:
        for process in evidence.subject.processes:
            if evidence.seen.trace is not None:
                found, source = list(evidence.calls(process)), TRACE
            else:
                found, source = _told_calls(evidence, process)
            total = sum(n for name, outcome, n in found if wanted(process, name, outcome))
            yield Part(process.host, process, total, source)

    return count


def _told_calls(evidence: Evidence, process: Process) -> tuple[list[tuple[str, str, int]], str]:
    """The calls that a process itself has counted; errors but EAGAIN count as useful."""
    counted = (evidence.seen.pumps or {}).get(process.pid)
    if counted is not None:
        found = []
        for key, count in counted.items():
            group, _, name = key.partition(".")
            if group == "syscall":
                vain = counted[f"eagain.{name}"]
                found += [(name, "moved", count - vain), (name, "eagain", vain)]
        return found, COUNTERS
    sent, received = evidence.delivered.sent, evidence.delivered.received
    if sent is None or received is None or process.calls is None:
        raise Unseen(f"{process.label} does not tell; {evidence.seen.reasons['trace']}")
    if process.name == "generator":
        return [
            ("sendmmsg", "moved", sent.calls - sent.refused),
            ("sendmmsg", "eagain", sent.refused),
        ], TALLIES
    return [("recvmmsg", "moved", received.calls)], TALLIES


def _is_useful(process: Process, name: str, outcome: str) -> bool:
    return outcome == "moved" and name in (process.calls or _FORWARDING_CALLS)


def _is_vain(process: Process, name: str, outcome: str) -> bool:
    return outcome == "eagain" and (process.calls is None or name in process.calls)


def _is_other(process: Process, name: str, outcome: str) -> bool:
    return process.calls is None and not (
        _is_useful(process, name, outcome) or _is_vain(process, name, outcome)
    )


def _is_working(process: Process, name: str, outcome: str) -> bool:
    """Of a forwarder those that neither wait nor come back in vain; of the ends the useful ones."""
    if process.calls is not None:
        return _is_useful(process, name, outcome)
    return outcome != "eagain" and name not in WAITING_CALLS


def _copies(*directions: str) -> Callable[[Evidence], Iterator[Part]]:
    def count(evidence: Evidence) -> Iterator[Part]:
        for direction in directions:
            for c in evidence.crossings(direction):
                yield Part(c.process.host, c.process, c.count, c.source)

    return count


def _copied_bytes(evidence: Evidence) -> Iterator[Part]:
    for direction in ("in", "out"):
        for c in evidence.crossings(direction):
            yield Part(c.process.host, c.process, c.bytes, c.source)


def _memory_copies(evidence: Evidence) -> Iterator[Part]:
    evidence.observed("pumps")
    for process, counted in evidence.pumps():
        copies = counted["copy.hot"] + counted["copy.cold"]
        yield Part(process.host, process, copies, COUNTERS)


def _traversals(evidence: Evidence) -> Iterator[Part]:
    for host in evidence.subject.hosts.values():
        passes = evidence.snmp(host, "Ip.OutRequests") + evidence.snmp(host, "Ip.InReceives")
        yield Part(host, None, passes, "snmp")


def _device_hops(evidence: Evidence) -> Iterator[Part]:
    try:
        for (host, _), (packets, _) in evidence.complete_trace().transmitted.items():
            yield Part(host, None, packets, TRACE)
    except Unseen:
        evidence.observed("devices")
        for (host, _), counts in (evidence.seen.devices or {}).items():
            told = counts["tx_packets"] + counts["tx_dropped"]
            yield Part(host, None, told, "device statistics")


def _switches(evidence: Evidence) -> Iterator[Part]:
    evidence.observed("process")
    counted, trace = evidence.seen.process or {}, evidence.seen.trace
    for thread, process in evidence.subject.threads.items():
        if process.paces:
            continue
        if thread in counted:
            yield Part(process.host, process, counted[thread], "/proc")
        elif trace is not None:
            yield Part(process.host, process, trace.switches.get(thread, 0), TRACE)
        else:
            raise Unseen(f"{process.label}: a thread ended before it could be looked at")


def _wakeups(evidence: Evidence) -> Iterator[Part]:
    woken = evidence.complete_trace().wakeups
    for thread, process in evidence.subject.threads.items():
        if not process.paces:
            yield Part(process.host, process, woken.get(thread, 0), TRACE)


def _segments(evidence: Evidence) -> Iterator[Part]:
    for (host, _), (packets, segments) in evidence.complete_trace().transmitted.items():
        yield Part(host, None, segments, TRACE, packets)


def _drops(evidence: Evidence) -> Iterator[Part]:
    for (host, _), count in evidence.complete_trace().drops.items():
        if host:
            yield Part(host, None, count, TRACE)
    for process, counted in evidence.pumps():
        dropped = sum(n for name, n in counted.items() if name.startswith("drop."))
        yield Part(process.host, process, dropped, COUNTERS)


ITEMS: dict[str, Item] = {
    item.id: item
    for item in (
        Item("useful_calls", "system calls that moved data", "1", _calls(_is_useful)),
        Item("vain_calls", "system calls in vain (EAGAIN)", "1", _calls(_is_vain)),
        Item("other_calls", "other system calls", "1", _calls(_is_other)),
        Item("working_calls", "calls neither waiting nor in vain", "1", _calls(_is_working)),
        Item("copies_in", "copies user to kernel", "1", _copies("in")),
        Item("copies_out", "copies kernel to user", "1", _copies("out")),
        Item("copies", "copies, both ways", "1", _copies("in", "out")),
        Item("copied_bytes", "bytes copied", "B", _copied_bytes),
        Item("memory_copies", "copies in a pump's memory", "1", _memory_copies),
        Item("traversals", "IP-layer traversals", "1", _traversals),
        Item("device_hops", "device hops", "1", _device_hops),
        Item("switches", "context switches", "1", _switches),
        Item("wakeups", "wake-ups", "1", _wakeups),
        Item("segments_per_skb", "segments per skb", "1", _segments, ratio=True),
        Item("drops", "drops", "1", _drops),
    )
}


def drops_by_reason(evidence: Evidence) -> dict[str, int]:
    """Who says why → packets: the kernel's reasons, and the pumps' own."""
    found: dict[str, int] = {}
    if evidence.seen.trace is not None:
        for (host, reason), count in evidence.seen.trace.drops.items():
            if host:
                found[reason] = found.get(reason, 0) + count
    for _, counted in evidence.pumps():
        for name, count in counted.items():
            if name.startswith("drop.") and count:
                found[f"pump {name}"] = found.get(f"pump {name}", 0) + count
    return found
