"""netkit: a pair for containers whose programs run on the way, what Cilium has in place of veth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pyroute2.netlink import nla
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from bench.devices.base import Device, Place
from bench.devices.pair import Pair
from bench.devices.step import Net, Step

_MODES = {"l2": 0, "l3": 1}


class _Settings(nla):  # type: ignore[misc]
    """What follows IFLA_INFO_DATA (enum IFLA_NETKIT_*), which the netlink library does not know."""

    prefix = "IFLA_"
    nla_map = (
        ("IFLA_NETKIT_UNSPEC", "none"),
        ("IFLA_NETKIT_PEER_INFO", "peer_info"),
        ("IFLA_NETKIT_PRIMARY", "uint8"),
        ("IFLA_NETKIT_POLICY", "uint32"),
        ("IFLA_NETKIT_PEER_POLICY", "uint32"),
        ("IFLA_NETKIT_MODE", "uint32"),
    )

    @staticmethod
    def peer_info(*_: Any, **__: Any) -> Any:
        """A whole link message, as for the peer of a veth."""
        return ifinfmsg


ifinfmsg.ifinfo.data_map["netkit"] = _Settings


class Netkit(Pair, frozen=True, kw_only=True, tag="netkit"):
    """One end of a netkit pair, without programs on it.

    mode: l3 moves IP packets, without MAC addresses and ARP; l2 moves frames.
    """

    mode: Literal["l3", "l2"] = "l3"

    can_be_port = False

    def pairs_with(self, other: Device) -> bool:
        return isinstance(other, Netkit) and other.mode == self.mode

    def join(self, at: Place, peer: Place, index: int) -> Iterable[Step]:
        mac, peer_mac = (at.mac, peer.mac) if self.mode == "l2" else (None, None)
        yield AddNetkit(
            at.ref.host,
            name=at.ref.device,
            index=index,
            mac=mac,
            mtu=self.mtu,
            peer_host=peer.ref.host,
            peer_name=peer.ref.device,
            peer_index=index + 1,
            peer_mac=peer_mac,
            peer_mtu=at.scenario.device(peer.ref).mtu,
            mode=self.mode,
        )


@dataclass(frozen=True)
class AddNetkit(Step):
    """Create a pair of netkit devices, one end in each of two namespaces; indexes as for veth."""

    name: str
    index: int
    mac: str | None
    mtu: int
    peer_host: str
    peer_name: str
    peer_index: int
    peer_mac: str | None
    peer_mtu: int
    mode: str

    @property
    def needs(self) -> str:
        return "netkit devices (CONFIG_NETKIT, Linux 6.7)"

    def apply(self, net: Net) -> None:
        settings = {"address": self.mac} if self.mac else {}
        peer = [
            ("IFLA_IFNAME", self.peer_name),
            ("IFLA_MTU", self.peer_mtu),
            ("IFLA_NET_NS_FD", net.netns(self.peer_host)),
            *([("IFLA_ADDRESS", self.peer_mac)] if self.peer_mac else []),
        ]
        net.netlink(self.host).link(
            "add",
            kind="netkit",
            ifname=self.name,
            index=self.index,
            mtu=self.mtu,
            netkit_mode=_MODES[self.mode],
            netkit_peer_info={"index": self.peer_index, "attrs": peer},
            **settings,
        )

    def command(self) -> str:
        mac, peer_mac = (f"address {m} " if m else "" for m in (self.mac, self.peer_mac))
        return (
            f"ip -n {self.host} link add {self.name} index {self.index} {mac}"
            f"mtu {self.mtu} type netkit mode {self.mode} peer {self.peer_name} "
            f"netns {self.peer_host} index {self.peer_index} {peer_mac}mtu {self.peer_mtu}"
        )
