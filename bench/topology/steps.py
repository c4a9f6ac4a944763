"""The steps that are the same for every kind of device, and routes."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass

from pyroute2.ethtool.ioctl import IoctlEthtool, NotSupportedError

from bench.devices.step import Net, Step

_RTNH_F_ONLINK = 4


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
                with suppress(NotSupportedError):
                    ethtool.set_offload_flag(self.feature, False)
                return
            features = ethtool.get_features()
            if self.feature in features and features.is_available(self.feature):
                features[self.feature] = False
                ethtool.set_features(features)

    def command(self) -> str:
        return f"ip netns exec {self.host} ethtool -K {self.name} {self.feature} off || true"


@dataclass(frozen=True)
class SetSegments(Step):
    """Say of how many packets a super-packet may be at most that the device is given to send.

    With 1 there are none, not even on a device whose segmentation offload is always on.
    """

    name: str
    segments: int

    def apply(self, net: Net) -> None:
        index = net.index(self.host, self.name)
        net.netlink(self.host).link("set", index=index, gso_max_segs=self.segments)

    def command(self) -> str:
        return f"ip -n {self.host} link set {self.name} gso_max_segs {self.segments}"


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
