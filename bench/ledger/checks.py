"""The identity checks: what is counted in two independent ways. One entry of `CHECKS` each.

Where two ways disagree, at least one does not count what it says, and nothing is concluded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from bench.ledger.evidence import Evidence, uses_ring
from bench.ledger.model import Check, Unseen

TOLERANCE = 0.001
SLACK = 3
"""Counts that may always differ: something is under way when counting begins or ends."""


class Pair(NamedTuple):
    """Two counts that should be equal, and what each is.

    missed: by so much the right one may be less, because the kernel said that it left that out.
    """

    what: str
    left: str
    left_count: int
    right: str
    right_count: int
    missed: int = 0


def agree(left: int, right: int, missed: int = 0) -> bool:
    """Whether two counts are the same, but for what happens at the edges and what is `missed`."""
    slack = max(SLACK, TOLERANCE * max(left, right))
    return -slack <= left - right <= slack + missed


def check(evidence: Evidence) -> list[Check]:
    """Carry out every check; those that do not apply say why."""
    found = []
    for id_, (title, pairs) in CHECKS.items():
        try:
            done = [_judged(id_, pair) for pair in pairs(evidence)]
        except Unseen as unseen:
            done = [Check(id=id_, what=title, reason=str(unseen))]
        found += done or [Check(id=id_, what=title, reason="nothing of the kind happens here")]
    return found


def _judged(id_: str, pair: Pair) -> Check:
    return Check(
        id=id_,
        what=pair.what,
        left=pair.left,
        right=pair.right,
        left_count=pair.left_count,
        right_count=pair.right_count,
        missed=pair.missed,
        agree=agree(pair.left_count, pair.right_count, pair.missed),
    )


def _pump_calls(evidence: Evidence) -> Iterator[Pair]:
    yield from _pump_calls_with(evidence, "syscall", lambda _: True)


def _pump_vain_calls(evidence: Evidence) -> Iterator[Pair]:
    yield from _pump_calls_with(evidence, "eagain", lambda outcome: outcome == "eagain")


def _pump_calls_with(
    evidence: Evidence, group: str, counts: Callable[[str], bool]
) -> Iterator[Pair]:
    evidence.trace()
    for process, counted in evidence.pumps():
        traced: dict[str, int] = {}
        for name, outcome, count in evidence.calls(process):
            traced[name] = traced.get(name, 0) + (count if counts(outcome) else 0)
        for key, count in counted.items():
            prefix, _, name = key.partition(".")
            if prefix == group and (count or traced.get(name)):
                what = f"{process.label}: {name}{' in vain' if group == 'eagain' else ''}"
                yield Pair(what, f"its counter {key}", count, "traced", traced.get(name, 0))


def _pump_bytes(evidence: Evidence) -> Iterator[Pair]:
    """By kind of port: devices with their reads and writes, sockets with their messages."""
    evidence.trace()
    for process, counted in evidence.pumps():
        if process.pump is None:
            continue
        devices = range(len(process.pump.devices))
        for direction, way in (("in", "tx"), ("out", "rx")):
            told = [counted[f"port{port}.{way}_bytes"] for port in (0, 1)]
            if not uses_ring(process):
                what = f"{process.label}: bytes {'to' if way == 'tx' else 'from'} its devices"
                _, traced = evidence.device_bytes(process, direction)
                yield Pair(what, "its counters", sum(told[n] for n in devices), "traced", traced)
            if process.pump.listen:
                what = f"{process.label}: bytes {'to' if way == 'tx' else 'from'} its socket"
                _, traced = evidence.socket_bytes(process, direction)
                yield Pair(what, "its counters", told[1], "traced", traced)


def _endpoint_calls(evidence: Evidence) -> Iterator[Pair]:
    """The generator's and the sink's own tallies against the tracer."""
    sent, received = evidence.delivered.sent, evidence.delivered.received
    if sent is None or received is None:
        raise Unseen("the load has no datagrams")
    evidence.trace()
    for process in evidence.subject.processes:
        if process.name == "generator":
            count, size = evidence.socket_bytes(process, "in")
            yield Pair("generator: datagrams", "its tally", sent.packets, "traced", count)
            yield Pair("generator: bytes", "its tally", sent.bytes, "traced", size)
        elif process.name == "sink":
            count, size = evidence.socket_bytes(process, "out")
            yield Pair("sink: datagrams", "its tally", received.packets, "traced", count)
            yield Pair("sink: bytes", "its tally", received.bytes, "traced", size)


def _datagrams(evidence: Evidence) -> Iterator[Pair]:
    """All datagrams that leave and enter the sockets of the two ends' hosts."""
    sent, received = evidence.delivered.sent, evidence.delivered.received
    if sent is None or received is None:
        raise Unseen("the load has no datagrams")
    path = evidence.subject.path
    for host, way, name, own in (
        (path.client.host, "tx", "Udp.OutDatagrams", sent.packets),
        (path.server.host, "rx", "Udp.InDatagrams", received.packets),
    ):
        pumped = 0
        for process in evidence.subject.processes:
            if process.calls is None and process.counters is None and process.host == host:
                raise Unseen(f"{process.label} does not count its datagrams")
        for process, counted in evidence.pumps():
            if process.pump is not None and process.pump.listen and process.host == host:
                if counted[f"port1.{way}_supers"]:
                    raise Unseen(f"{process.label} hands over several datagrams as one")
                pumped += counted[f"port1.{way}_packets"]
        what = f"{host}: datagrams {'sent' if way == 'tx' else 'received'}"
        yield Pair(what, "the programs' tallies", own + pumped, name, evidence.snmp(host, name))


