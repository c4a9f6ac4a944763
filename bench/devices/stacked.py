"""Devices on top of another: they send through it, and get what it receives for their address."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bench.devices.base import Device, DeviceRef, Fail, Place, parse_ref
from bench.devices.pair import Veth
from bench.devices.reading import devices, read_device
from bench.devices.step import Net, Step

_NEW = "vnbnew"
"""A device's name before it has its own."""

_IPVLAN_MODES = {"l2": 0, "l3": 1}


class Stacked(Device, frozen=True, kw_only=True):
    """A device on top of `parent`, `host:device`, in the namespace of its own host.

    Those on one parent reach each other without it. The parent's host does not reach them.
    """

    parent: str

    can_be_port = False
    segments_always = True

    def lower(self) -> DeviceRef:
        """The device it is on top of."""
        return parse_ref(self.parent)

    def leaves(self) -> bool:
        """Whether it also exchanges frames with what the parent is linked to."""
        return True

    @abstractmethod
    def fits(self, other: Stacked) -> bool:
        """Whether the kernel has `other` on top of the same parent."""

    def check(self, at: Place, fail: Fail) -> None:
        key = f"{at.key}.parent"
        lower = read_device(self.parent, Veth, key, at.scenario, fail)
        if self.mtu > at.scenario.device(lower).mtu:
            mtu = at.scenario.device(lower).mtu
            raise fail(f"{at.key}.mtu", f"expected at most {mtu}, as {lower} has")
        for ref, device in devices(at.scenario):
            if ref.host == lower.host and lower.device in getattr(device, "ports", ()):
                raise fail(key, f"{lower} is a port of {ref}; expected a device that is none")
            stacked = isinstance(device, Stacked) and device.parent == self.parent
            if stacked and isinstance(device, Stacked) and not self.fits(device):
                raise fail(key, f"{ref} is on {lower} as well, and of another kind or mode")


class Macvlan(Stacked, frozen=True, kw_only=True, tag="macvlan"):
    """A device with a MAC address of its own, in bridge mode."""

    def fits(self, other: Stacked) -> bool:
        return isinstance(other, Macvlan)

    def create(self, at: Place) -> Iterable[Step]:
        yield _add(at, self, "macvlan", "bridge", at.mac)


class Ipvlan(Stacked, frozen=True, kw_only=True, tag="ipvlan"):
    """A device that has the parent's MAC address and is told apart by IP address.

    mode: l2: its namespace finds out whom to send frames to. l3: it sends IP packets, and those
    for others than the devices on the same parent would be routed by the parent's host.
    """

    mode: Literal["l2", "l3"] = "l2"

    def leaves(self) -> bool:
        return self.mode == "l2"

    def fits(self, other: Stacked) -> bool:
        return isinstance(other, Ipvlan) and other.mode == self.mode

    def create(self, at: Place) -> Iterable[Step]:
        yield _add(at, self, "ipvlan", self.mode, None)


def _add(at: Place, device: Stacked, kind: str, mode: str, mac: str | None) -> Step:
    lower = device.lower()
    return AddStacked(
        lower.host, lower.device, at.ref.host, at.ref.device, kind, mode, mac, device.mtu
    )


@dataclass(frozen=True)
class AddStacked(Step):
    """Create a device on top of `parent`, in the namespace of host `to`.

    It gets its name there: older kernels do not create one under a name that is taken in the
    parent's namespace.
    """

    parent: str
    to: str
    name: str
    kind: str
    mode: str
    mac: str | None
    mtu: int

    @property
    def needs(self) -> str:
        return f"{self.kind} devices (CONFIG_{self.kind.upper()})"

    def apply(self, net: Net) -> None:
        settings = {"address": self.mac} if self.mac else {}
        net.netlink(self.host).link(
            "add",
            kind=self.kind,
            ifname=_NEW,
            link=net.index(self.host, self.parent),
            mtu=self.mtu,
            net_ns_fd=net.netns(self.to),
            **{f"{self.kind}_mode": _IPVLAN_MODES.get(self.mode, self.mode)},
            **settings,
        )
        there = net.netlink(self.to)
        there.link("set", index=there.link_lookup(ifname=_NEW)[0], ifname=self.name)

    def command(self) -> str:
        address = f"address {self.mac} " if self.mac else ""
        return (
            f"ip -n {self.host} link add link {self.parent} name {_NEW} {address}"
            f"mtu {self.mtu} netns {self.to} type {self.kind} mode {self.mode} && "
            f"ip -n {self.to} link set {_NEW} name {self.name}"
        )
