"""What types cannot say of a scenario: names, references, addresses, and that the ends can talk.

`check` raises a ScenarioError for the first thing that is wrong; its key names the place in the
file and its text what was expected there.
"""

from __future__ import annotations

import re
from functools import partial
from ipaddress import (
    IPv4Interface,
    IPv4Network,
    IPv6Interface,
    ip_interface,
)

from bench.devices import Device, DeviceRef, Netkit, Pair, Place, Veth, ipsec, parse_ref
from bench.devices.base import Fail
from bench.devices.reading import (
    devices,
    no_device,
    read_address,
    read_device,
    read_interface,
    read_network,
)
from bench.errors import ScenarioError
from bench.native import Address
from bench.scenario.forwarders import check_forwarders
from bench.scenario.model import Host, Scenario, destination, speaks_ipv6
from bench.scenario.paths import NoPath, trace

_THIS_NETWORK = IPv4Network("0.0.0.0/8")
_NO_BROADCAST = 31
"""Prefix length from which on a network has no broadcast address (RFC 3021)."""

_IPV6_MTU = 1280
"""The kernel has no IPv6 on a device with less (RFC 8200)."""


def check(scenario: Scenario, source: str) -> None:
    """Raise ScenarioError (naming `source`) if the scenario cannot be built or carries no path."""
    fail: Fail = partial(ScenarioError, source)
    if not scenario.title.isprintable():
        raise fail("title", "expected one line of printable text")
    for name, host in scenario.hosts.items():
        _check_host(name, host, fail)
    _check_addresses(scenario, fail)
    _check_links(scenario, fail)
    for ref, device in devices(scenario):
        device.check(Place(scenario, ref), fail)
    check_forwarders(scenario, fail)
    ipsec.check(scenario, fail)
    _check_endpoints(scenario, fail)
    _check_congestion_control(scenario, fail)


def _check_host(name: str, host: Host, fail: Fail) -> None:
    key = f"hosts.{name}"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", name):
        raise fail(key, "a host's name is at most 32 letters, digits, '-', '_' or '.'")
    if name == "pumps":
        raise fail(key, "that name stands for the pumps in a result set; expected another")
    for device_name, device in host.devices.items():
        where = f"{key}.devices.{device_name}"
        # Stricter than the kernel (net/core/dev.c: dev_valid_name): names end up in commands.
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}", device_name) or (
            device_name == "lo"
        ):
            raise fail(
                where, "a device's name is at most 15 letters, digits, '-', '_' or '.', and not lo"
            )
        for text in device.addresses:
            read_interface(text, f"{where}.addresses", fail)
        if speaks_ipv6(device) and device.mtu < _IPV6_MTU:
            raise fail(f"{where}.mtu", f"expected at least {_IPV6_MTU} for an IPv6 address")
    _check_routes(name, host, fail)
    for sysctl in host.sysctls:
        if not re.fullmatch(r"net\.[A-Za-z0-9_.-]+", sysctl) or ".." in sysctl:
            raise fail(f'{key}.sysctls."{sysctl}"', "expected a sysctl of the namespace, net.…")


def _check_routes(name: str, host: Host, fail: Fail) -> None:
    seen: set[tuple[str, int]] = set()
    for i, route in enumerate(host.routes):
        where = f"hosts.{name}.routes[{i}]"
        if route.to != "default":
            read_network(route.to, f"{where}.to", fail)
        version = destination(route).version
        if (route.to, version) in seen:
            raise fail(f"{where}.to", f"{name} has another route to {route.to}; expected one")
        seen.add((route.to, version))
        if route.via is None and route.dev is None:
            raise fail(where, 'expected "via", "dev" or both')
        if route.dev is not None and route.dev not in host.devices:
            raise fail(f"{where}.dev", no_device(route.dev, name, host))
        if route.via is not None:
            gateway = read_address(route.via, f"{where}.via", fail)
            if gateway.version != version:
                raise fail(f"{where}.via", f"{gateway} is of another family than {route.to}")
            near = [host.devices[route.dev]] if route.dev else host.devices.values()
            networks = [ip_interface(a).network for d in near for a in d.addresses]
            if not route.onlink and not any(gateway in network for network in networks):
                raise fail(
                    f"{where}.via",
                    f"{gateway} is on no network of {route.dev or name}; "
                    "expected one that is, or onlink = true",
                )
            if route.onlink and route.dev is None:
                raise fail(f"{where}.dev", "an onlink route needs the device it leaves by")


