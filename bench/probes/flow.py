"""A flow of datagrams over a path: a sender, a receiver, and when all that will arrive has arrived.

The two processes stay for all that is sent, so that an eighth of a second does not cost more to
prepare than to send. We open their sockets: so each knows the other's address before it begins, and
what a receiver has dropped can be asked for here. Nothing is sent before the receiver says that it
is about to receive, and it receives until it is told to stop: only who has the counts of both ends
knows when that is.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import IO, Any, Literal

from bench import ports
from bench.endpoint import family_of
from bench.errors import CannotMeasure
from bench.native.delay import Arrived
from bench.native.traffic import Received, Sent, Tally
from bench.probes.ahead import cleared, ends, hold
from bench.probes.base import Path
from bench.process import Child, Send, spawn
from bench.topology import inside

Order = dict[str, Any]
Part = Callable[[int, int, Order], Order | None]
"""What an end does when it is told to: with its socket, until it is done or a descriptor is
readable, as an order says. What the sender's returns is the answer to the order."""
Connected = Literal["sender", "both", "neither"]

_TIMEOUT = 5.0
_MARGIN = 10.0
_SO_MEMINFO, _MEMINFO_DROPS = 55, 8
_GLANCE = 0.001
_LOOK = 0.01
"""Seconds without any news after which to look whether what is missing is known to be dropped."""
QUIET = 0.3
"""Seconds without any news after which what is missing counts as lost: a machine with much to do
may hold a forwarder back for a while."""
_PATIENCE = 10.0
"""And with news: of a path that keeps repeating what it carried there is no end."""


@dataclass(frozen=True)
class Direction:
    """From one host of a path to the address of another one.

    forwarded_to: where the receiver listens, if its ports are forwarded from that address.
    """

    path: Path
    sender: str
    receiver: str
    address: str
    forwarded_to: str | None = None

    def __str__(self) -> str:
        return f"{self.sender} to {self.receiver}"

    def open(self, host: str) -> socket.socket:
        """A UDP socket in the namespace of `host`. Raises OSError."""
        with inside(self.path.topology.netns(host)):
            return socket.socket(family_of(self.address), socket.SOCK_DGRAM)


def forth(path: Path) -> Direction:
    """From client to server."""
    address, own = path.server_address, path.listening_address
    forwarded_to = own if own != address else None
    return Direction(path, path.client.host, path.server.host, address, forwarded_to)


@dataclass(frozen=True)
class _End:
    """A process that waits for orders. ahead: whether it goes before all else on its CPU."""

    child: Child
    orders: IO[bytes]
    ahead: bool

    def tell(self, order: Order, timeout: float) -> Order:
        """Give an order, a line of JSON; returns the answer."""
        self.orders.write(json.dumps(order).encode() + b"\n")
        return self.child.receive(timeout)


@dataclass(frozen=True)
class Flow:
    """Both ends, and the port of the receiver. Use through `flowing`."""

    sender: _End
    receiver: _End
    port: int
    _socket: socket.socket
    _stop: int

    def begin(self, **order: Any) -> None:
        """Have the receiver do its part; returns when it is about to."""
        self.receiver.tell(order, _TIMEOUT)

    def send(self, seconds: float, /, **order: Any) -> Order:
        """Have the sender do its part, which is to take so long; returns what that returns."""
        answer = self.sender.tell(order, 2 * seconds + _MARGIN)
        if not self.receiver.child.alive():
            self.receiver.child.receive(0)  # raises, with the cause
        return answer

    def end(self) -> None:
        """Have the receiver stop: then what it has counted is final."""
        os.eventfd_write(self._stop, 1)
        self.receiver.child.receive(_TIMEOUT)

    def drops(self) -> int:
        """What the kernel has dropped at the receiver's socket so far; 32 bits of it."""
        info = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
        return int(struct.unpack("=9I", info)[_MEMINFO_DROPS])


