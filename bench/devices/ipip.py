"""IP in IP: an IPv4 packet in another, and nothing else (RFC 2003)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.devices.base import Fail, Place
from bench.devices.step import Net, Step
from bench.devices.tunnel import PointToPoint


class Ipip(PointToPoint, frozen=True, kw_only=True, tag="ipip"):
    """An IP-in-IP device, IPv4 in IPv4."""

    can_be_port = False
    ip_only = True

    def check(self, at: Place, fail: Fail) -> None:
        super().check(at, fail)
        if ":" in self.local:
            raise fail(f"{at.key}.local", f"expected an IPv4 address, not {self.local}")

    def create(self, at: Place) -> Iterable[Step]:
        yield AddIpip(at.ref.host, at.ref.device, self.mtu, self.local, self.remote(at))


@dataclass(frozen=True)
class AddIpip(Step):
    """Create an IP-in-IP device between two addresses."""

    name: str
    mtu: int
    local: str
    remote: str

    @property
    def needs(self) -> str:
        return "ipip devices (CONFIG_NET_IPIP)"

    def apply(self, net: Net) -> None:
        net.netlink(self.host).link(
            "add",
            kind="ipip",
            ifname=self.name,
            mtu=self.mtu,
            ipip_local=self.local,
            ipip_remote=self.remote,
        )

    def command(self) -> str:
        return (
            f"ip -n {self.host} link add {self.name} mtu {self.mtu} "
            f"type ipip local {self.local} remote {self.remote}"
        )
