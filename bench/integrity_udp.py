"""The datagrams of the integrity check: sizes and ways of sending, one stream for each."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.endpoint import family_of
from bench.native import traffic
from bench.native.traffic import DATAGRAM_MAX, HEADER, Received, Sent, Sink, Stream, Tally
from bench.probes.flow import Direction, Order, flowing, settle

_SEGMENTS = 64
"""What every kernel with UDP_SEGMENT takes."""
_BUFFER = 8 << 20
_LINGER = 0.005
"""Seconds that duplicates have to arrive after the last that was missing."""


@dataclass(frozen=True)
class Case:
    """Datagrams of one size, sent in one way; segments and last as in `traffic.Stream`."""

    size: int
    segments: int = 0
    last: int = 0

    def __str__(self) -> str:
        if self.segments == 0:
            return f"{self.size} bytes"
        if self.segments == 1:
            return f"{self.size} bytes, UDP_SEGMENT with a single segment"
        end = f"the last {self.last}" if self.last else "all alike"
        return f"{self.size} bytes, UDP_SEGMENT with {self.segments} segments, {end}"


@dataclass(frozen=True)
class UdpResult:
    """What became of one case. error: why it could not be sent; its errno in `error_number`."""

    direction: str
    case: Case
    gro: bool
    sent: Sent
    received: Received
    error: str | None = None
    error_number: int = 0

    @property
    def lost(self) -> int:
        """Datagrams that did not arrive whole. A corrupt one is lost as well."""
        return max(0, self.sent.packets - self.received.unique)

    @property
    def duplicates(self) -> int:
        """Datagrams that arrived again, be it only during a later case."""
        return self.received.duplicates + self.received.strange

    @property
    def refused(self) -> bool:
        """Whether the sender's device cannot take UDP_SEGMENT, which is no fault of the path."""
        return self.case.segments > 0 and self.error_number in {errno.EIO, errno.ENOPROTOOPT}

    def skipped(self) -> list[str]:
        """A line if the case could not be tried here."""
        return [f"{self._name()}: {self.error}"] if self.refused else []

    def problems(self) -> list[str]:
        """What is wrong, a line each."""
        if self.error is not None:
            return [] if self.refused else [f"{self._name()}: {self.error}"]
        there, of = self.received, f"of {self.sent.packets} datagrams"
        first = (
            f"the first is number {there.corrupt_sequence} by its header, of "
            f"{there.corrupt_size} bytes, wrong from byte {there.corrupt_offset} on"
        )
        counts = (
            (there.corrupt, f"{there.corrupt} {of} corrupt: {first}"),
            (self.lost, f"{self.lost} {of} lost, {there.drops} of them at the receiving socket"),
            (self.duplicates, f"{self.duplicates} datagrams arrived more than once"),
            (there.reordered, f"{there.reordered} {of} reordered"),
            (there.late, f"{there.late} {of} too late to tell what they are"),
        )
        return [f"{self._name()}: {text}" for count, text in counts if count]

    def _name(self) -> str:
        return f"udp {self.direction}: {self.case}{', UDP_GRO' if self.gro else ''}"


def cases(mtu: int, headers: int) -> Iterator[Case]:
    """All that is tried where an IP packet may have `mtu` bytes, `headers` of them not ours."""
    most = mtu - headers
    for size in sorted({HEADER, 17, 63, 64, 65, 511, 1001, most - 1, most}):
        if not HEADER <= size <= most:
            continue
        segments = min(_SEGMENTS, DATAGRAM_MAX // size)
        yield Case(size)
        yield Case(size, segments)
        if size // 2 >= HEADER:
            yield Case(size, segments, size // 2 | 1)
        yield Case(size, 1)
    yield Case(2 * mtu + 1)  # arrives in fragments


def check(
    direction: Direction, mtu: int, gro: bool, datagrams: int, rate: float, seed: int
) -> list[UdpResult]:
    """Send `datagrams` of every case, received with or without UDP_GRO. Raises CannotMeasure."""
    headers = 28 if family_of(direction.address) == socket.AF_INET else 48
    plan = list(cases(mtu, headers))
    sent, received = Tally(Sent), Tally(Received)

    def receive(fd: int, stop: int, order: Order) -> None:
        number = order["number"]
        expected = Sink(seed, number, plan[number].size, _BUFFER, verify=True, gro=gro)
        traffic.sink(fd, expected, received, stop)

    def send(fd: int, stop: int, order: Order) -> Order | None:
        # A sender that changes CPUs reorders its packets: each CPU has a queue behind a veth.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        number = order["number"]
        try:
            traffic.send(fd, _stream(plan[number], number, datagrams, rate, seed), sent, stop)
        except OSError as error:
            return {"why": error.strerror, "errno": error.errno}
        return None

    results = []
    with flowing(direction, send, receive) as flow:
        for number, case in enumerate(plan):
            sent.clear()
            received.clear()
            flow.begin(number=number)
            told = flow.send(datagrams / rate, number=number)
            settle(sent, received)
            time.sleep(_LINGER)
            flow.end()
            counts = (sent.read(), received.read())
            error = (told.get("why"), told.get("errno", 0))
            results.append(UdpResult(str(direction), case, gro, *counts, *error))
    return results


def _stream(case: Case, number: int, datagrams: int, rate: float, seed: int) -> Stream:
    return Stream(
        seed,
        number,
        case.size,
        segments=case.segments,
        last=case.last,
        burst=max(64, case.segments),
        batch=4,
        count=datagrams,
        rate=rate,
        verify=True,
    )
