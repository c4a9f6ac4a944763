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
from bench.search.model import APART, LOWEST, Options, Trial
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
_PAUSE, _LOOK = 0.01, 0.02
"""Seconds to sleep, and then to look how near the cores of both ends are, until they are near."""
_LOOKS = 5
"""Times to look before the first trial, when it is not known how near they can be."""
_WAITING = 5.0
"""Seconds to wait for that in all."""


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
    transfer_ns: int = 0,
) -> Stream:
    """What the sender sends.

    segments: 0, or how many datagrams it hands over at once. pace_ns, transfer_ns: what the
        witnesses usually take.
    """
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
        transfer_ns=transfer_ns,
    )


@dataclass
class Witness:
    """What tells of an end's core; see csrc/pace.h and csrc/transfer.h.

    usual_ns: the least that it took so far; 0: no trial yet.
    """

    usual_ns: int = 0

    def slow(self, pace: Pace) -> float:
        """Share of a trial in which it took longer than that."""
        if pace.samples and pace.least_ns < (self.usual_ns or pace.least_ns + 1):
            self.usual_ns = pace.least_ns
        return pace.slow / pace.samples if pace.samples else 0.0


@dataclass
class Tester:
    """Carries out trials. Use through `ready_for_trials`.

    sending, receiving, between: whether these cores were their ends' alone, and near each other.
    waiting: seconds that may still go to having them come together.
    """

    path: Path
    flow: Flow
    sent: Tally[Sent]
    received: Tally[Received]
    before: losses.Counts
    streams: int = 0
    sending: Witness = field(default_factory=Witness)
    receiving: Witness = field(default_factory=Witness)
    between: Witness = field(default_factory=Witness)
    waiting: float = _WAITING
    _apart: bool = False

    @property
    def realtime(self) -> bool:
        """Whether the sender goes before all else on its CPU."""
        return self.flow.sender.ahead

    def run(self, rate: float, seconds: float) -> Trial:
        """Offer `rate` datagrams a second for some seconds. Raises CannotMeasure.

        Where the cores were apart at the last trial, not before they are together again, if that
        can be.
        """
        if self._apart:
            self._come_together()
        trial = self._try(rate, seconds)
        self._apart = trial.apart > APART
        return trial

    def learn(self) -> None:
        """Learn how near to each other the cores of both ends can be."""
        for _ in range(_LOOKS):
            self._look()

    def _come_together(self) -> None:
        """Sleep and wake until the cores are near each other, or there was enough waiting.

        A hypervisor leaves CPUs that are busy where they are, for seconds; one that wakes up it
        places anew, near the one that woke it if it can.
        """
        begin = time.monotonic()
        while time.monotonic() - begin < self.waiting and self._look().apart > APART:
            pass
        self.waiting -= time.monotonic() - begin

    def _look(self) -> Trial:
        time.sleep(_PAUSE)
        return self._try(LOWEST, _LOOK)

    def _try(self, rate: float, seconds: float) -> Trial:
        self.sent.clear()
        self.received.clear()
        self.streams += 1
        dropped = self.flow.drops()  # the sink's own count may begin when packets come already
        self.flow.begin(id=self.streams, pace_ns=self.receiving.usual_ns)
        usual = {"pace_ns": self.sending.usual_ns, "transfer_ns": self.between.usual_ns}
        stream = {"rate": rate, "seconds": seconds, **usual}
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
            shared=max(self.sending.slow(sent.pace), self.receiving.slow(received.pace)),
            apart=self.between.slow(sent.transfer),
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
            traffic.send(fd, stream, sent, stop, turns, received)
        except OSError as error:
            if not segments or error.errno not in (errno.EIO, errno.EINVAL):
                raise
            can_gather = False  # not here: an old kernel, or a datagram above the MTU
            alone = stream_of(options, size, 0, seed=seed, **order)
            traffic.send(fd, alone, sent, stop, turns, received)

    connected: Connected = "neither" if destinations else "both"
    with cut_before_device(path) as cut:
        can_gather = can_gather and cut
        with flowing(forth(path), send, receive, connected=connected, ahead=True) as flow:
            tester = Tester(path, flow, sent, received, before=losses.count(path))
            tester.learn()
            yield tester


def _sleep_until(moment: float) -> None:
    left = moment - time.monotonic()
    if left > 0:
        time.sleep(left)
