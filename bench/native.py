"""The C extension with Python's manners: types, and OSError instead of -errno.

The only module that touches `bench._vnetbench`; the contracts stand in `csrc/vnetbench.h`.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from bench._vnetbench import ffi, lib

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


class PortKind(IntEnum):
    """What a port's descriptor is (enum vnb_port_kind)."""

    TUN = lib.VNB_PORT_TUN
    TAP = lib.VNB_PORT_TAP
    UDP = lib.VNB_PORT_UDP


@dataclass(frozen=True)
class Port:
    """An open descriptor and what it is."""

    kind: PortKind
    fd: int


Routes = Mapping[IPv4Network, tuple[IPv4Address, int]]
"""Prefix → address and UDP port of the peer that owns it."""


def unshare(flags: int) -> None:
    """unshare(2). Raises OSError."""
    _check(lib.vnb_unshare(flags))


def setns(fd: int, nstype: int = 0) -> None:
    """setns(2). Raises OSError."""
    _check(lib.vnb_setns(fd, nstype))


def die_with_parent(signal: int) -> None:
    """Have the kernel send `signal` to this process when the thread that forked it dies."""
    _check(lib.vnb_die_with_parent(signal))


def tun_open(name: str, kind: PortKind) -> int:
    """Create or attach to a tun or tap device in this namespace; returns its descriptor.

    Raises OSError: see vnb_tun_open.
    """
    return _check(lib.vnb_tun_open(os.fsencode(name), kind), name)


def ping(fd: int, size: int, rounds: int, timeout: float) -> float:
    """Seconds that `rounds` closed-loop round trips of `size`-byte datagrams took on `fd`.

    Raises OSError (TimeoutError where no echo came within `timeout` seconds).
    """
    seconds = ffi.new("double *")
    _check(lib.vnb_ping(fd, size, rounds, int(timeout * 1000), seconds))
    return float(seconds[0])


def pong(fd: int, stop_fd: int) -> None:
    """Echo every datagram on `fd` until `stop_fd` is readable. Raises OSError."""
    _check(lib.vnb_pong(fd, stop_fd))


def engines() -> list[str]:
    """Names of the loops that a pump can run."""
    return list(_names(lib.vnb_engine_name))


def compiler() -> str:
    """The compiler that built the extension, and its version."""
    return str(ffi.string(lib.vnb_compiler()).decode())


class Counters:
    """A pump's counters, in memory that is shared with every process forked later."""

    def __init__(self) -> None:
        self._names = list(_names(lib.vnb_counter_name))
        self._memory = mmap.mmap(-1, 8 * len(self._names))

    def read(self) -> dict[str, int]:
        """A copy of all counters as they stand; consistent once the pump has stopped."""
        values = struct.unpack(f"={len(self._names)}Q", self._memory[:])
        return dict(zip(self._names, values, strict=True))

    @property
    def pointer(self) -> Any:
        """What C writes to: `uint64_t *`, valid as long as this object lives."""
        return ffi.cast("uint64_t *", ffi.from_buffer(self._memory))


def pump_run(
    ports: tuple[Port, Port],
    routes: Routes,
    counters: Counters,
    stop_fd: int,
    *,
    engine: str,
    buffer_size: int,
    icmp_source: IPv4Address | None,
) -> None:
    """Move packets between `ports` until `stop_fd` is readable; the GIL is released meanwhile.

    routes: where packets from the tun go; for a pump with a UDP port only.
    buffer_size: bytes of the largest packet carried.
    icmp_source: address that ICMP errors are sent from; None: the address not reached.
    Raises OSError: see vnb_pump_run.
    """
    pump = ffi.new("struct vnb_pump *")
    for i, port in enumerate(ports):
        pump.port[i].kind, pump.port[i].fd = port.kind, port.fd
    pump.buffer_size, pump.stop_fd = buffer_size, stop_fd
    pump.icmp_source = _network_order(icmp_source) if icmp_source else 0
    table = _build_routes(routes) if routes else None
    pump.routes = table if table is not None else ffi.NULL
    _check(lib.vnb_pump_run(engine.encode(), pump, counters.pointer))


def _build_routes(routes: Routes) -> Any:
    """A routing table that C frees when the last reference to it goes."""
    array = ffi.new("struct vnb_route[]", len(routes))
    for entry, (prefix, (address, port)) in zip(array, routes.items(), strict=True):
        entry.prefix, entry.length = _network_order(prefix.network_address), prefix.prefixlen
        entry.next_hop = _network_order(address)
        entry.port = int.from_bytes(port.to_bytes(2, "big"), "little" if _LITTLE else "big")
    table = ffi.new("struct vnb_routes **")
    _check(lib.vnb_routes_new(array, len(routes), table))
    return ffi.gc(table[0], lib.vnb_routes_free)


_LITTLE = struct.pack("=H", 1) == b"\1\0"


def _network_order(address: IPv4Address) -> int:
    """The uint32_t that holds `address` in network byte order on this machine."""
    return int.from_bytes(address.packed, "little" if _LITTLE else "big")


def _names(lookup: Any) -> Iterable[str]:
    index = 0
    while (name := lookup(index)) != ffi.NULL:
        yield ffi.string(name).decode()
        index += 1


def _check(result: int, subject: str | None = None) -> int:
    if result < 0:
        raise OSError(-result, os.strerror(-result), subject)
    return result
