"""Streams of datagrams with Python's manners: the generator and the sink of the C extension.

What they do and count is said at `vnb_send` and `vnb_sink` in `csrc/streams.h`; the names here
are those there.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from bench._vnetbench import ffi, lib
from bench.native.calls import check
from bench.native.router import fill_address, fill_port

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

HEADER = int(lib.VNB_STREAM_HEADER)
"""Bytes of the smallest datagram."""
DATAGRAM_MAX = int(lib.VNB_DATAGRAM_MAX)
SEGMENTS_MAX = int(lib.VNB_SEGMENTS_MAX)


@dataclass(frozen=True)
class Stream:
    """What to send (struct vnb_stream).

    size: bytes of UDP payload; `segments` (0: plain) of these are handed over as one buffer, and
        the last of them has `last` bytes (0: as many as the others).
    sleeps: leave the CPU to others between two datagrams, instead of spinning for punctuality.
    count, seconds: it ends at the first that is reached; 0: no limit. rate: a second; 0: no limit.
    """

    seed: int
    id: int
    size: int
    segments: int = 0
    last: int = 0
    batch: int = 32
    burst: int = 64
    count: int = 0
    rate: float = 0.0
    seconds: float = 0.0
    verify: bool = False
    sleeps: bool = False
    pace_ns: int = 0
    transfer_ns: int = 0


@dataclass(frozen=True)
class Sink:
    """What to receive (struct vnb_sink).

    nap_us: microseconds to sleep when nothing is there; 0: be woken by the next datagram.
    """

    seed: int
    id: int
    size: int
    buffer: int = 0
    idle_ms: int = 0
    batch: int = 0
    nap_us: int = 0
    verify: bool = False
    gro: bool = False
    pace_ns: int = 0


@dataclass(frozen=True)
class Pace:
    """Whether a core was its user's alone, or how near another one was (struct vnb_pace)."""

    samples: int
    slow: int
    least_ns: int


@dataclass(frozen=True)
class Sent:
    """What was sent (struct vnb_sent)."""

    packets: int
    bytes: int
    calls: int
    forgone: int
    refused: int
    begin_ns: int
    end_ns: int
    pace: Pace
    transfer: Pace

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end_ns - self.begin_ns) / 1e9

    @property
    def rate(self) -> float:
        """Datagrams a second; 0 where none were sent."""
        return self.packets / self.seconds if self.packets else 0.0


@dataclass(frozen=True)
class Received:
    """What was received (struct vnb_received)."""

    packets: int
    bytes: int
    calls: int
    coalesced: int
    unique: int
    duplicates: int
    reordered: int
    late: int
    corrupt: int
    strange: int
    next: int
    drops: int
    buffer: int
    first_ns: int
    last_ns: int
    corrupt_sequence: int
    corrupt_size: int
    corrupt_offset: int
    pace: Pace
    naps: int

    @property
    def accounted(self) -> int:
        """Datagrams that nobody has to wait for any more: they are there, sound or not."""
        return self.unique + self.corrupt


Count = TypeVar("Count", bound="DataclassInstance")


class Tally(Generic[Count]):
    """A `Sent` or its like in the making, in memory shared with every process forked later."""

    def __init__(self, kind: type[Count]) -> None:
        self._kind = kind
        struct = f"struct vnb_{kind.__name__.lower()}"
        self._memory = mmap.mmap(-1, ffi.sizeof(struct))
        self.pointer: Any = ffi.cast(f"{struct} *", ffi.from_buffer(self._memory))
        """What C writes to, valid as long as this object lives."""

    def read(self) -> Count:
        """A copy as it stands; consistent once the writer has ended."""
        return _copy(self._kind, self.pointer)

    def clear(self) -> None:
        """Begin at nothing; while nobody writes."""
        self._memory[:] = bytes(len(self._memory))


@cache
def _members(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _copy(kind: type[Count], struct: Any) -> Count:
    """What a struct of C holds; its members are numbers, or structs of the same kind."""
    types = _members(kind)
    return kind(
        **{
            name: int(value) if isinstance(value, int) else _copy(types[name], value)
            for name in types
            for value in (getattr(struct, name),)
        }
    )


def send(
    fd: int,
    stream: Stream,
    tally: Tally[Sent],
    stop_fd: int,
    destinations: Sequence[tuple[str, int]] = (),
    heard: Tally[Received] | None = None,
) -> None:
    """Send `stream` on a UDP socket until it ends or `stop_fd` is readable.

    destinations: address and port of those that take turns; none: the socket is connected.
    heard: what the receiver counts meanwhile, on another core: to see how far that is.
    Raises OSError: see vnb_send.
    """
    struct = filled("struct vnb_stream *", stream)
    array = ffi.new("struct vnb_destination[]", max(1, len(destinations)))
    for entry, (address, port) in zip(array, destinations, strict=False):
        entry.ipv6 = fill_address(entry.address, ip_address(address))
        fill_port(entry, port)
    struct.destinations = array if destinations else ffi.NULL
    struct.destination_count = len(destinations)
    if heard is not None:
        struct.heard = ffi.addressof(heard.pointer, "naps")
    check(lib.vnb_send(fd, struct, tally.pointer, stop_fd))


def sink(fd: int, expected: Sink, tally: Tally[Received], stop_fd: int) -> None:
    """Receive a stream on a bound UDP socket until it is idle or `stop_fd` is readable.

    Raises OSError: see vnb_sink.
    """
    check(lib.vnb_sink(fd, filled("struct vnb_sink *", expected), tally.pointer, stop_fd))


def filled(kind: str, values: DataclassInstance) -> Any:
    """A struct of which the members that `values` has are as there; for this package."""
    struct = ffi.new(kind)
    for field in fields(values):
        setattr(struct, field.name, getattr(values, field.name))
    return struct