def _check_addresses(scenario: Scenario, fail: Fail) -> None:
    owner: dict[Address, DeviceRef] = {}
    for ref, device in devices(scenario):
        for text in device.addresses:
            address = ip_interface(text).ip
            if not _is_one_host(ip_interface(text)):
                raise fail(
                    f"hosts.{ref.host}.devices.{ref.device}.addresses",
                    f"{text} is no address that one host can have; expected a unicast address",
                )
            if address in owner:
                raise fail(
                    f"hosts.{ref.host}.devices.{ref.device}.addresses",
                    f"{address} is already the address of {owner[address]}; expected each once",
                )
            owner[address] = ref


def _is_one_host(interface: IPv4Interface | IPv6Interface) -> bool:
    """Whether packets to the address reach one host: no loopback, multicast or broadcast."""
    ip, network = interface.ip, interface.network
    if ip.is_loopback or ip.is_multicast or ip.is_reserved or ip in _THIS_NETWORK:
        return False
    if isinstance(interface, IPv6Interface):
        return not (ip.is_unspecified or ip.is_link_local)
    return network.prefixlen >= _NO_BROADCAST or ip != network.broadcast_address


def _check_links(scenario: Scenario, fail: Fail) -> None:
    used: dict[DeviceRef, int] = {}
    for i, ends in enumerate(scenario.links):
        for text in ends:
            ref = read_device(text, Veth | Netkit, f"links[{i}]", scenario, fail)
            if ref in used:
                raise fail(f"links[{i}]", f"{ref} is already an end of links[{used[ref]}]")
            used[ref] = i
        near, far = (scenario.device(parse_ref(text)) for text in ends)
        if isinstance(near, Pair) and not near.pairs_with(far):
            raise fail(f"links[{i}]", f"{ends[0]} and {ends[1]} are of two kinds, or modes")
    for ref, device in devices(scenario):
        if isinstance(device, Pair) and ref not in used:
            raise fail(
                f"hosts.{ref.host}.devices.{ref.device}",
                f'no link has the end "{ref}"; expected one in links',
            )


def _check_endpoints(scenario: Scenario, fail: Fail) -> None:
    ends = {"client": scenario.endpoints.client, "server": scenario.endpoints.server}
    refs = {}
    for role, text in ends.items():
        refs[role] = read_device(text, Device, f"endpoints.{role}", scenario, fail)
        if not scenario.device(refs[role]).addresses:
            raise fail(
                f"endpoints.{role}", f"{text} has no address; expected a device that has one"
            )
    if refs["client"].host == refs["server"].host:
        raise fail("endpoints.server", "is on the client's host; expected another host")
    if scenario.endpoints.address is not None:
        address = read_address(scenario.endpoints.address, "endpoints.address", fail)
        own = ip_interface(scenario.device(refs["server"]).addresses[0])
        if address.version != own.version:
            raise fail("endpoints.address", f"expected one of the family of {own}")
    for source, target in (("client", "server"), ("server", "client")):
        try:
            trace(scenario, refs[source], refs[target])
        except NoPath as gap:
            raise fail(
                f"endpoints.{target}", f"{ends[source]} cannot reach {ends[target]}: {gap}"
            ) from None


def _check_congestion_control(scenario: Scenario, fail: Fail) -> None:
    if not re.fullmatch(r"[a-z0-9_-]{1,15}", scenario.congestion_control):
        raise fail(
            "parameters.congestion_control", "expected the name of a TCP algorithm, like cubic"
        )
