"""Events counted on every CPU, whoever they happen to: instructions and cycles where it can be.

A virtual machine often lends its guests no performance-monitoring unit, and an ordinary user may
not look at whole CPUs. Then there is nothing to be counted, and the reason is said.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from bench.errors import MissingCapability
from bench.native.meter import Event, Meter, Reading

_PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")


class Meters:
    """An event's meters on all CPUs; use through `metering`."""

    def __init__(self, each: Sequence[Meter]) -> None:
        self._each = each

    def read(self) -> tuple[Reading, ...]:
        """What each of them shows now."""
        return tuple(meter.read() for meter in self._each)


@contextmanager
def metering(event: Event) -> Iterator[Meters]:
    """Count `event` on every CPU that this process may use, for the length of a `with` block.

    Raises MissingCapability where it cannot be counted.
    """
    with ExitStack() as stack:
        try:
            each = [
                stack.enter_context(closing(Meter(event, cpu)))
                for cpu in sorted(os.sched_getaffinity(0))
            ]
        except OSError as error:
            raise MissingCapability(_reason(error)) from None
        yield Meters(each)


def counted(begin: Sequence[Reading], end: Sequence[Reading]) -> float:
    """How often the event came between two readings of all CPUs.

    Where events took turns on a CPU's counters, what was seen stands for the rest of the time.
    Raises MissingCapability where one never had its turn.
    """
    total = 0.0
    for before, after in zip(begin, end, strict=True):
        enabled = after.enabled_ns - before.enabled_ns
        running = after.running_ns - before.running_ns
        if enabled and not running:
            raise MissingCapability("all of the processor's counters are taken by somebody else")
        total += (after.count - before.count) * (enabled / running if running else 1)
    return total


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
        return "no PMU here counts it: many virtual machines have none"
    if error.errno in (errno.EACCES, errno.EPERM):
        level = _PARANOID.read_text().strip() if _PARANOID.exists() else "unknown"
        return f"not permitted: perf_event_paranoid is {level}; root may"
    if error.errno == errno.ENOSYS:
        return "the kernel is without perf events"
    return f"perf_event_open: {error.strerror}"
