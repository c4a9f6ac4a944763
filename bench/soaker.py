"""How much CPU time the whole machine uses, softirqs included: a soaker on every CPU.

What the soakers do not get, somebody has used (`csrc/soaker.c` says why not the kernel's own
accounts). Their full speed is found out on the spot, before and after what is measured, while
nothing else of ours runs: so what the machine does anyway is taken off as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from bench.errors import CannotMeasure
from bench.native.soaker import Pieces
from bench.process import Send, spawn

_START_TIMEOUT = 5.0
_STEADY = 0.05
"""How far a CPU's idle windows may differ, as a share of its full speed, in a quiet machine."""

Result = TypeVar("Result")


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


class Disturbed(CannotMeasure):
    """Somebody else was busy meanwhile: try again."""


class Account:
    """What the machine spends on something, told by the idle windows around it.

    Call `rest` at least once before and once after what `during` is given, with everything that
    will be there in place.
    """

    def __init__(self, soaker: Soaker, idle: float) -> None:
        """idle: seconds of a rest."""
        self._soaker, self._seconds = soaker, idle
        self._rests: list[tuple[Mark, Mark]] = []
        self._window: tuple[Mark, Mark] | None = None

    def rest(self) -> None:
        """Let an idle window pass."""
        self._rests.append(self._soaker.watch(self._seconds))

    def during(self, run: Callable[[], Result]) -> Result:
        """Run what is to be accounted for."""
        begin = self._soaker.mark()
        result = run()
        self._window = begin, self._soaker.mark()
        return result

    def used(self) -> float:
        """CPU seconds spent. Raises Disturbed where others were busy: see `unrest`."""
        assert self._window is not None, "nothing has been run"  # noqa: S101
        if (differ := unrest(*self._rests)) > _STEADY:
            raise Disturbed(
                f"something else is busy on this machine: two idle windows differ by {differ:.0%} "
                "of a CPU"
            )
        spent = used(self._window, *self._rests)
        if spent <= 0:
            raise Disturbed("something else is busy on this machine: more than the traffic is")
        return spent


def unrest(*idle: tuple[Mark, Mark]) -> float:
    """How far the fastest and the slowest of `idle` are apart, as a share, on the worst CPU.

    On a machine with nothing else to do they are alike; what somebody else spends in one of them
    and not in the others would be taken for the traffic's.
    """
    worst = 0.0
    for cpu in range(len(idle[0][0].pieces)):
        speeds = [(b.pieces[cpu] - a.pieces[cpu]) / (b.ns - a.ns) for a, b in idle]
        worst = max(worst, (1 - min(speeds) / max(speeds)) if max(speeds) else 1.0)
    return worst


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
