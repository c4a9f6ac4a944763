"""The pump itself: its ports, its counters, and the loop."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from bench._vnetbench import ffi, lib
from bench.native.calls import PortKind, check, entries, text
from bench.native.router import Router
from bench.native.switches import Settings, switches


@dataclass(frozen=True)
class Port:
    """An open descriptor and what it is."""

    kind: PortKind
    fd: int


class Counters:
    """A pump's counters, in memory that is shared with every process forked later."""

    def __init__(self) -> None:
        self._names = [text(name) for name in entries(lib.vnb_counter_name)]
        self._memory = mmap.mmap(-1, 8 * len(self._names))

    def read(self) -> dict[str, int]:
        """A copy of all counters as they stand; consistent once the pump has stopped."""
        values = struct.unpack(f"={len(self._names)}Q", self._memory[:])
        return dict(zip(self._names, values, strict=True))

    @property
    def pointer(self) -> Any:
        """What C writes to: `uint64_t *`, valid as long as this object lives."""
        return ffi.cast("uint64_t *", ffi.from_buffer(self._memory))


def pump_refusal(kinds: Sequence[PortKind], settings: Settings) -> str | None:
    """Why ports of these kinds and `settings` do not go together, in one line; None if they do."""
    pump = ffi.new("struct vnb_pump *")
    for port, kind in zip(pump.port, kinds, strict=True):
        port.kind = kind
    values = _as_array(settings)
    pump.settings = values
    reason = lib.vnb_pump_refusal(pump)
    return None if reason == ffi.NULL else text(reason)


def pump_run(
    ports: tuple[Port, Port],
    router: Router | None,
    counters: Counters,
    stop_fd: int,
    *,
    settings: Settings,
    buffer_size: int,
    icmp_source4: IPv4Address | None = None,
    icmp_source6: IPv6Address | None = None,
) -> None:
    """Move packets between `ports` until `stop_fd` is readable; the GIL is released meanwhile.

    router: where packets from the tun go; for a pump with a UDP port only.
    buffer_size: bytes of the largest packet carried.
    icmp_source4, icmp_source6: addresses that ICMP errors are sent from; None: the address not
        reached.
    Raises OSError: see vnb_pump_run.
    """
    pump = ffi.new("struct vnb_pump *")
    for entry, port in zip(pump.port, ports, strict=True):
        entry.kind, entry.fd = port.kind, port.fd
    pump.router = router.pointer if router is not None else ffi.NULL
    pump.buffer_size, pump.stop_fd = buffer_size, stop_fd
    for field, source in ((pump.icmp_source4, icmp_source4), (pump.icmp_source6, icmp_source6)):
        if source is not None:
            ffi.buffer(field)[:] = source.packed
    values = _as_array(settings)
    pump.settings = values
    check(lib.vnb_pump_run(pump, counters.pointer))


def _as_array(settings: Settings) -> Any:
    """A value for each switch, as C takes them; the caller keeps the array alive."""
    if unknown := settings.keys() - switches().keys():
        raise ValueError(f"no switch of the pump: {', '.join(sorted(unknown))}")
    table = switches().values()
    return ffi.new("int64_t[]", [settings.get(s.name, s.initial) for s in table])
