"""One trial after the other on a path: a rate offered for a while, and what arrived of it.

The two processes stay for the whole search, so a trial of an eighth of a second does not cost more
to prepare than to carry out. They are bound to different CPUs, where there are two: the sender
spins between datagrams and would be in the receiver's way. The receiver naps instead of waiting on
its socket (csrc/sink.c says why). Both sockets are connected, as those of iperf3 are.
"""

from __future__ import annotations

import errno
import json
import os
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any

from bench.endpoint import family_of
from bench.native import traffic
from bench.native.traffic import Pace, Received, Sent, Sink, Stream, Tally
from bench.probes.ahead import cleared, ends, hold
from bench.probes.base import Path
from bench.probes.flow import settle
from bench.process import Child, Send, spawn
from bench.search import losses
from bench.search.model import Options, Trial
from bench.search.single import cut_before_device, gathered

_PORT = 7008
_TIMEOUT = 5.0
_NAP_US = 100
_SO_MEMINFO, _MEMINFO_DROPS = 55, 8
_DRAIN = 0.05
"""Share of a trial's length within which everything must have arrived after its end."""
_BURST = 128
"""Datagrams that may be overdue; a sender that was kept from running does without the others."""
_QUIET = 0.15
"""Seconds without any news after which to go on: a search has many trials that lose something."""
_PATIENCE = 1.0
"""And with news: it came too late anyway."""


def stream_of(
    options: Options,
    size: int,
    segments: int,
    *,
    seed: int,
    id: int,  # noqa: A002 - as the field is called
    rate: float,
    seconds: float,
    pace_ns: int = 0,
) -> Stream:
    """What the sender sends; segments: 0, or how many datagrams it hands over at once."""
    return Stream(
        seed,
        id,
        size,
        segments=segments,
        batch=_BURST // segments if segments else options.batch,
        burst=_BURST,
        rate=rate,
        seconds=seconds,
        pace_ns=pace_ns,
    )


@dataclass
class Witness:
    """What the witness of an end's core says; see csrc/pace.h.

    usual_ns: the least that it took so far; 0: no trial yet.
    """

    usual_ns: int = 0

    def shared(self, pace: Pace) -> float:
        """Share of a trial in which this end had to share its core."""
        if pace.samples and pace.least_ns < (self.usual_ns or pace.least_ns + 1):
            self.usual_ns = pace.least_ns
        return pace.slow / pace.samples if pace.samples else 0.0


@dataclass
class Tester:
    """Carries out trials. Use through `ready_for_trials`."""

    path: Path
    sender: Child
    receiver: Child
    sender_orders: IO[bytes]
    receiver_orders: IO[bytes]
    sent: Tally[Sent]
    received: Tally[Received]
    stop: int
    before: losses.Counts
    source: list[str | int] | None
    realtime: bool
    streams: int = 0
    sending: Witness = field(default_factory=Witness)
    receiving: Witness = field(default_factory=Witness)

    def run(self, rate: float, seconds: float) -> Trial:
        """Offer `rate` datagrams a second for some seconds. Raises CannotMeasure."""
        self.sent.clear()
        self.received.clear()
        self.streams += 1
        expected = {"id": self.streams, "sender": self.source, "pace_ns": self.receiving.usual_ns}
        _order(self.receiver_orders, expected)
        self.receiver.receive(_TIMEOUT)
        stream = {"rate": rate, "seconds": seconds, "pace_ns": self.sending.usual_ns}
        _order(self.sender_orders, {"id": self.streams, **stream})
        self.sender.receive(seconds + _TIMEOUT)
        sent = self.sent.read()
        _sleep_until(sent.end_ns / 1e9 + _DRAIN * seconds)
        in_time = self.received.read().unique
        settle(self.sent, self.received, quiet=_QUIET, patience=_PATIENCE, dropped=self._dropped)
        os.eventfd_write(self.stop, 1)
        dropped = self.receiver.receive(_TIMEOUT)["drops"]
        received, before, self.before = self.received.read(), self.before, losses.count(self.path)
        return Trial(
            asked=rate,
            offered=sent.rate,
            seconds=seconds,
            sent=sent.packets,
            received=received.unique,
            overdue=received.unique - in_time,
            lost=losses.places(before, self.before, sent.packets - received.unique, dropped),
            shared=max(self.sending.shared(sent.pace), self.receiving.shared(received.pace)),
        )

    def _dropped(self, missing: int) -> bool:
        """Whether so many are known to have been dropped on the way."""
        counts = losses.count(self.path)
        return losses.ELSEWHERE not in losses.places(self.before, counts, missing, 0)


