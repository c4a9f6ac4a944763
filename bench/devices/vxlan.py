"""VXLAN: Ethernet frames in UDP (RFC 7348)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.devices.base import Place, Port, Vni
from bench.devices.step import NUD_PERMANENT, Net, Step
from bench.devices.tunnel import PeerList, Tunnel, neighbours, outer_address

_NTF_SELF = 0x02


class Vxlan(PeerList, frozen=True, kw_only=True, tag="vxlan"):
    """A VXLAN device without learning: `peers` are the only remote ends, `local` is the VTEP."""

    vni: Vni
    port: Port = 8472

    def mismatch(self, peer: Tunnel) -> str | None:
        assert isinstance(peer, Vxlan)  # noqa: S101 - both ends are of one kind
        if (peer.vni, peer.port) == (self.vni, self.port):
            return None
        return f"has vni {peer.vni}, port {peer.port}; expected {self.vni} and {self.port}"

    def create(self, at: Place) -> Iterable[Step]:
        yield AddVxlan(
            *(at.ref.host, at.ref.device, at.mac, self.mtu, self.vni, self.local, self.port)
        )

    def settle(self, at: Place) -> Iterable[Step]:
        """What learning would find out: each peer's addresses, and the VTEP it is behind."""
        for peer in self.peers:
            yield from neighbours(at, peer)
            vtep = str(outer_address(at, peer))
            yield AddForwarding(at.ref.host, at.ref.device, at.of(peer).mac, vtep)


@dataclass(frozen=True)
class AddVxlan(Step):
    """Create a VXLAN device without learning, bound to a local VTEP."""

    name: str
    mac: str
    mtu: int
    vni: int
    local: str
    port: int

    @property
    def needs(self) -> str:
        return "vxlan devices (CONFIG_VXLAN)"

    def apply(self, net: Net) -> None:
        net.netlink(self.host).link(
            "add",
            kind="vxlan",
            ifname=self.name,
            address=self.mac,
            mtu=self.mtu,
            vxlan_id=self.vni,
            vxlan_port=self.port,
            vxlan_learning=0,
            **{"vxlan_local6" if ":" in self.local else "vxlan_local": self.local},
        )

    def command(self) -> str:
        return (
            f"ip -n {self.host} link add {self.name} address {self.mac} mtu {self.mtu} "
            f"type vxlan id {self.vni} local {self.local} dstport {self.port} nolearning"
        )


@dataclass(frozen=True)
class AddForwarding(Step):
    """Say behind which VTEP a link-layer address lives (a VXLAN forwarding-database entry)."""

    name: str
    mac: str
    vtep: str

    def apply(self, net: Net) -> None:
        net.netlink(self.host).fdb(
            "add",
            ifindex=net.index(self.host, self.name),
            lladdr=self.mac,
            dst=self.vtep,
            state=NUD_PERMANENT,
            flags=_NTF_SELF,
        )

    def command(self) -> str:
        return (
            f"bridge -n {self.host} fdb add {self.mac} dev {self.name} dst {self.vtep} "
            "self permanent"
        )
