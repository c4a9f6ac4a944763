"""The steps that build a topology: each can be carried out, and each can be written as a command.

One class a step, with both sides next to each other, so that what `vnetbench show --commands`
prints is what a run does. `apply` works through netlink in the host's unnamed namespace;
`command` is what one would type as root with named ones.
"""

from __future__ import annotations

import fcntl
from abc import ABC, abstractmethod
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from pyroute2 import IPRoute
from pyroute2.ethtool.ioctl import IoctlEthtool

from bench import native

_AF_BRIDGE = 7
_NTF_SELF, _NUD_PERMANENT = 0x02, 0x80
_RTNH_F_ONLINK = 4
_TC_H_ROOT = 0xFFFFFFFF
_MQ = 0x00010000
"""The handle 1: of a discipline that has one of its own for each queue."""
_TUNSETPERSIST = 0x400454CB


class Net(Protocol):
    """What a step needs of the topology being built."""

    def netns(self, host: str) -> int:
        """The descriptor of the host's namespace."""

    def netlink(self, host: str) -> IPRoute:
        """A netlink socket in the host's namespace."""

    def index(self, host: str, device: str) -> int:
        """The device's interface index."""

    def enter(self, host: str) -> None:
        """Have the calling thread be in the host's namespace."""

    def hold(self, host: str, device: str, fd: int) -> None:
        """Keep the descriptor of one queue of a tun or tap device for its forwarder."""


@dataclass(frozen=True)
class Step(ABC):
    """One step on one host."""

    host: str

    @abstractmethod
    def apply(self, net: Net) -> None:
        """Carry it out. Raises NetlinkError or OSError where the kernel refuses."""

    @abstractmethod
    def command(self) -> str:
        """The equivalent shell command."""


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
class AddVxlan(Step):
    """Create a VXLAN device without learning, bound to a local VTEP."""

    name: str
    mac: str
    mtu: int
    vni: int
    local: str
    port: int

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
class AddTunTap(Step):
    """Create a tun or tap device; its descriptors are what the forwarder moves packets through.

    offload: whether packets have a virtio header, and the device segmentation offload.
    queues: descriptors, each a queue of its own.

    The device is made persistent: it goes with its namespace, with all others at once, where the
    kernel would otherwise make the dying forwarder wait for the removal of each.
    """

    name: str
    kind: str
    mac: str | None
    mtu: int
    offload: bool
    queues: int

    def apply(self, net: Net) -> None:
        net.enter(self.host)
        kind = native.PortKind[self.kind.upper()]
        for _ in range(self.queues):
            fd = native.tun_open(self.name, kind, offload=self.offload, queues=self.queues > 1)
            net.hold(self.host, self.name, fd)
        fcntl.ioctl(fd, _TUNSETPERSIST, 1)
        settings = {"address": self.mac} if self.mac else {}
        net.netlink(self.host).link(
            "set", index=net.index(self.host, self.name), mtu=self.mtu, **settings
        )

    def command(self) -> str:
        address = f"address {self.mac} " if self.mac else ""
        flags = " multi_queue" * (self.queues > 1) + " vnet_hdr" * self.offload
        return (
            f"ip -n {self.host} tuntap add dev {self.name} mode {self.kind}{flags} && "
            f"ip -n {self.host} link set {self.name} {address}mtu {self.mtu}"
        )


@dataclass(frozen=True)
class SetQueueLength(Step):
    """Say how many packets may wait in a device to be sent; of a tun or tap, for its forwarder."""

    name: str
    packets: int

    def apply(self, net: Net) -> None:
        net.enter(self.host)
        native.set_queue_length(self.name, self.packets)

    def command(self) -> str:
        return f"ip -n {self.host} link set {self.name} txqueuelen {self.packets}"


