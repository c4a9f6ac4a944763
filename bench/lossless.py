"""The highest packet rate that a path carries without loss, found by bisection.

A stand-in for a search by RFC 9971: few short trials, no model of how loss depends on load. What
calls it should depend on `lossless_rate` alone.

A trial counts as passed when no more than `goal` of the datagrams are missing *and* the last has
arrived soon after it was sent: otherwise a queue that only fills, too slowly to overflow within
the trial, would pass for a rate.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from bench.endpoint import family_of
from bench.errors import CannotMeasure
from bench.native import traffic
from bench.native.traffic import Received, Sent, Sink, Stream, Tally
from bench.probes.base import Path, client, server
from bench.process import Send

_PORT = 7008
_START_TIMEOUT = 5.0
_MARGIN = 5.0
_IDLE_MS = 150
"""Silence after which a stream is over; a scheduler may hold back a forwarder for a while."""
_DRAIN = 0.05
"""Share of a trial's length within which the last datagram must have arrived after its end."""
_RISE, _FALL = 1.5, 0.6
"""Factors of the rate while a passed and a failed one are sought that enclose the answer."""
_SENDER_LIMIT = 0.9
"""Share of the asked rate below which the sender, not the path, sets the limit."""


@dataclass(frozen=True)
class Trial:
    """One rate that was tried.

    asked, offered: datagrams a second; asked is 0 where the sender went as fast as it could.
    at_socket: of the `lost`, those the receiver's own socket dropped.
    drain: seconds from the last datagram's sending to its arrival.
    """

    asked: float
    offered: float
    sent: int
    received: int
    lost: int
    at_socket: int
    drain: float
    passed: bool


@dataclass(frozen=True)
class LosslessRate:
    """What a search found.

    rate: datagrams a second that were offered and carried in every confirming trial.
    sender_limited: whether the path might carry more than the sender could offer.
    """

    rate: float
    sender_limited: bool
    trials: tuple[Trial, ...]


def lossless_rate(
    path: Path,
    *,
    size: int = 64,
    goal: float = 0.0,
    seconds: float = 0.5,
    precision: float = 0.05,
    confirmations: int = 2,
    max_trials: int = 30,
    buffer: int = 1 << 20,
    batch: int = 32,
    segments: int = 0,
    cpus: tuple[int, int] | None = None,
    destinations: tuple[str, ...] = (),
) -> LosslessRate:
    """Search the highest rate of `size`-byte payloads that `path` carries from client to server.

    goal: share of datagrams that may be lost. precision: relative, of the rate.
    confirmations: trials that must pass at the rate found, besides the one that found it.
    buffer: bytes of socket buffer at the receiver. segments: see `traffic.Stream`.
    cpus: those that sender and receiver are bound to; None: the scheduler's choice.
    destinations: addresses that take turns, all of which must lead to the server; none: its own.
    Raises CannotMeasure, also where no rate passed within `max_trials`.
    """
    options = _Options(size, seconds, buffer, batch, segments, cpus, destinations)

    def attempt(rate: float) -> Trial:
        return _try(path, rate, goal, options)

    return search(attempt, precision, confirmations, max_trials)


@dataclass(frozen=True)
class _Options:
    size: int
    seconds: float
    buffer: int
    batch: int
    segments: int
    cpus: tuple[int, int] | None
    destinations: tuple[str, ...]


@dataclass
class _Budget:
    """The trials so far, and no more than `limit` of them."""

    attempt: Callable[[float], Trial]
    limit: int
    trials: list[Trial] = field(default_factory=list)

    def run(self, rate: float) -> Trial | None:
        """Try `rate`; None when the budget is spent."""
        if len(self.trials) >= self.limit:
            return None
        self.trials.append(self.attempt(rate))
        return self.trials[-1]


def search(
    attempt: Callable[[float], Trial], precision: float, confirmations: int, max_trials: int
) -> LosslessRate:
    """Find the highest rate at which `attempt` passes and passes again. Raises CannotMeasure.

    The first trial is a flood (rate 0): what arrives of it says where to begin. Where the highest
    rate that passed once does not pass again, the answer may be too low by more than `precision`.
    """
    budget = _Budget(attempt, max_trials)
    flood = budget.run(0)
    if flood is None or flood.received == 0:
        raise CannotMeasure("packet rate: nothing of what was sent arrived")
    low, high = _enclose(budget, flood.offered * flood.received / flood.sent)
    found = _bisect(budget, low, high, precision) if low else None
    step = precision
    while found is not None:
        confirmed = _confirm(budget, found, confirmations)
        if confirmed:
            limited = found.offered < _SENDER_LIMIT * found.asked
            return LosslessRate(min(t.offered for t in confirmed), limited, tuple(budget.trials))
        # Near its limit a path loses a little now and then: go down by more each time.
        found = _descend(budget, found.asked, 1 / (1 + step))
        step *= 2
    raise CannotMeasure(
        f"packet rate: no rate passed and was confirmed in {len(budget.trials)} trials, "
        f"the lowest at {min(t.asked for t in budget.trials[1:]):.0f} packet/s"
    )


