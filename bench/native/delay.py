"""One-way delay with Python's manners: a paced sender and a receiver that keeps histograms.

What they do and count is said at `vnb_send_paced` and `vnb_receive_paced` in `csrc/streams.h`;
the names here are those there.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any

from bench._vnetbench import ffi, lib
from bench.native.calls import check
from bench.native.traffic import Sent, Tally, filled

BUCKETS = int(lib.VNB_BUCKETS)
HEADER = int(lib.VNB_DELAY_HEADER)
"""Bytes of the smallest datagram."""


@dataclass(frozen=True)
class Paced:
    """What to send (struct vnb_paced); when is a matter of its schedule."""

    seed: int
    id: int
    size: int
    batch: int = 32
    sleeps: bool = False
    patience_ns: int = 0


@dataclass(frozen=True)
class Arrivals:
    """What to receive (struct vnb_arrivals)."""

    seed: int
    id: int
    size: int
    count: int
    buffer: int = 0
    batch: int = 32
    slices: int = 1


@dataclass(frozen=True)
class Arrived:
    """What arrived (struct vnb_arrived)."""

    packets: int
    calls: int
    unique: int
    duplicates: int
    reordered: int
    strange: int
    next: int
    drops: int
    buffer: int
    first_ns: int
    last_ns: int

    @property
    def accounted(self) -> int:
        """Datagrams that nobody has to wait for any more."""
        return self.unique


@dataclass(frozen=True)
class Rhythm:
    """When datagrams are due (struct vnb_rhythm)."""

    rate: float
    poisson: bool
    seed: int
    piece_ns: int = 0
    rest_ns: int = 0


class Schedule:
    """When each datagram is due, in nanoseconds after the beginning."""

    def __init__(self, count: int, rhythm: Rhythm) -> None:
        """The first `count` datagrams. Raises OSError: see vnb_schedule."""
        self.count = count
        self.pointer: Any = ffi.new("int64_t[]", count)
        check(lib.vnb_schedule(self.pointer, count, filled("struct vnb_rhythm *", rhythm)))

    def due(self, number: int) -> int:
        """When datagram `number` is due."""
        return int(self.pointer[number])


class Histograms:
    """So many histograms of times in memory that is shared with every process forked later."""

    def __init__(self, slices: int = 1) -> None:
        self.slices = slices
        self._memory = mmap.mmap(-1, 4 * BUCKETS * slices)
        self.pointer: Any = ffi.cast("uint32_t *", ffi.from_buffer(self._memory))
        """What C writes to, valid as long as this object lives."""

    def read(self, index: int = 0) -> dict[int, int]:
        """Bucket → count of a histogram, of all buckets that hold something, in their order."""
        with memoryview(self._memory) as memory, memory.cast("I") as counts:
            own = counts[index * BUCKETS : (index + 1) * BUCKETS].tolist()
        return {bucket: count for bucket, count in enumerate(own) if count}


def send_paced(
    fd: int, paced: Paced, schedule: Schedule, tally: Tally[Sent], late: Histograms, stop_fd: int
) -> None:
    """Send on a connected UDP socket what `schedule` says, until it ends or `stop_fd` is readable.

    Raises OSError: see vnb_send_paced.
    """
    struct = filled("struct vnb_paced *", paced)
    struct.due_ns, struct.count, struct.late = schedule.pointer, schedule.count, late.pointer
    check(lib.vnb_send_paced(fd, struct, tally.pointer, stop_fd))


def receive_paced(
    fd: int,
    expected: Arrivals,
    tally: Tally[Arrived],
    intended: Histograms,
    actual: Histograms,
    stop_fd: int,
) -> None:
    """Receive on a bound UDP socket until all is there, or `stop_fd` is readable.

    intended, actual: take the delays from when datagrams were due and from when they were handed
        over; as many slices as `expected` has. Raises OSError: see vnb_receive_paced.
    """
    if not intended.slices == actual.slices == expected.slices:
        raise ValueError(f"{intended.slices} and {actual.slices} for {expected.slices} slices")
    struct = filled("struct vnb_arrivals *", expected)
    struct.intended, struct.actual = intended.pointer, actual.pointer
    check(lib.vnb_receive_paced(fd, struct, tally.pointer, stop_fd))


def bucket_of(ns: int) -> int:
    """The bucket in which a time is counted."""
    return int(lib.vnb_bucket(ns))


def bucket_bounds(bucket: int) -> tuple[int, int]:
    """The least time in `bucket`, and the least that is above it, in nanoseconds."""
    return int(lib.vnb_bucket_lowest(bucket)), int(lib.vnb_bucket_lowest(bucket + 1))
