"""The kernel's bridge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.devices.base import Device, Fail, Name, Place
from bench.devices.reading import no_device
from bench.devices.step import Net, Step


class Bridge(Device, frozen=True, kw_only=True, tag="bridge"):
    """A learning bridge without spanning tree; `ports` are devices of the same host."""

    ports: list[Name]

    can_be_port = False

    def check(self, at: Place, fail: Fail) -> None:
        key, devices = f"{at.key}.ports", at.host.devices
        taken = _ports_before(at)
        for port in self.ports:
            device = devices.get(port)
            if device is None:
                raise fail(key, no_device(port, at.ref.host, at.host))
            if not device.can_be_port:
                raise fail(
                    key,
                    f"{port} cannot be a bridge port; expected a veth, tap, vxlan or geneve device",
                )
            if port in taken:
                raise fail(key, f"{port} is already a port of {taken[port]}")
            if device.addresses:
                raise fail(
                    key, f"{port} has addresses; a bridge port has none, the bridge has them"
                )
            taken[port] = at.ref.device

    def create(self, at: Place) -> Iterable[Step]:
        yield AddBridge(at.ref.host, at.ref.device, at.mac, self.mtu)


def _ports_before(at: Place) -> dict[str, str]:
    """The ports of the host's bridges that the file names first, each with its bridge."""
    names = list(at.host.devices)
    before = {name: at.host.devices[name] for name in names[: names.index(at.ref.device)]}
    bridges = {name: device for name, device in before.items() if isinstance(device, Bridge)}
    return {port: name for name, bridge in bridges.items() for port in bridge.ports}


@dataclass(frozen=True)
class AddBridge(Step):
    """Create a bridge: learning, no spanning tree, no multicast snooping."""

    name: str
    mac: str
    mtu: int

    def apply(self, net: Net) -> None:
        net.netlink(self.host).link(
            "add",
            kind="bridge",
            ifname=self.name,
            address=self.mac,
            mtu=self.mtu,
            br_stp_state=0,
            br_mcast_snooping=0,
        )

    def command(self) -> str:
        return (
            f"ip -n {self.host} link add {self.name} address {self.mac} mtu {self.mtu} "
            "type bridge stp_state 0 mcast_snooping 0"
        )


@dataclass(frozen=True)
class SetMaster(Step):
    """Make a device a port of a bridge."""

    name: str
    bridge: str

    def apply(self, net: Net) -> None:
        net.netlink(self.host).link(
            "set", index=net.index(self.host, self.name), master=net.index(self.host, self.bridge)
        )

    def command(self) -> str:
        return f"ip -n {self.host} link set {self.name} master {self.bridge}"
