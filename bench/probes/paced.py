"""A stream at times that are fixed beforehand, from one end of a path to the other.

The machinery of the delay probes; `csrc/delay.h` says how it comes that nothing on the way can
change the load.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

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
from bench.pingpong import PAYLOAD
from bench.probes.base import Path
from bench.probes.flow import Order, flowing, forth, settle

PATIENCE = 1.0
"""Seconds behind its schedule after which a sender gives up."""
_BUFFER = 1 << 20
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

    def receive(fd: int, stop: int, _: Order) -> None:
        expected = Arrivals(seed, stream_id, PAYLOAD, wanted.count, _BUFFER, slices=SLICES)
        receive_paced(fd, expected, arrived, intended, actual, stop)

    def send(fd: int, stop: int, _: Order) -> None:
        rhythm = Rhythm(wanted.rate, wanted.poisson, wanted.seed, _PIECE_NS, _REST_NS)
        schedule = Schedule(wanted.count, rhythm)
        patience = round(PATIENCE * 1e9)
        paced = Paced(seed, stream_id, PAYLOAD, sleeps=wanted.sleeps, patience_ns=patience)
        send_paced(fd, paced, schedule, sent, lateness, stop)

    with flowing(forth(path), send, receive, ahead=True) as flow:
        flow.begin()
        flow.send(wanted.seconds)
        settle(sent, arrived)
        flow.end()
    if arrived.read().unique == 0:
        raise CannotMeasure(f"{path.server.host}: nothing of what was sent arrived")
    slices = range(SLICES)
    return Found(
        wanted,
        sent.read(),
        arrived.read(),
        flow.sender.ahead,
        lateness.read(),
        tuple(intended.read(index) for index in slices),
        tuple(actual.read(index) for index in slices),
    )
