"""The canary: the same small measurement before each block, which no path has a part in.

Where it changes, the machine did: its clock rate, its neighbours, what its hypervisor gives it.
It takes part in no comparison; it says how far two sessions can be compared at all.
"""

from __future__ import annotations

import os
import socket
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench import native
from bench.native import canary as c
from bench.pingpong import PAYLOAD, ROUND_TIMEOUT
from bench.probes.echo import quiet_cpu
from bench.process import Send, spawn

SECONDS = 0.3
"""What one takes, roughly."""
_VALUES = 9
_VALUE = 0.007
"""Seconds of each value."""
_COPY = 8 << 20
"""Bytes: two buffers of this size are larger than the caches that a core has for itself."""
_TIMEOUT = 20.0


def sing() -> dict[str, float]:
    """Measure every part now, on one CPU; what could not be measured is left out.

    Raises CannotMeasure where the child that does it dies.
    """
    with spawn("canary", _sing) as child:
        return child.receive(_TIMEOUT)


def _sing(_: Send) -> dict[str, float]:
    os.sched_setaffinity(0, {quiet_cpu()})
    found = {}
    for name, measure in _PARTS.items():
        try:
            found[name] = measure()
        except OSError:  # of this child alone: it has no right to a namespace, or no memory
            continue
    return found


def _typical(run: Callable[[int], float]) -> float:
    """Seconds of one turn of `run`, which is given a number of turns: the median of some values.

    Not the lowest, which is what the machine can do at its best: what it does is wanted.
    """
    turns = 1
    while (seconds := run(turns)) < _VALUE / 2:
        turns *= 2
    turns = max(1, round(turns * _VALUE / seconds))
    return statistics.median(run(turns) / turns for _ in range(_VALUES))


def _memcpy() -> float:
    return _COPY / _typical(lambda turns: c.copies(_COPY, turns))


def _system_call() -> float:
    return _typical(c.calls)


def _loopback() -> float:
    """A round trip between two processes on this CPU, in a namespace without anyone's rules."""
    native.unshare(native.CLONE_NEWNET)
    native.set_up("lo")
    with _echo() as sock:
        return _typical(lambda turns: native.ping(sock.fileno(), PAYLOAD, turns, ROUND_TIMEOUT))


@contextmanager
def _echo() -> Iterator[socket.socket]:
    """A socket connected to an echo server."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
    ):
        there.bind(("127.0.0.1", 0))
        here.connect(there.getsockname())

        def serve(_: Send) -> None:
            native.pong(there.fileno(), os.eventfd(0))

        with spawn("canary's echo", serve, keep=[there.fileno()]):
            yield here


_PARTS: dict[str, Callable[[], float]] = {
    "memcpy": _memcpy,
    "system_call": _system_call,
    "loopback": _loopback,
}
"""Its parts by the names they are recorded under, in SI units: byte/s, s, s."""
