"""WireGuard in the kernel: IP packets in UDP, always encrypted with ChaCha20-Poly1305."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_network

from pyroute2 import WireGuard as Control

from bench.devices.base import Fail, Place, Port, parse_ref
from bench.devices.reading import read_network
from bench.devices.step import Net, Step
from bench.devices.tunnel import Tunnel, outer_address
from bench.native import Address


class Wireguard(Tunnel, frozen=True, kw_only=True, tag="wireguard"):
    """A WireGuard device.

    routes: prefix → the remote device, `host:device`, that its packets are encrypted for and from
        which alone they are accepted (wg's allowed IPs).
    """

    routes: dict[str, str]
    port: Port = 51820

    can_be_port = False
    ip_only = True

    def ends(self) -> dict[str, str]:
        return {peer: f'routes."{prefix}"' for prefix, peer in self.routes.items()}

    def toward(self, target: Address) -> str | None:
        matching = [p for p in map(ip_network, self.routes) if target in p]
        longest = max(matching, key=lambda prefix: prefix.prefixlen, default=None)
        return self.routes[str(longest)] if longest else None

    def check(self, at: Place, fail: Fail) -> None:
        if not self.routes:
            raise fail(f"{at.key}.routes", 'expected at least one, "prefix" = "host:device"')
        for prefix in self.routes:
            read_network(prefix, f'{at.key}.routes."{prefix}"', fail)
        super().check(at, fail)

    def create(self, at: Place) -> Iterable[Step]:
        yield AddWireguard(at.ref.host, at.ref.device, self.mtu, self.port)

    def settle(self, at: Place) -> Iterable[Step]:
        for text in self.ends():
            ref = parse_ref(text)
            peer = at.scenario.device(ref)
            assert isinstance(peer, Wireguard)  # noqa: S101 - `check` has made sure
            prefixes = tuple(prefix for prefix, owner in self.routes.items() if owner == text)
            where = str(outer_address(at, text)), peer.port
            yield SetPeer(at.ref.host, at.ref.device, ref.host, ref.device, *where, prefixes)


@dataclass(frozen=True)
class AddWireguard(Step):
    """Create a WireGuard device with a key of its own, which nobody else ever sees."""

    name: str
    mtu: int
    port: int

    @property
    def needs(self) -> str:
        return "wireguard devices (CONFIG_WIREGUARD)"

    def apply(self, net: Net) -> None:
        net.netlink(self.host).link("add", kind="wireguard", ifname=self.name, mtu=self.mtu)
        net.enter(self.host)
        key = b64encode(os.urandom(32)).decode()
        with closing(Control()) as control:
            control.set(self.name, listen_port=self.port, private_key=key)

    def command(self) -> str:
        return (
            f"ip -n {self.host} link add {self.name} mtu {self.mtu} type wireguard && "
            f"wg genkey | ip netns exec {self.host} wg set {self.name} listen-port {self.port} "
            "private-key /dev/stdin"
        )


@dataclass(frozen=True)
class SetPeer(Step):
    """Tell a WireGuard device of another, by the public key that the kernel worked out there."""

    name: str
    peer_host: str
    peer_name: str
    address: str
    port: int
    prefixes: tuple[str, ...]

    def apply(self, net: Net) -> None:
        net.enter(self.peer_host)
        with closing(Control()) as control:
            key = control.info(self.peer_name)[0].get_attr("WGDEVICE_A_PUBLIC_KEY").decode()
        peer = {
            "public_key": key,
            "endpoint_addr": self.address,
            "endpoint_port": self.port,
            "allowed_ips": list(self.prefixes),
        }
        net.enter(self.host)
        with closing(Control()) as control:
            control.set(self.name, peer=peer)

    def command(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return (
            f"ip netns exec {self.host} wg set {self.name} peer "
            f'"$(ip netns exec {self.peer_host} wg show {self.peer_name} public-key)" '
            f"endpoint {address}:{self.port} allowed-ips {','.join(self.prefixes)}"
        )