@contextmanager
def ready_for_trials(
    path: Path, size: int, options: Options, destinations: Sequence[str] = ()
) -> Iterator[Tester]:
    """Have sender and receiver wait at the ends of `path` for trials with `size`-byte payloads.

    destinations: see `search_rates`.
    """
    sent, received = Tally(Sent), Tally(Received)
    seed = random.getrandbits(63)
    address = (path.server_address, _PORT)

    def receive(orders: IO[bytes], report: Send) -> None:
        hold(ends()[1])
        with socket.socket(family_of(address[0]), socket.SOCK_DGRAM) as sock:
            sock.bind(("", _PORT) if destinations else address)
            for line in orders:
                order = json.loads(line)
                if order["sender"] and order["id"] == 1:
                    sock.connect(tuple(order["sender"]))
                expected = Sink(
                    seed,
                    order["id"],
                    size,
                    options.buffer,
                    nap_us=_NAP_US,
                    pace_ns=order["pace_ns"],
                )
                before = _drops(sock)  # the sink's own count may begin when packets come already
                report({"ready": True})
                traffic.sink(sock.fileno(), expected, received, stop)
                os.eventfd_read(stop)
                report({"drops": _drops(sock) - before & 0xFFFFFFFF})

    def send(orders: IO[bytes], report: Send) -> None:
        realtime = hold(ends()[0])
        turns = [(destination, _PORT) for destination in destinations]
        with socket.socket(family_of(address[0]), socket.SOCK_DGRAM) as sock:
            if not turns:
                sock.connect(address)
            report({"sender": None if turns else sock.getsockname()[:2], "realtime": realtime})
            gather = options.gather if single else 0.0
            for line in orders:
                order = json.loads(line)
                segments = gathered(order["rate"], size, gather)
                stream = stream_of(options, size, segments, seed=seed, **order)
                try:
                    traffic.send(sock.fileno(), stream, sent, never, turns)
                except OSError as error:
                    if not segments or error.errno not in (errno.EIO, errno.EINVAL):
                        raise
                    gather = 0.0  # not here: an old kernel, or a datagram above the MTU
                    alone = stream_of(options, size, 0, seed=seed, **order)
                    traffic.send(sock.fileno(), alone, sent, never, turns)
                report({"done": True})

    stop, never = os.eventfd(0), os.eventfd(0)
    with ExitStack() as stack:
        stack.callback(os.close, stop)
        stack.callback(os.close, never)
        stack.enter_context(cleared(path))
        single = stack.enter_context(cut_before_device(path)) and not destinations
        taker = stack.enter_context(_obeying(path, path.server.host, "sink", receive, [stop]))
        giver = stack.enter_context(_obeying(path, path.client.host, "generator", send, [never]))
        begun = giver[0].receive(_TIMEOUT)
        yield Tester(
            path,
            sender=giver[0],
            receiver=taker[0],
            sender_orders=giver[1],
            receiver_orders=taker[1],
            sent=sent,
            received=received,
            stop=stop,
            before=losses.count(path),
            source=begun["sender"],
            realtime=begun["realtime"],
        )


Task = Callable[[IO[bytes], Send], None]


@contextmanager
def _obeying(
    path: Path, host: str, name: str, task: Task, keep: list[int]
) -> Iterator[tuple[Child, IO[bytes]]]:
    """Run `task` on a host; it reads orders, a line of JSON each, that are written to what comes
    second."""
    reading, writing = os.pipe()

    def obey(report: Send) -> None:
        with os.fdopen(reading, "rb") as orders:
            task(orders, report)

    netns = path.topology.netns(host)
    with (
        os.fdopen(writing, "wb", buffering=0) as orders,
        spawn(f"{host}: {name}", obey, netns=netns, keep=[reading, *keep]) as child,
    ):
        os.close(reading)
        yield child, orders


def _order(orders: IO[bytes], order: dict[str, Any]) -> None:
    # One that has died says so where its answer is waited for.
    with suppress(BrokenPipeError):
        orders.write(json.dumps(order).encode() + b"\n")


def _drops(sock: socket.socket) -> int:
    """What the kernel has dropped at a socket so far."""
    info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
    return int(struct.unpack("=9I", info)[_MEMINFO_DROPS])


def _sleep_until(moment: float) -> None:
    left = moment - time.monotonic()
    if left > 0:
        time.sleep(left)
