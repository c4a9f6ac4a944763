"""A stream at times that are fixed beforehand, from one end of a path to the other.

The machinery of the delay probes; `csrc/delay.h` says how it comes that nothing on the way can
change the load.
"""

from __future__ import annotations

import os
import random
import socket
from dataclasses import dataclass

from bench.endpoint import family_of
from bench.errors import CannotMeasure
from bench.native.delay import (
    Arrivals,
    Arrived,
    Histograms,
    Paced,
    Rhythm,
    Schedule,
    receive_paced,
    send_paced,
)
from bench.native.traffic import Sent, Tally
from bench.percentiles import SLICES, Counts
from bench.probes.ahead import cleared, ends, hold
from bench.probes.base import Path, client, server
from bench.probes.echo import PAYLOAD
from bench.probes.flow import settle
from bench.process import Send

PATIENCE = 1.0
"""Seconds behind its schedule after which a sender gives up."""
_PORT = 7012
_BUFFER = 1 << 20
_START_TIMEOUT = 5.0
_MARGIN = 5.0
_PIECE_NS, _REST_NS = 400_000_000, 100_000_000
"""A sender that spins lets nobody else on its CPU. After most of a second the kernel makes room for
them, for 50 ms: better before that, and when nothing is due."""
RESTS = _REST_NS / _PIECE_NS
"""By how much of itself a stream is longer for them."""


@dataclass(frozen=True)
class Offer:
    """What is to be sent.

    rate: datagrams a second, at Poisson's distances or equal ones, drawn from `seed`.
    """

    rate: float
    count: int
    poisson: bool
    sleeps: bool
    seed: int

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.count / self.rate * (1 + RESTS)


@dataclass(frozen=True)
class Found:
    """What became of an offer.

    first: whether the ends went before all else on their CPUs. intended, actual: slice by slice.
    """

    offer: Offer
    sent: Sent
    arrived: Arrived
    first: bool
    lateness: Counts
    intended: tuple[Counts, ...]
    actual: tuple[Counts, ...]


def offer(path: Path, wanted: Offer) -> Found:
    """Send on `path` what is wanted, and receive it. Raises CannotMeasure."""
    seed, stream_id = random.getrandbits(64), random.getrandbits(32)
    sent, arrived, lateness = Tally(Sent), Tally(Arrived), Histograms()
    intended, actual = Histograms(SLICES), Histograms(SLICES)
    address, cpus = (path.server_address, _PORT), ends()
    stop = os.eventfd(0)

    def receive(report: Send) -> dict[str, bool]:
        hold(cpus[1])
        with socket.socket(family_of(address[0]), socket.SOCK_DGRAM) as sock:
            sock.bind(address)
            report({"ready": True})
            expected = Arrivals(seed, stream_id, PAYLOAD, wanted.count, _BUFFER, slices=SLICES)
            receive_paced(sock.fileno(), expected, arrived, intended, actual, stop)
        return {"done": True}

    def send(_: Send) -> dict[str, bool]:
        first = hold(cpus[0])
        rhythm = Rhythm(wanted.rate, wanted.poisson, wanted.seed, _PIECE_NS, _REST_NS)
        schedule = Schedule(wanted.count, rhythm)
        patience = round(PATIENCE * 1e9)
        paced = Paced(seed, stream_id, PAYLOAD, sleeps=wanted.sleeps, patience_ns=patience)
        with socket.socket(family_of(address[0]), socket.SOCK_DGRAM) as sock:
            sock.connect(address)
            send_paced(sock.fileno(), paced, schedule, sent, lateness, os.eventfd(0))
        return {"first": first}

    try:
        with cleared(path), server(path, "receiver", receive, [stop]) as receiver:
            receiver.receive(_START_TIMEOUT)
            with client(path, "paced sender", send) as sender:
                told = sender.receive(2 * wanted.seconds + PATIENCE + _MARGIN)
            settle(sent, arrived)
            os.eventfd_write(stop, 1)
            receiver.receive(_MARGIN)
    finally:
        os.close(stop)
    if arrived.read().unique == 0:
        raise CannotMeasure(f"{path.server.host}: nothing of what was sent arrived")
    slices = range(SLICES)
    return Found(
        wanted,
        sent.read(),
        arrived.read(),
        told["first"],
        lateness.read(),
        tuple(intended.read(index) for index in slices),
        tuple(actual.read(index) for index in slices),
    )
