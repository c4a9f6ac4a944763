"""Keeping the ends of a path's traffic apart from each other, and ahead of what else runs."""

from __future__ import annotations

import os
from contextlib import suppress


def ends() -> tuple[int, int]:
    """The CPUs of sender and receiver: the first and the last, two where there are two.

    Left to the scheduler, some trials would have both on one CPU, which is another measurement;
    so would be neighbours, which are often two threads of one core.
    """
    cpus = os.sched_getaffinity(0)
    return min(cpus), max(cpus)


def hold(cpu: int) -> bool:
    """Have this process keep to `cpu`, ahead of everything else there; returns whether it is.

    A sender that spins shares its CPU fairly with nobody: what is not ahead of it waits, and what
    is makes it late. So that the scheduler does not decide that anew in each trial, nothing is,
    where that is permitted. With one CPU for all, whoever moves the packets would starve.
    """
    several = len(os.sched_getaffinity(0)) > 1
    os.sched_setaffinity(0, {cpu})
    with suppress(OSError):
        if several:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return os.sched_getscheduler(0) == os.SCHED_FIFO
