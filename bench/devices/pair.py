"""Devices that come in pairs: what enters one end leaves by the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from bench.devices.base import Device, Place
from bench.devices.step import Net, Step


class Pair(Device, frozen=True, kw_only=True):
    """One end of a link; `links` says which the other is, a device of the same kind."""

    def pairs_with(self, other: Device) -> bool:
        """Whether the kernel makes a pair of this end and `other`."""
        return type(other) is type(self)

    @abstractmethod
    def join(self, at: Place, peer: Place, index: int) -> Iterable[Step]:
        """The steps that create both ends, with the interface indexes `index` and `index + 1`."""


class Veth(Pair, frozen=True, kw_only=True, tag="veth"):
    """One end of a pair of virtual Ethernet devices."""

    def join(self, at: Place, peer: Place, index: int) -> Iterable[Step]:
        mtu = at.scenario.device(peer.ref).mtu
        yield AddVeth(
            *(at.ref.host, at.ref.device, index, at.mac, self.mtu),
            *(peer.ref.host, peer.ref.device, index + 1, peer.mac, mtu),
        )


@dataclass(frozen=True)
class AddVeth(Step):
    """Create a pair of veth devices, one end in each of two namespaces.

    The ends get different interface indexes because two that are equal by chance look like no
    pair to the kernel, which then takes up to a second to say that they have a carrier
    (net/core/link_watch.c: linkwatch_urgent_event).
    """

    name: str
    index: int
    mac: str
    mtu: int
    peer_host: str
    peer_name: str
    peer_index: int
    peer_mac: str
    peer_mtu: int

    def apply(self, net: Net) -> None:
        net.netlink(self.host).link(
            "add",
            kind="veth",
            ifname=self.name,
            index=self.index,
            address=self.mac,
            mtu=self.mtu,
            peer={
                "ifname": self.peer_name,
                "index": self.peer_index,
                "address": self.peer_mac,
                "mtu": self.peer_mtu,
                "net_ns_fd": net.netns(self.peer_host),
            },
        )

    def command(self) -> str:
        return (
            f"ip -n {self.host} link add {self.name} index {self.index} address {self.mac} "
            f"mtu {self.mtu} type veth peer {self.peer_name} netns {self.peer_host} "
            f"index {self.peer_index} address {self.peer_mac} mtu {self.peer_mtu}"
        )
