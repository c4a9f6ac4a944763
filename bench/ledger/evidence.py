"""Everything that was counted of one load, and the questions that items and checks ask of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench import native
from bench.ledger import calls
from bench.ledger.loads import Delivered
from bench.ledger.model import Unseen
from bench.ledger.observers import Seen
from bench.ledger.subject import Process, Subject
from bench.ledger.trace import Traced
from bench.quality.rule import DISTURBANCES
from bench.scenario.model import Pump

TRACE, COUNTERS, TALLIES = "trace", "pump counters", "tallies"
MISSED_MOST = DISTURBANCES["missed"].limit
"""Share of the events that a count in interrupts may lack."""
_DEVICE_CALLS = {"in": ("write", "writev"), "out": ("read", "readv")}
_TOLD_PER_HANDOFF, _EVENT = 2, 8
"""Writes to eventfds (and as many reads) of a handicap's hand-off, and the bytes of each."""
_VIRTIO_HEADER = 10
"""Bytes that lead each packet of a tun or tap with offload; the pump counts without them."""


@dataclass(frozen=True)
class Crossing:
    """Copies between user and kernel space by one process in one direction."""

    process: Process
    count: int
    bytes: int
    source: str


@dataclass(frozen=True)
class Evidence:
    """What was counted, of what."""

    subject: Subject
    delivered: Delivered
    seen: Seen

    def trace(self) -> Traced:
        """What the tracer counted. Raises Unseen."""
        if self.seen.trace is None:
            raise Unseen(self.seen.reasons["trace"])
        return self.seen.trace

    def complete_trace(self) -> Traced:
        """The same for events that may come in an interrupt, of which some may have been missed.

        Raises Unseen also where these are too many. (What a process does by itself is never missed:
        it does not do it while a program of the tracer runs.)
        """
        trace = self.trace()
        if trace.missed_share > MISSED_MOST:
            raise Unseen(
                f"the tracer missed {trace.missed} events and saw {trace.events}: too much happened"
            )
        return trace

    def observed(self, observer: str) -> None:
        """Raise Unseen unless `observer` counted."""
        if getattr(self.seen, observer) is None:
            raise Unseen(self.seen.reasons[observer])

    def snmp(self, host: str, name: str) -> int:
        """A host's counter, of IPv4 and IPv6 together: "Ip.InReceives" is also "Ip6.InReceives"."""
        self.observed("snmp")
        layer, _, rest = name.partition(".")
        counts = (self.seen.snmp or {})[host]
        return counts.get(name, 0) + counts.get(f"{layer}6.{rest}", 0)

    def pumps(self) -> list[tuple[Process, dict[str, int]]]:
        """The pumps and what they counted."""
        counted = self.seen.pumps or {}
        return [(p, counted[p.pid]) for p in self.subject.processes if p.pid in counted]

    def names(self) -> dict[int, str]:
        """System calls by number. Raises Unseen."""
        names = calls.names()
        if not names:
            raise Unseen("the numbers of system calls on this architecture are not known")
        return names

    def calls(self, process: Process) -> Iterator[tuple[str, str, int]]:
        """Name, outcome and number of a process's traced calls. Raises Unseen."""
        names = self.names()
        for (pid, number, outcome), count in self.trace().calls.items():
            if pid == process.pid:
                yield names.get(number, f"system call {number}"), outcome, count

    def crossings(self, direction: str) -> Iterator[Crossing]:
        """The copies into ("in") or out of ("out") the kernel, by process. Raises Unseen."""
        for process in self.subject.processes:
            if self.seen.trace is None or uses_ring(process):
                yield self._told(process, direction)
            else:
                yield self._traced(process, direction)

    def device_bytes(self, process: Process, direction: str) -> tuple[int, int]:
        """Traced reads from or writes to a forwarder's devices, and bytes without the headers."""
        trace, wanted = self.trace(), _DEVICE_CALLS[direction]
        numbers = [number for number, name in self.names().items() if name in wanted]
        count = sum(trace.calls.get((process.pid, n, "moved"), 0) for n in numbers)
        moved = sum(trace.moved.get((process.pid, n), 0) for n in numbers)
        # A hand-off is told and answered through eventfds, by the same calls.
        told = _TOLD_PER_HANDOFF * (self.seen.pumps or {}).get(process.pid, {}).get("handoff", 0)
        count, moved = count - told, moved - _EVENT * told
        header = _VIRTIO_HEADER if process.pump and process.pump.switches["tun_offload"] else 0
        return count, moved - header * count

    def socket_bytes(self, process: Process, direction: str) -> tuple[int, int]:
        """Traced messages of a process's sockets, and their bytes."""
        trace = self.trace()
        return (trace.sent if direction == "in" else trace.received).get(process.pid, (0, 0))

    def _traced(self, process: Process, direction: str) -> Crossing:
        count, size = self.socket_bytes(process, direction)
        if process.calls is None:
            units, moved = self.device_bytes(process, direction)
            count, size = count + units, size + moved
        return Crossing(process, count, size, TRACE)

    def _told(self, process: Process, direction: str) -> Crossing:
        """What the process itself says. A pump counts units: a super-packet is copied as one."""
        counted = (self.seen.pumps or {}).get(process.pid)
        if counted is not None:
            way = "tx" if direction == "in" else "rx"
            units, size = (
                sum(counted[f"port{port}.{way}_{what}"] for port in (0, 1))
                for what in ("units", "bytes")
            )
            return Crossing(process, units, size, COUNTERS)
        sent, received = self.delivered.sent, self.delivered.received
        if sent is None or received is None or process.calls is None:
            raise Unseen(f"{process.label} does not tell; {self.seen.reasons.get('trace', '')}")
        if process.name == "generator":
            mine = (sent.packets, sent.bytes) if direction == "in" else (0, 0)
        else:
            mine = (0, 0) if direction == "in" else (received.packets, received.bytes)
        return Crossing(process, *mine, TALLIES)


def uses_ring(process: Process) -> bool:
    """Whether the process moves data without system calls that tell, through io_uring."""
    return _setting(process.pump, "io") == "uring"


def _setting(pump: Pump | None, switch: str) -> str | int | None:
    return native.switches()[switch].show(pump.switches[switch]) if pump else None
