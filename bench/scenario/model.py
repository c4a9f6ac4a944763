"""The structure of a scenario file: what may stand in it, and of which type.

Every struct forbids unknown keys, so a misspelt key is an error that names it. What types alone
cannot say (that a reference exists, that addresses do not clash, that the client can reach the
server) is checked in `check.py` and `paths.py`.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

import msgspec
from msgspec import Meta

Mtu = Annotated[int, Meta(ge=68, le=65535, description="an MTU of 68 to 65535 bytes")]
Port = Annotated[int, Meta(ge=1, le=65535, description="a UDP port, 1 to 65535")]
Name = str
"""Of a host or a device; which characters are allowed is checked in `check.py`."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class DeviceRef(msgspec.Struct, frozen=True, order=True):
    """A device of a host, written `host:device`."""

    host: str
    device: str

    def __str__(self) -> str:
        return f"{self.host}:{self.device}"


class Device(_Strict, frozen=True, kw_only=True, tag_field="kind"):
    """What all kinds of device have. `addresses` are like "10.1.1.2/24" or "fd00::2/64"."""

    addresses: list[str] = []
    mtu: Mtu = 1500


class Veth(Device, frozen=True, kw_only=True, tag="veth"):
    """One end of a link; `links` says which the other is."""


class Bridge(Device, frozen=True, kw_only=True, tag="bridge"):
    """A learning bridge without spanning tree; `ports` are devices of the same host."""

    ports: list[Name]


class Tun(Device, frozen=True, kw_only=True, tag="tun"):
    """A layer-3 device whose other side is a forwarder."""


class Tap(Device, frozen=True, kw_only=True, tag="tap"):
    """A layer-2 device whose other side is a forwarder."""


class Vxlan(Device, frozen=True, kw_only=True, tag="vxlan"):
    """A VXLAN device without learning: `peers` are the only remote ends, `local` is the VTEP."""

    vni: Annotated[int, Meta(ge=0, le=2**24 - 1, description="a VNI of 24 bits")]
    local: str
    peers: list[str]
    port: Port = 8472


class Route(_Strict, frozen=True, kw_only=True):
    """A static route: `to` is a prefix or "default"; at least one of `via` and `dev`."""

    to: str
    via: str | None = None
    dev: Name | None = None
    onlink: bool = False


class Host(_Strict, frozen=True, kw_only=True):
    """One network namespace."""

    devices: dict[Name, Veth | Bridge | Tun | Tap | Vxlan]
    routes: list[Route] = []
    forwarding: bool = False
    sysctls: dict[str, int | str] = {}


class Forwarder(_Strict, frozen=True, kw_only=True, tag_field="kind"):
    """What all forwarders have: a process that moves packets from and to devices.

    devices: the tun or tap devices it holds, `host:device`.
    listen: "address:port" of its socket, on the host of its only device.
    routes: prefix → "address:port" of the forwarder that owns it.
    """

    devices: list[str]
    listen: str | None = None
    routes: dict[str, str] = {}


class Pump(Forwarder, frozen=True, kw_only=True, tag="pump"):
    """Our own: one tun and a UDP socket, or two tuns, or two taps.

    switches: the pump's switches, name → value. In the file a few, as they are written on the
        command line; once loaded, all of them as the numbers in force.
    """

    switches: dict[str, int] = {}


class Program(Forwarder, frozen=True, kw_only=True, tag="program"):
    """Somebody else's: one tun or tap, and a socket.

    program: which; an entry of `bench.programs`. options: its own, as that entry declares them.
    peers: "address:port" of those that are told all that a tap sends, as it has no routes.
    """

    program: str
    options: dict[str, bool | int | float | str] = {}
    peers: list[str] = []


class Endpoints(_Strict, frozen=True, kw_only=True):
    """Between which devices, `host:device`, the path is measured."""

    client: str
    server: str


Count = Annotated[int, Meta(ge=0, description="a count, 0 or more")]


class Predicted(_Strict, frozen=True, kw_only=True):
    """What theory says of one small UDP datagram on its way from client to server.

    copies: of its bytes between user and kernel space. traversals: of an IP layer, once where a
    host sends it and once where one receives it, to keep or to forward. device_hops: times it is
    handed to a device's driver. useful_calls: system calls that move it.
    """

    copies: Count | None = None
    traversals: Count | None = None
    device_hops: Count | None = None
    useful_calls: Count | None = None


class Scenario(_Strict, frozen=True, kw_only=True):
    """One file, parameters already substituted.

    rung: position in lists and tables; scenarios without one come last.
    congestion_control, streams and hops are parameters that every scenario has: TCP's algorithm on
    the goodput probe's sockets (and as every host's default, where the kernel allows that), the
    probe's number of parallel streams, and how many routers are in the path beside those of the
    file. Once loaded, they are among the hosts; see `hops.py`.
    """

    title: str
    drawing: str
    endpoints: Endpoints
    hosts: dict[Name, Host]
    links: list[tuple[str, str]] = []
    forwarders: list[Pump | Program] = []
    predicted: Predicted = Predicted()
    rung: int | None = None
    congestion_control: str = "cubic"
    streams: Annotated[int, Meta(ge=1, le=128, description="1 to 128 streams")] = 1
    hops: Annotated[int, Meta(ge=0, le=16, description="0 to 16 routers")] = 0

    def device(self, ref: DeviceRef) -> Device:
        """Return the device `ref` names (KeyError if there is none: `check` rules that out)."""
        return self.hosts[ref.host].devices[ref.device]


def destination(route: Route) -> IPv4Network | IPv6Network:
    """The prefix that a route's `to` names; "default" is of the family of its `via`."""
    if route.to != "default":
        return ip_network(route.to)
    return ip_network("::/0" if route.via and ":" in route.via else "0.0.0.0/0")


def speaks_ipv6(device: Device) -> bool:
    """Whether the device has an IPv6 address."""
    return any(":" in address for address in device.addresses)


def parse_ref(text: str) -> DeviceRef:
    """Split `host:device`. Raises ValueError where the text has another form."""
    host, colon, device = text.partition(":")
    if not (host and colon and device) or ":" in device:
        raise ValueError(f'"{text}" is not of the form "host:device"')
    return DeviceRef(host, device)
