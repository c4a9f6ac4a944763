"""The way of a packet: its stops, and how it gets from each to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.devices import DeviceRef

Verb = Literal["sends", "receives", "reads", "writes"]


@dataclass(frozen=True)
class Stop:
    """One place that a packet comes by.

    kind: a process; the IP layer of a host; a device; or what joins devices and is none itself.
    host: None for a process that holds devices of two hosts.
    does: of the IP layer, what it does with the packet (`sends`, `forwards`, `receives`); of a
        device, whether it is handed it to be sent (`out`) or receives it (`in`).
    details: what else there is to say of it, a line each.
    """

    kind: Literal["process", "ip", "device", "join"]
    host: str | None
    name: str
    does: Literal["", "sends", "forwards", "receives", "out", "in"] = ""
    ref: DeviceRef | None = None
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Crossing:
    """A crossing of the line between user and kernel space: a system call that copies the packet.

    number: from 1, in the order of the way. ref: the device that is read or written; None where
    the process has a socket.
    """

    number: int
    process: str
    host: str | None
    verb: Verb
    ref: DeviceRef | None = None


@dataclass(frozen=True)
class Leg:
    """From one stop to the next.

    link: what joins two hosts there. tunnels: what the packet is inside of, the outermost last.
    """

    crossing: Crossing | None = None
    link: str = ""
    tunnels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Way:
    """`legs[i]` leads from `stops[i]` to the next, so there is one less of them.

    What can be counted on it is what a ledger counts of one small datagram, where each process
    moves one packet at a time.
    """

    stops: tuple[Stop, ...]
    legs: tuple[Leg, ...]

    @property
    def devices(self) -> tuple[DeviceRef, ...]:
        """The devices on it, in order."""
        return tuple(stop.ref for stop in self.stops if stop.ref is not None)

    @property
    def crossings(self) -> tuple[Crossing, ...]:
        """Each is one copy."""
        return tuple(leg.crossing for leg in self.legs if leg.crossing is not None)

    @property
    def traversals(self) -> int:
        """Passes through an IP layer."""
        return sum(stop.kind == "ip" for stop in self.stops)

    @property
    def device_hops(self) -> int:
        """Times that it is handed to a device's driver."""
        return sum(stop.does == "out" for stop in self.stops)