def _enclose(budget: _Budget, rate: float) -> tuple[Trial | None, float]:
    """The highest trial that passed on the way up or down from `rate`, and a rate that is too high.

    A rate that the sender cannot follow is too high, too.
    """
    passed: Trial | None = None
    while (trial := budget.run(rate)) is not None and trial.passed:
        passed = trial
        if trial.offered < _SENDER_LIMIT * rate:
            return passed, rate
        rate *= _RISE
    if passed is not None:
        return passed, rate
    return _descend(budget, rate, _FALL), rate


def _descend(budget: _Budget, rate: float, factor: float) -> Trial | None:
    """The first trial that passes below `rate`, going down by `factor` each time."""
    while (trial := budget.run(rate := rate * factor)) is not None:
        if trial.passed:
            return trial
    return None


def _bisect(budget: _Budget, low: Trial, high: float, precision: float) -> Trial:
    """The highest trial found to pass between `low` and `high`."""
    while low.offered >= _SENDER_LIMIT * low.asked and high > low.asked * (1 + precision):
        rate = (low.asked * high) ** 0.5
        trial = budget.run(rate)
        if trial is None:
            break
        if trial.passed:
            low = trial
        else:
            high = rate
    return low


def _confirm(budget: _Budget, found: Trial, confirmations: int) -> list[Trial]:
    """`found` and its confirmations; nothing if one of these did not pass."""
    trials = [found]
    for _ in range(confirmations):
        trial = budget.run(found.asked)
        if trial is None or not trial.passed:
            return []
        trials.append(trial)
    return trials


# ---- one trial ----------------------------------------------------------------------------------


def _try(path: Path, rate: float, goal: float, options: _Options) -> Trial:
    """Offer `rate` for a while and count what arrives."""
    seed, stream_id = random.getrandbits(64), random.getrandbits(32)
    sent, received = Tally(Sent), Tally(Received)
    address = (path.server_address, _PORT)

    def receive(report: Send) -> dict[str, bool]:
        if options.cpus:
            os.sched_setaffinity(0, {options.cpus[1]})
        with socket.socket(family_of(address[0]), socket.SOCK_DGRAM) as sock:
            sock.bind(("", _PORT) if options.destinations else address)
            report({"ready": True})
            expected = Sink(seed, stream_id, options.size, options.buffer, _IDLE_MS)
            traffic.sink(sock.fileno(), expected, received, os.eventfd(0))
        return {"done": True}

    def offer(_: Send) -> dict[str, bool]:
        if options.cpus:
            os.sched_setaffinity(0, {options.cpus[0]})
        stream = Stream(
            seed,
            stream_id,
            options.size,
            segments=options.segments,
            batch=options.batch,
            burst=max(64, options.batch * max(1, options.segments)),
            rate=rate,
            seconds=options.seconds,
        )
        with socket.socket(family_of(address[0]), socket.SOCK_DGRAM) as sock:
            turns = [(destination, _PORT) for destination in options.destinations]
            if not turns:
                sock.connect(address)
            # A path that stalls for longer than the sink waits fails the trial, not the search.
            with suppress(ConnectionRefusedError):
                traffic.send(sock.fileno(), stream, sent, os.eventfd(0), turns)
        return {"done": True}

    with server(path, "sink", receive) as receiver:
        receiver.receive(_START_TIMEOUT)
        with client(path, "generator", offer) as sender:
            sender.receive(options.seconds + _MARGIN)
        if received.read().packets:  # else it waits for the first one still
            receiver.receive(_MARGIN)
    return _judge(rate, sent.read(), received.read(), goal, options.seconds)


def _judge(rate: float, sent: Sent, received: Received, goal: float, seconds: float) -> Trial:
    lost = sent.packets - received.unique
    drain = max(0.0, (received.last_ns - sent.end_ns) / 1e9)
    return Trial(
        asked=rate,
        offered=sent.rate,
        sent=sent.packets,
        received=received.unique,
        lost=lost,
        at_socket=received.drops,
        drain=drain,
        passed=sent.packets > 0 and lost <= goal * sent.packets and drain <= _DRAIN * seconds,
    )