@dataclass(frozen=True)
class SetQdisc(Step):
    """Give a device a queueing discipline; devices with a queue get the machine's default.

    queue: number of the queue it is for, where each has its own; None: it is for all.
    """

    name: str
    kind: str
    queue: int | None = None

    def apply(self, net: Net) -> None:
        parent = _TC_H_ROOT if self.queue is None else _MQ | self.queue
        settings = {"handle": _MQ} if self.kind == "mq" else {}
        net.netlink(self.host).tc(
            "replace",
            kind=self.kind,
            index=net.index(self.host, self.name),
            parent=parent,
            **settings,
        )

    def command(self) -> str:
        place = "root" if self.queue is None else f"parent 1:{self.queue:x}"
        handle = " handle 1:" if self.kind == "mq" else ""
        return f"tc -n {self.host} qdisc replace dev {self.name} {place}{handle} {self.kind}"


@dataclass(frozen=True)
class SetOffload(Step):
    """Switch an offload of a device off, by the names of ethtool(8): a group or one feature.

    A feature that the device does not have, or never changes, is left alone.
    """

    name: str
    feature: str

    def apply(self, net: Net) -> None:
        net.enter(self.host)
        with closing(IoctlEthtool(self.name)) as ethtool:
            if self.feature in ethtool.get_offload_flags():
                ethtool.set_offload_flag(self.feature, False)
                return
            features = ethtool.get_features()
            if self.feature in features and features.is_available(self.feature):
                features[self.feature] = False
                ethtool.set_features(features)

    def command(self) -> str:
        return f"ip netns exec {self.host} ethtool -K {self.name} {self.feature} off || true"


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


@dataclass(frozen=True)
class AddAddress(Step):
    """Give a device an address, with the broadcast address that ip(8) would leave out too."""

    name: str
    address: str

    def apply(self, net: Net) -> None:
        ip, _, length = self.address.partition("/")
        net.netlink(self.host).addr(
            "add", index=net.index(self.host, self.name), address=ip, prefixlen=int(length)
        )

    def command(self) -> str:
        return f"ip -n {self.host} address add {self.address} dev {self.name}"


@dataclass(frozen=True)
class SetUp(Step):
    """Bring a device up."""

    name: str

    def apply(self, net: Net) -> None:
        net.netlink(self.host).link("set", index=net.index(self.host, self.name), state="up")

    def command(self) -> str:
        return f"ip -n {self.host} link set {self.name} up"


@dataclass(frozen=True)
class AddNeighbour(Step):
    """Say which link-layer address an IP address has, for ever."""

    name: str
    address: str
    mac: str

    def apply(self, net: Net) -> None:
        net.netlink(self.host).neigh(
            "add",
            ifindex=net.index(self.host, self.name),
            dst=self.address,
            lladdr=self.mac,
            state=_NUD_PERMANENT,
        )

    def command(self) -> str:
        return (
            f"ip -n {self.host} neighbour add {self.address} lladdr {self.mac} "
            f"dev {self.name} nud permanent"
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
            state=_NUD_PERMANENT,
            flags=_NTF_SELF,
        )

    def command(self) -> str:
        return (
            f"bridge -n {self.host} fdb add {self.mac} dev {self.name} dst {self.vtep} "
            "self permanent"
        )


@dataclass(frozen=True)
class AddRoute(Step):
    """Add a static route."""

    to: str
    via: str | None
    dev: str | None
    onlink: bool

    def apply(self, net: Net) -> None:
        ipv6 = self.to == "default" and self.via is not None and ":" in self.via
        route: dict[str, object] = {"dst": "::/0" if ipv6 else self.to}
        if self.via:
            route["gateway"] = self.via
        if self.dev:
            route["oif"] = net.index(self.host, self.dev)
        if self.onlink:
            route["flags"] = _RTNH_F_ONLINK
        if not self.via:
            route["scope"] = 253  # RT_SCOPE_LINK, as ip(8) sets it for a route without gateway
        net.netlink(self.host).route("add", **route)

    def command(self) -> str:
        words = [f"ip -n {self.host} route add {self.to}"]
        words += [f"via {self.via}"] if self.via else []
        words += [f"dev {self.dev}"] if self.dev else []
        words += ["onlink"] if self.onlink else []
        return " ".join(words)
