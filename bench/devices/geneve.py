"""Geneve: Ethernet frames in UDP, with room for options (RFC 8926)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.devices.base import Place, Port, Vni
from bench.devices.step import Net, Step
from bench.devices.tunnel import PointToPoint, Tunnel, neighbours


class Geneve(PointToPoint, frozen=True, kw_only=True, tag="geneve"):
    """A Geneve device. The kernel gives it no local address: the route to the peer does, and
    what the peer expects is `local`."""

    vni: Vni
    port: Port = 6081

    def mismatch(self, peer: Tunnel) -> str | None:
        assert isinstance(peer, Geneve)  # noqa: S101 - both ends are of one kind
        if (peer.vni, peer.port) == (self.vni, self.port):
            return None
        return f"has vni {peer.vni}, port {peer.port}; expected {self.vni} and {self.port}"

    def create(self, at: Place) -> Iterable[Step]:
        yield AddGeneve(
            *(at.ref.host, at.ref.device, at.mac, self.mtu, self.vni, self.remote(at), self.port)
        )

    def settle(self, at: Place) -> Iterable[Step]:
        yield from neighbours(at, self.peers[0])


@dataclass(frozen=True)
class AddGeneve(Step):
    """Create a Geneve device to one remote end."""

    name: str
    mac: str
    mtu: int
    vni: int
    remote: str
    port: int

    @property
    def needs(self) -> str:
        return "geneve devices (CONFIG_GENEVE)"

    def apply(self, net: Net) -> None:
        net.netlink(self.host).link(
            "add",
            kind="geneve",
            ifname=self.name,
            address=self.mac,
            mtu=self.mtu,
            geneve_id=self.vni,
            geneve_port=self.port,
            **{"geneve_remote6" if ":" in self.remote else "geneve_remote": self.remote},
        )

    def command(self) -> str:
        return (
            f"ip -n {self.host} link add {self.name} address {self.mac} mtu {self.mtu} "
            f"type geneve id {self.vni} remote {self.remote} dstport {self.port}"
        )
