"""Keeping the ends of a path's traffic apart from each other, and ahead of what else runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bench.probes.base import Path


def ends() -> tuple[int, int]:
    """The CPUs of sender and receiver: the first and the last, two where there are two.

    Left to the scheduler, some trials would have both on one CPU, which is another measurement;
    so would be neighbours, which are often two threads of one core.
    """
    cpus = os.sched_getaffinity(0)
    return min(cpus), max(cpus)


def shared_cpu() -> dict[str, float]:
    """The condition that both ends and all forwarders share one CPU, where there is no other."""
    return {} if len(os.sched_getaffinity(0)) > 1 else {"one_cpu": 1.0}


def shared_cpu_warnings(path: Path) -> tuple[str, ...]:
    """What whoever reads figures that hold for that condition should know."""
    text = f"{path.name}: sender, receiver and pumps share the only CPU there is, and take turns"
    return (text,) if shared_cpu() else ()


def hold(cpu: int) -> bool:
    """Have this process keep to `cpu`, ahead of everything else there; returns whether it is.

    A sender that spins shares its CPU fairly with nobody: what is not ahead of it waits, and what
    is makes it late. So that the scheduler does not decide that anew in each trial, nothing is,
    where that is permitted. With one CPU for all, whoever moves the packets would starve.
    """
    several = not shared_cpu()
    os.sched_setaffinity(0, {cpu})
    with suppress(OSError):
        if several:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return os.sched_getscheduler(0) == os.SCHED_FIFO


@contextmanager
def cleared(path: Path) -> Iterator[None]:
    """Keep the forwarders of `path` off the CPU of its sender, where there is another one.

    A pump that waits there, behind a sender that spins ahead of all, stands still: the scheduler
    moves it away only now and then, and in some trials not at all.
    """
    before: dict[int, set[int]] = {}
    try:
        for thread in _threads(path):
            with suppress(OSError):  # it has just ended
                before[thread] = os.sched_getaffinity(thread)
                os.sched_setaffinity(thread, before[thread] - {ends()[0]} or before[thread])
        yield
    finally:
        for thread, cpus in before.items():
            with suppress(OSError):
                os.sched_setaffinity(thread, cpus)


def _threads(path: Path) -> Iterator[int]:
    for forwarder in path.forwarders:
        with suppress(OSError):
            yield from map(int, os.listdir(f"/proc/{forwarder.child.pid}/task"))