def _transmitted(evidence: Evidence) -> Iterator[Pair]:
    trace = evidence.trace()
    evidence.observed("devices")
    for (host, device), counts in (evidence.seen.devices or {}).items():
        packets, _ = trace.transmitted.get((host, device), (0, 0))
        told = counts["tx_packets"] + counts["tx_dropped"]
        if packets or told:
            what = f"{host}:{device}: packets given to it"
            yield Pair(what, "its statistics", told, "traced", packets, trace.missed)


def _received(evidence: Evidence) -> Iterator[Pair]:
    """What the IP layer takes in it forwards, delivers or drops for a reason it counts."""
    outcomes = (
        *("OutForwDatagrams", "ForwDatagrams", "InDelivers", "InHdrErrors", "InAddrErrors"),
        *("InUnknownProtos", "InDiscards", "InNoRoutes", "InTruncatedPkts"),
    )
    for host in evidence.subject.hosts.values():
        taken = evidence.snmp(host, "Ip.InReceives")
        if taken:
            done = sum(evidence.snmp(host, f"Ip.{name}") for name in outcomes)
            yield Pair(f"{host}: IP packets", "received", taken, "forwarded and delivered", done)


def _switches(evidence: Evidence) -> Iterator[Pair]:
    trace = evidence.trace()
    evidence.observed("process")
    counted = evidence.seen.process or {}
    for process in evidence.subject.processes:
        threads = [t for t, owner in evidence.subject.threads.items() if owner is process]
        if any(thread not in counted for thread in threads):
            raise Unseen(f"{process.label}: a thread ended before it could be looked at")
        told = sum(counted[thread] for thread in threads)
        traced = sum(trace.switches.get(thread, 0) for thread in threads)
        yield Pair(f"{process.label}: context switches", "/proc", told, "traced", traced)


def _lost(evidence: Evidence) -> Iterator[Pair]:
    sent, received = evidence.delivered.sent, evidence.delivered.received
    if sent is None or received is None:
        raise Unseen("what a TCP stream loses it sends again")
    trace = evidence.trace()
    dropped = sum(count for (host, _), count in trace.drops.items() if host)
    for _, counted in evidence.pumps():
        dropped += sum(n for name, n in counted.items() if name.startswith("drop."))
    lost = sent.packets - received.unique
    yield Pair(
        "packets lost", "sent and not received", lost, "drops by reason", dropped, trace.missed
    )


def _device_reads(evidence: Evidence) -> Iterator[Pair]:
    """The kernel's own tracepoint of copies to user space, where one of a packet passes it.

    A datagram that lies in one piece goes round it on its way into a UDP socket's reader.
    """
    trace = evidence.trace()
    for process, _ in evidence.pumps():
        if process.pump is not None and not process.pump.listen:
            reads, _ = evidence.device_bytes(process, "out")
            copied, _ = trace.copied.get(process.pid, (0, 0))
            what = f"{process.label}: packets from its devices"
            yield Pair(what, "reads", reads, "copies", copied)


CHECKS: dict[str, tuple[str, Callable[[Evidence], Iterator[Pair]]]] = {
    "pump_calls": ("system calls of pumps", _pump_calls),
    "pump_vain_calls": ("system calls of pumps in vain", _pump_vain_calls),
    "pump_bytes": ("bytes that pumps move", _pump_bytes),
    "endpoint_calls": ("datagrams of generator and sink", _endpoint_calls),
    "datagrams": ("datagrams of the two ends' hosts", _datagrams),
    "transmitted": ("packets that devices send", _transmitted),
    "received": ("packets that IP layers take in", _received),
    "switches": ("context switches", _switches),
    "device_reads": ("packets read from devices", _device_reads),
    "lost": ("packets lost", _lost),
}
