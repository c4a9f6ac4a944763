"""The byte streams of the integrity check: TCP both ways at once, in writes of any size.

Each end is one process that serves all its connections from one loop. What a connection carries
each way comes from the seed, so either end knows what it has to receive.
"""

from __future__ import annotations

import random
import selectors
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.endpoint import family_of
from bench.probes.base import Path, client, server
from bench.process import Send

_LARGEST_WRITE = 17
"""log2 of the largest write's bytes: more than a super-packet."""
_READ = 1 << 16
_START_TIMEOUT = 5.0
_STALL = 5.0
"""Seconds without any progress after which the streams are given up."""
_SLOWEST = 1e6
"""Bytes a second that the deadline assumes."""


@dataclass(frozen=True)
class TcpResult:
    """What became of one connection's data in one direction.

    received: bytes; `wrong` of them, the first at `first_wrong`.
    error: how the connection ended if not as it should.
    """

    stream: int
    direction: str
    nodelay: bool
    expected: int
    received: int
    wrong: int
    first_wrong: int | None
    error: str | None

    def problems(self) -> list[str]:
        """What is wrong, a line each."""
        name = f"tcp {self.direction}: stream {self.stream}{', TCP_NODELAY' * self.nodelay}"
        of = f"of {self.expected} bytes"
        lines = []
        if self.error is not None:
            lines.append(f"{name}: {self.error} after {self.received} {of}")
        elif self.received < self.expected:
            lines.append(f"{name}: ended after {self.received} {of}")
        if self.received > self.expected:
            lines.append(f"{name}: {self.received - self.expected} bytes more than were sent")
        if self.wrong:
            lines.append(f"{name}: {self.wrong} {of} corrupt, the first at {self.first_wrong}")
        return lines


def check(path: Path, streams: int, size: int, seed: int) -> list[TcpResult]:
    """Exchange `size` bytes each way on each of `streams` connections. Raises CannotMeasure."""
    address = path.server_address
    there = f"{path.client.host} to {path.server.host}"
    back = f"{path.server.host} to {path.client.host}"

    def serve(report: Send) -> dict[str, Any]:
        with socket.create_server((address, 0), family=family_of(address)) as listener:
            report({"port": listener.getsockname()[1]})
            listener.settimeout(_START_TIMEOUT)
            socks = [listener.accept()[0] for _ in range(streams)]
        # Not in the order they were accepted: a path of several queues may change that.
        socks.sort(key=lambda sock: int(sock.getpeername()[1]))
        flows = _flows(socks, (back, there), size, seed)
        return {"results": exchange(flows, random.Random(seed))}

    def connect(port: int) -> dict[str, Any]:
        socks = [socket.create_connection((address, port), _START_TIMEOUT) for _ in range(streams)]
        socks.sort(key=lambda sock: int(sock.getsockname()[1]))
        flows = _flows(socks, (there, back), size, seed)
        return {"results": exchange(flows, random.Random(seed + 1))}

    timeout = _STALL + _START_TIMEOUT + 2 * streams * size / _SLOWEST
    with server(path, "stream check", serve) as accepting:
        port = accepting.receive(_START_TIMEOUT)["port"]
        with client(path, "stream check", lambda _: connect(port)) as connecting:
            results = connecting.receive(timeout)["results"]
            results += accepting.receive(timeout)["results"]
    return [TcpResult(**result) for result in results]


def _flows(
    socks: Sequence[socket.socket], directions: tuple[str, str], size: int, seed: int
) -> list[Flow]:
    """The connections with the data they carry: `directions` are of what we send and receive."""
    return [
        Flow(sock, number, directions[1], *(_data(seed, number, way, size) for way in directions))
        for number, sock in enumerate(socks)
    ]


def _data(seed: int, stream: int, direction: str, size: int) -> bytes:
    return random.Random(f"{seed} {stream} {direction}").randbytes(size)


class Flow:
    """One connection as one end sees it. Every other one is sent without delay."""

    def __init__(
        self, sock: socket.socket, number: int, direction: str, outgoing: bytes, incoming: bytes
    ) -> None:
        self.sock, self.number, self.direction = sock, number, direction
        self.nodelay = number % 2 == 1
        self.writing = self.reading = True
        self._outgoing, self._incoming = memoryview(outgoing), incoming
        self._received, self._wrong = 0, 0
        self._first_wrong: int | None = None
        self._error: str | None = None
        sock.setblocking(False)
        if self.nodelay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def events(self) -> int:
        """What it waits for; 0: it is through."""
        return selectors.EVENT_WRITE * self.writing | selectors.EVENT_READ * self.reading

    def write(self, size: int) -> None:
        """Send up to `size` bytes more, and the end behind the last one."""
        try:
            self._outgoing = self._outgoing[self.sock.send(self._outgoing[:size]) :]
            if not self._outgoing:
                self.writing = False
                self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError as error:
            self.give_up(str(error.strerror))

    def read(self, size: int) -> None:
        """Receive up to `size` bytes and look at each."""
        try:
            data = self.sock.recv(size)
        except BlockingIOError:
            return
        except OSError as error:
            self.give_up(str(error.strerror))
            return
        if not data:
            self.reading = False
        expected = self._incoming[self._received : self._received + len(data)]
        if data[: len(expected)] != expected:
            wrong = [i for i, (a, b) in enumerate(zip(data, expected, strict=False)) if a != b]
            self._wrong += len(wrong)
            if self._first_wrong is None:
                self._first_wrong = self._received + wrong[0]
        self._received += len(data)

    def give_up(self, why: str) -> None:
        """Expect nothing any more."""
        self.writing = self.reading = False
        self._error = why

    def result(self) -> TcpResult:
        """What became of the incoming data."""
        return TcpResult(
            self.number,
            self.direction,
            self.nodelay,
            len(self._incoming),
            self._received,
            self._wrong,
            self._first_wrong,
            self._error,
        )


def exchange(flows: Sequence[Flow], sizes: random.Random) -> list[dict[str, Any]]:
    """Serve `flows` until all are through or nothing moves; returns results as plain data."""
    with selectors.DefaultSelector() as selector:
        for flow in flows:
            selector.register(flow.sock, flow.events, flow)
        while selector.get_map():
            ready = selector.select(_STALL)
            if not ready:
                break
            for key, events in ready:
                _serve(selector, key.data, events, sizes)
    for flow in flows:
        if flow.events:
            flow.give_up(f"nothing moved for {_STALL:g} s")
        flow.sock.close()
    return [asdict(flow.result()) for flow in flows]


def _serve(selector: selectors.BaseSelector, flow: Flow, events: int, sizes: random.Random) -> None:
    before = flow.events
    if events & selectors.EVENT_READ:
        flow.read(sizes.randint(1, _READ))
    if events & selectors.EVENT_WRITE and flow.writing:
        flow.write(int(2 ** sizes.uniform(0, _LARGEST_WRITE)))
    if flow.events == before:
        return
    if flow.events:
        selector.modify(flow.sock, flow.events, flow)
    else:
        selector.unregister(flow.sock)
