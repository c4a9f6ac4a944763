"""How much CPU time the whole machine uses, softirqs included: a soaker on every CPU.

What the soakers do not get, somebody has used (`csrc/soaker.c` says why not the kernel's own
accounts). Their full speed is found out on the spot, before and after what is measured, while
nothing else of ours runs: so what the machine does anyway is taken off as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.errors import CannotMeasure
from bench.native.soaker import Pieces
from bench.process import Send, spawn

_START_TIMEOUT = 5.0


@dataclass(frozen=True)
class Mark:
    """A moment: CLOCK_MONOTONIC in ns, and what each CPU's soaker had done by then."""

    ns: int
    pieces: tuple[int, ...]


class Soaker:
    """The soakers of all CPUs; use through `soaking`."""

    def __init__(self, each: Sequence[Pieces]) -> None:
        self._each = each

    def mark(self) -> Mark:
        """This moment."""
        return Mark(time.monotonic_ns(), tuple(pieces.read() for pieces in self._each))

    def watch(self, seconds: float) -> tuple[Mark, Mark]:
        """Let the time pass; its beginning and its end."""
        begin = self.mark()
        time.sleep(seconds)
        return begin, self.mark()


def used(window: tuple[Mark, Mark], *idle: tuple[Mark, Mark]) -> float:
    """CPU seconds that were used in `window` beyond what is used in the `idle` ones.

    All CPUs together. Raises CannotMeasure where a soaker stood still while all was idle.
    """
    begin, end = window
    seconds = 0.0
    for cpu in range(len(begin.pieces)):
        pieces = sum(b.pieces[cpu] - a.pieces[cpu] for a, b in idle)
        nanoseconds = sum(b.ns - a.ns for a, b in idle)
        if pieces == 0:
            raise CannotMeasure(f"soaker: CPU {cpu} was never idle, not even before the traffic")
        free = (end.pieces[cpu] - begin.pieces[cpu]) * nanoseconds / pieces
        seconds += (end.ns - begin.ns - free) / 1e9
    return seconds


@contextmanager
def soaking() -> Iterator[Soaker]:
    """Soak every CPU that this process may use, for the length of a `with` block."""
    each = []
    with ExitStack() as stack:
        for cpu in sorted(os.sched_getaffinity(0)):
            pieces = Pieces()

            def task(send: Send, cpu: int = cpu, pieces: Pieces = pieces) -> None:
                os.sched_setaffinity(0, {cpu})
                send({"ready": True})
                pieces.soak()

            child = stack.enter_context(spawn(f"soaker of CPU {cpu}", task))
            child.receive(_START_TIMEOUT)
            each.append(pieces)
        yield Soaker(each)
