"""macvtap: a macvlan whose other side is a process, what libvirt attaches guests to directly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench import native
from bench.devices.base import Fail, Place, parse_ref
from bench.devices.stacked import AddStacked, Macvlan
from bench.devices.step import Net, Step
from bench.devices.tuntap import queue_steps
from bench.errors import MissingCapability


class Macvtap(Macvlan, frozen=True, kw_only=True, tag="macvtap"):
    """A macvlan whose other side is a forwarder, which joins it to a guest's tap.

    It has the MAC address of that tap: it would not be given the frames for another.
    """

    def check(self, at: Place, fail: Fail) -> None:
        super().check(at, fail)
        if self.addresses:
            raise fail(f"{at.key}.addresses", "expected none: all it gets is for its forwarder")
        if self.lower().host != at.ref.host:
            raise fail(f"{at.key}.parent", f"expected a device of {at.ref.host}")

    def create(self, at: Place) -> Iterable[Step]:
        [holder] = [f for f in at.scenario.forwarders if str(at.ref) in f.devices]
        [guest] = [parse_ref(text) for text in holder.devices if text != str(at.ref)]
        mode, mac = holder.device_mode(), Place(at.scenario, guest).mac
        yield AddMacvtap(
            *(at.ref.host, self.lower().device, at.ref.host, at.ref.device, "macvtap", "bridge"),
            mac=mac,
            mtu=self.mtu,
            offload=bool(mode["tun_offload"]),
            queues=mode["queues"],
        )
        yield from queue_steps(at.ref, mode["queue_length"], 1)


@dataclass(frozen=True)
class AddMacvtap(AddStacked):
    """Create a macvtap; its descriptors are what the forwarder moves frames through.

    offload: whether they have a virtio header, and the device segmentation offload.
    """

    offload: bool
    queues: int

    def apply(self, net: Net) -> None:
        super().apply(net)
        net.enter(self.host)
        tap = native.PortKind.TAP
        for _ in range(self.queues):
            try:
                fd = native.tun_open(self.name, tap, offload=self.offload, queues=self.queues > 1)
            except PermissionError:
                raise MissingCapability(
                    f"{self.host}: {self.name} is opened through a device node, which only root "
                    "may make, and not in a user namespace"
                ) from None
            net.hold(self.host, self.name, fd)
