"""The network interface of a virtual machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.devices.base import Device, Fail, Place
from bench.devices.step import Net, Step


class Nic(Device, frozen=True, kw_only=True, tag="nic"):
    """The interface of a guest, whose other side is the hypervisor: a forwarder."""

    can_be_port = False

    def check(self, at: Place, fail: Fail) -> None:
        if len(at.host.devices) > 1 or at.host.forwarding:
            raise fail(at.key, "a guest has one nic and nothing else, and forwards nothing")

    def create(self, at: Place) -> Iterable[Step]:
        yield SetMtu(at.ref.host, at.ref.device, self.mtu)


@dataclass(frozen=True)
class SetMtu(Step):
    """Say how large a packet of a device may be that is there already."""

    name: str
    mtu: int

    def apply(self, net: Net) -> None:
        net.netlink(self.host).link("set", index=net.index(self.host, self.name), mtu=self.mtu)

    def command(self) -> str:
        return f"ip -n {self.host} link set {self.name} mtu {self.mtu}"
