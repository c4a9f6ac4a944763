"""One trial after the other on a path: a rate offered for a while, and what arrived of it.

The two processes stay for the whole search, so a trial of an eighth of a second does not cost more
to prepare than to carry out. They are bound to different CPUs, where there are two: the sender
spins between datagrams and would be in the receiver's way. The receiver naps instead of waiting on
its socket (csrc/sink.c says why). Both sockets are connected, as those of iperf3 are.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.native import traffic
from bench.native.traffic import Pace, Received, Sent, Sink, Stream, Tally
from bench.probes.base import Path
from bench.probes.flow import Connected, Flow, Order, flowing, forth, settle
from bench.search import losses
from bench.search.model import Options, Trial
from bench.search.single import cut_before_device, gathered

_NAP_US = 100
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
    flow: Flow
    sent: Tally[Sent]
    received: Tally[Received]
    before: losses.Counts
    streams: int = 0
    sending: Witness = field(default_factory=Witness)
    receiving: Witness = field(default_factory=Witness)

    @property
    def realtime(self) -> bool:
        """Whether the sender goes before all else on its CPU."""
        return self.flow.sender.ahead

    def run(self, rate: float, seconds: float) -> Trial:
        """Offer `rate` datagrams a second for some seconds. Raises CannotMeasure."""
        self.sent.clear()
        self.received.clear()
        self.streams += 1
        dropped = self.flow.drops()  # the sink's own count may begin when packets come already
        self.flow.begin(id=self.streams, pace_ns=self.receiving.usual_ns)
        stream = {"rate": rate, "seconds": seconds, "pace_ns": self.sending.usual_ns}
        self.flow.send(seconds, id=self.streams, port=self.flow.port, **stream)
        sent = self.sent.read()
        _sleep_until(sent.end_ns / 1e9 + _DRAIN * seconds)
        in_time = self.received.read().unique
        settle(self.sent, self.received, quiet=_QUIET, patience=_PATIENCE, dropped=self._dropped)
        self.flow.end()
        dropped = self.flow.drops() - dropped & 0xFFFFFFFF
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
    can_gather = not destinations

    def receive(fd: int, stop: int, order: Order) -> None:
        pace_ns = order["pace_ns"]
        expected = Sink(seed, order["id"], size, options.buffer, nap_us=_NAP_US, pace_ns=pace_ns)
        traffic.sink(fd, expected, received, stop)

    def send(fd: int, stop: int, order: Order) -> None:
        nonlocal can_gather
        port = order.pop("port")
        turns = [(destination, port) for destination in destinations]
        segments = gathered(order["rate"], size, options.gather if can_gather else 0.0)
        stream = stream_of(options, size, segments, seed=seed, **order)
        try:
            traffic.send(fd, stream, sent, stop, turns)
        except OSError as error:
            if not segments or error.errno not in (errno.EIO, errno.EINVAL):
                raise
            can_gather = False  # not here: an old kernel, or a datagram above the MTU
            alone = stream_of(options, size, 0, seed=seed, **order)
            traffic.send(fd, alone, sent, stop, turns)

    connected: Connected = "neither" if destinations else "both"
    with cut_before_device(path) as cut:
        can_gather = can_gather and cut
        with flowing(forth(path), send, receive, connected=connected, ahead=True) as flow:
            yield Tester(path, flow, sent, received, before=losses.count(path))


def _sleep_until(moment: float) -> None:
    left = moment - time.monotonic()
    if left > 0:
        time.sleep(left)
