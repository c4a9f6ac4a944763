"""Proxies: programs whose tap is on one host and whose sockets are on another.

That is what containers run that nobody gave the right to a link of their own: the process ends the
connections of its tap, and opens others with the sockets of the host where it runs.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

from bench.devices import DeviceRef, parse_ref
from bench.devices.base import Fail
from bench.devices.reading import local_addresses, read_address
from bench.native import Address
from bench.scenario.model import Program, Scenario, destination


def check_proxies(scenario: Scenario, fail: Fail) -> None:
    """Raise `fail`'s error for the first proxy that does not fit its tap and its host."""
    forwarded: dict[Address, int] = {}
    for i, forwarder in enumerate(scenario.forwarders):
        if not isinstance(forwarder, Program):
            continue
        key = f"forwarders[{i}]"
        if forwarder.sockets is not None:
            _check_proxy(scenario, forwarder.sockets, parse_ref(forwarder.devices[0]), key, fail)
        if forwarder.forwards is not None:
            address = _forwarded(scenario, forwarder, f"{key}.forwards", fail)
            if address in forwarded:
                raise fail(f"{key}.forwards", f"forwarders[{forwarded[address]}] forwards it")
            forwarded[address] = i


def gateway(scenario: Scenario, ref: DeviceRef) -> Address | None:
    """The next hop of the default route that leads over the device's own network, if one does."""
    networks = [ip_interface(text).network for text in scenario.device(ref).addresses]
    for route in scenario.hosts[ref.host].routes:
        if destination(route).prefixlen == 0 and route.via and route.dev in (None, ref.device):
            via = ip_address(route.via)
            if any(via in network for network in networks):
                return via
    return None


def _check_proxy(scenario: Scenario, host: str, ref: DeviceRef, key: str, fail: Fail) -> None:
    """What a proxy needs: its sockets on another host, and a way to it by a tap with an address."""
    if host not in scenario.hosts:
        known = ", ".join(scenario.hosts)
        raise fail(f"{key}.sockets", f"there is no host {host}; there are {known}")
    if host == ref.host:
        raise fail(f"{key}.sockets", f"expected another host than {ref.host}, which has the tap")
    if scenario.hosts[host].is_guest:
        raise fail(f"{key}.sockets", f"{host} is a virtual machine; expected a namespace")
    if not local_addresses(scenario.hosts[host]):
        raise fail(f"{key}.sockets", f"{host} has no address; expected a host that has one")
    if gateway(scenario, ref) is None:
        raise fail(
            f"{key}.devices",
            f'{ref.host} needs a route to "default" via an address on a network of {ref}',
        )


def _forwarded(scenario: Scenario, proxy: Program, key: str, fail: Fail) -> Address:
    """The address at which a proxy takes connections for its tap."""
    if proxy.sockets is None or proxy.forwards is None:
        raise fail(key, "only a program with sockets on another host has it")
    address = read_address(proxy.forwards, key, fail)
    if address not in local_addresses(scenario.hosts[proxy.sockets]):
        raise fail(key, f"{address} is no address of {proxy.sockets}")
    return address