@contextmanager
def flowing(
    direction: Direction,
    send: Part,
    receive: Part,
    *,
    connected: Connected = "sender",
    ahead: bool = False,
) -> Iterator[Flow]:
    """Have a sender and a receiver wait for orders at the ends of `direction`.

    connected: which sockets are; on a proxied path never the receiver's, as a proxy sends from
        ports of its own. Where neither is, what comes to any address is received.
    ahead: each keeps to a CPU, ahead of all else there, and no forwarder to that of the sender.
    Raises CannotMeasure, as all orders do. On leaving, both processes are ended.
    """

    def give(order: Order, report: Send) -> None:
        report(send(giver.fileno(), never, order) or {})

    def take(order: Order, report: Send) -> None:
        report({})
        receive(taker.fileno(), stop, order)
        os.eventfd_read(stop)
        report({})

    here, there = direction.sender, direction.receiver
    netns = direction.path.topology.netns
    with ExitStack() as stack:
        if ahead:
            stack.enter_context(cleared(direction.path))
        giver, taker = _sockets(direction, connected, stack)
        stop, never = os.eventfd(0), os.eventfd(0)
        for fd in (stop, never):
            stack.callback(os.close, fd)
        first, last = ends() if ahead else (None, None)
        receiver = stack.enter_context(
            _obeying(f"{there}: receiver", netns(there), take, [taker.fileno(), stop], last)
        )
        sender = stack.enter_context(
            _obeying(f"{here}: sender", netns(here), give, [giver.fileno(), never], first)
        )
        yield Flow(sender, receiver, taker.getsockname()[1], taker, stop)


def _sockets(
    direction: Direction, connected: Connected, stack: ExitStack
) -> tuple[socket.socket, socket.socket]:
    """Of sender and receiver; a port for each flow keeps out what is late of another."""
    try:
        giver = stack.enter_context(direction.open(direction.sender))
        taker = stack.enter_context(direction.open(direction.receiver))
        _bind(taker, direction, connected)
        if connected != "neither":
            giver.connect((direction.address, taker.getsockname()[1]))
        if connected == "both" and not direction.path.topology.scenario.proxied:
            taker.connect(giver.getsockname()[:2])
    except OSError as error:
        raise CannotMeasure(f"{direction}, {direction.address}: {error.strerror}") from None
    return giver, taker


def _bind(taker: socket.socket, direction: Direction, connected: Connected) -> None:
    if direction.forwarded_to is not None:
        taker.bind((direction.forwarded_to, next(_forwarded_ports)))
    else:
        taker.bind(("" if connected == "neither" else direction.address, 0))


_forwarded_ports = cycle(ports.FORWARDED_FLOWS)


@contextmanager
def _obeying(
    name: str, netns: int, task: Callable[[Order, Send], None], keep: list[int], cpu: int | None
) -> Iterator[_End]:
    """Run a process that does `task` of each order it gets."""
    reading, writing = os.pipe()

    def obey(report: Send) -> None:
        report({"ahead": cpu is not None and hold(cpu)})
        for line in orders:
            task(json.loads(line), report)

    # Open here as well, the orders can be written to when nobody reads them any more.
    with (
        os.fdopen(reading, "rb") as orders,
        os.fdopen(writing, "wb", buffering=0) as told,
        spawn(name, obey, netns=netns, keep=[reading, *keep]) as child,
    ):
        yield _End(child, told, child.receive(_TIMEOUT)["ahead"])


def settle(
    sent: Tally[Sent],
    received: Tally[Received] | Tally[Arrived],
    *,
    quiet: float = QUIET,
    patience: float = _PATIENCE,
    dropped: Callable[[int], bool] = lambda _: False,
) -> None:
    """Wait until all that was sent has arrived, or nothing is to be expected any more.

    That is so where the receiver's count has stood still for `quiet` seconds, or `patience` is
    over, or `dropped` says of how many are missing that all of them are known to be lost. A gap
    between two glances adds at most five glances to the quiet: where we could not run, a forwarder
    may not have run either.
    """
    wanted, seen, silent, begin = sent.read().packets, -1, 0.0, time.monotonic()
    glanced = looked = begin
    while (missing := wanted - (there := received.read()).accounted) > 0:
        now = time.monotonic()
        if there.packets != seen:
            seen, silent, looked = there.packets, 0.0, now
        else:
            silent += min(now - glanced, 5 * _GLANCE)
        if now - looked > _LOOK:
            if dropped(missing):
                return
            looked = now
        if silent > quiet or now - begin > patience:
            return
        glanced = now
        time.sleep(_GLANCE)
