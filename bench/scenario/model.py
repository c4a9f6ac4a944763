"""The structure of a scenario file: what may stand in it, and of which type.

Every struct forbids unknown keys, so a misspelt key is an error that names it. What types alone
cannot say (that a reference exists, that addresses do not clash, that the client can reach the
server) is checked in `check.py` and `paths.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bench.devices import AnyDevice, Device, DeviceRef, Nic
from bench.devices.base import Name
from bench.devices.ipsec import Ipsec


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


_PLAIN = {"queues": 1, "tun_offload": 0, "queue_length": 0}
"""How a device is opened by a program of somebody else."""
_WITH_HEADERS = {**_PLAIN, "tun_offload": 1}
"""How one is opened by a hypervisor, which says by itself what of it the guest uses."""


class Route(_Strict, frozen=True, kw_only=True):
    """A static route: `to` is a prefix or "default"; at least one of `via` and `dev`."""

    to: str
    via: str | None = None
    dev: Name | None = None
    onlink: bool = False


class Host(_Strict, frozen=True, kw_only=True):
    """One network namespace; or, with a nic, a virtual machine with a kernel of its own."""

    devices: dict[Name, AnyDevice]
    routes: list[Route] = []
    forwarding: bool = False
    sysctls: dict[str, int | str] = {}

    @property
    def is_guest(self) -> bool:
        """Whether it is a virtual machine: none of its devices are in a namespace of ours."""
        return any(isinstance(device, Nic) for device in self.devices.values())


class Forwarder(_Strict, frozen=True, kw_only=True, tag_field="kind"):
    """What all forwarders have: a process that moves packets from and to devices.

    devices: the tun or tap devices it holds, `host:device`.
    listen: "address:port" of its socket, on the host of its only device.
    routes: prefix → "address:port" of the forwarder that owns it.
    """

    devices: list[str]
    listen: str | None = None
    routes: dict[str, str] = {}

    def device_mode(self) -> Mapping[str, int]:
        """Switches of a pump that say how the devices are opened which this forwarder holds."""
        return _PLAIN


class Pump(Forwarder, frozen=True, kw_only=True, tag="pump"):
    """Our own: one tun and a UDP socket, or two tuns, or two taps.

    switches: the pump's switches, name → value. In the file a few, as they are written on the
        command line; once loaded, all of them as the numbers in force.
    routes_from: "static", or "etcd": then `routes` are what others have leased when it starts.
    """

    switches: dict[str, int] = {}
    routes_from: str = "static"

    def device_mode(self) -> Mapping[str, int]:
        return self.switches


class Program(Forwarder, frozen=True, kw_only=True, tag="program"):
    """Somebody else's: one tun or tap, and a socket, or any number of them on another host.

    program: which; an entry of `bench.programs`. options: its own, as that entry declares them.
    peers: "address:port" of those that are told all that a tap sends, as it has no routes.
    sockets: the host where it runs, if that is not its tap's: then it is a proxy, which ends the
        tap's connections and opens others, from this host's addresses.
    forwards: the address of that host at which it takes connections for the tap's address.
    """

    program: str
    options: dict[str, bool | int | float | str] = {}
    peers: list[str] = []
    sockets: Name | None = None
    forwards: str | None = None


class Qemu(Forwarder, frozen=True, kw_only=True, tag="qemu"):
    """A hypervisor between the nic of its guest and a tap of the host, in this order.

    accelerator: "auto" is KVM where it works, else TCG, which interprets every instruction.
    vhost: the host's kernel moves the packets, not QEMU's process.
    offload: whether the guest may send and receive super-packets.
    """

    accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    vhost: bool = False
    offload: bool = True

    def device_mode(self) -> Mapping[str, int]:
        return _WITH_HEADERS


class Endpoints(_Strict, frozen=True, kw_only=True):
    """Between which devices, `host:device`, the path is measured.

    address: by which the client reaches the server, where that is not the server's own.
    """

    client: str
    server: str
    address: str | None = None


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
    forwarders: list[Pump | Program | Qemu] = []
    ipsec: list[Ipsec] = []
    predicted: Predicted = Predicted()
    rung: int | None = None
    congestion_control: str = "cubic"
    streams: Annotated[int, Meta(ge=1, le=128, description="1 to 128 streams")] = 1
    hops: Annotated[int, Meta(ge=0, le=16, description="0 to 16 routers")] = 0

    @property
    def proxied(self) -> bool:
        """Whether connections end on the way, so that the server sees another client's address."""
        return any(isinstance(f, Program) and f.sockets for f in self.forwarders)

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
