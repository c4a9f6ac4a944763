"""Small readers for the checks: a value, or an error that says what was expected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Any

from bench.devices.base import Device, DeviceRef, Fail, parse_ref
from bench.endpoint import parse_endpoint
from bench.native import Address, Network

if TYPE_CHECKING:
    from bench.scenario.model import Host, Scenario


def devices(scenario: Scenario) -> Iterator[tuple[DeviceRef, Device]]:
    """Every device of the scenario, in the file's order."""
    for host_name, host in scenario.hosts.items():
        for device_name, device in host.devices.items():
            yield DeviceRef(host_name, device_name), device


def read_device(text: str, kind: Any, key: str, scenario: Scenario, fail: Fail) -> DeviceRef:
    try:
        ref = parse_ref(text)
    except ValueError as error:
        raise fail(key, f'{error}; expected "host:device"') from None
    if ref.host not in scenario.hosts:
        raise fail(
            key, f'"{text}": there is no host {ref.host}; there are {", ".join(scenario.hosts)}'
        )
    host = scenario.hosts[ref.host]
    if ref.device not in host.devices:
        raise fail(key, f'"{text}": {no_device(ref.device, ref.host, host)}')
    if not isinstance(host.devices[ref.device], kind):
        names = " or ".join(k.__name__.lower() for k in getattr(kind, "__args__", (kind,)))
        found = type(host.devices[ref.device]).__name__.lower()
        raise fail(key, f"{text} is a {found}; expected a {names}")
    return ref


def no_device(device: str, host_name: str, host: Host) -> str:
    return f"{host_name} has no device {device}; it has {', '.join(host.devices)}"


def local_addresses(host: Host) -> set[Address]:
    return {ip_interface(text).ip for d in host.devices.values() for text in d.addresses}


def read_interface(text: str, key: str, fail: Fail) -> IPv4Interface | IPv6Interface:
    try:
        if not re.fullmatch(r"[^%]*/[0-9]{1,3}", text):  # a netmask or a zone will not do
            raise ValueError
        return ip_interface(text)
    except ValueError:
        raise fail(
            key, f'"{text}" is not an address with prefix length, like "10.1.1.2/24"'
        ) from None


def read_network(text: str, key: str, fail: Fail) -> Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise fail(key, f'expected a prefix like "10.244.2.0/24": {error}') from None
    if str(network) != text:
        raise fail(key, f'"{text}" is written "{network}"')
    return network


def read_address(text: str, key: str, fail: Fail) -> Address:
    try:
        if "%" in text:  # the zone of a link-local address
            raise ValueError
        return ip_address(text)
    except ValueError:
        raise fail(key, f'"{text}" is not an IP address') from None


def read_endpoint(text: str, key: str, fail: Fail) -> tuple[Address, int]:
    try:
        return parse_endpoint(text)
    except ValueError as error:
        raise fail(key, str(error)) from None
