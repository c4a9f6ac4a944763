"""What flannel's daemons write into etcd, and what its UDP backend makes of it.

    /coreos.com/network/config                  {"Network": "10.244.0.0/16",
                                                 "Backend": {"Type": "udp", "Port": 8285}}
    /coreos.com/network/subnets/10.244.1.0-24   {"PublicIP": "192.0.2.1", "PublicIPv6": null}

A daemon leases a subnet for 24 hours and renews it an hour before that is over. The port is the
same for all and stands in the network's configuration: the UDP backend writes no BackendData.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from bench.etcd.client import Change
from bench.native import Address, Routes

PREFIX = "/coreos.com/network/"
CONFIG = f"{PREFIX}config"
SUBNETS = f"{PREFIX}subnets/"
TTL = 24 * 60 * 60
_PORT = 8285
_SHOWN = 60
"""Characters of a value that a warning shows."""


def key_of(subnet: IPv4Network) -> str:
    """The key of the subnet's lease."""
    return f"{SUBNETS}{subnet.network_address}-{subnet.prefixlen}"


def value_of(owner: IPv4Address) -> bytes:
    """The value of a lease that `owner` has, as a daemon with the UDP backend writes it."""
    return json.dumps({"PublicIP": str(owner), "PublicIPv6": None}).encode()


def config_of(network: IPv4Network, port: int) -> bytes:
    """The value of the network's configuration."""
    return json.dumps({"Network": str(network), "Backend": {"Type": "udp", "Port": port}}).encode()


class Leases:
    """The leases of others as they are known.

    own: our address, whose leases are not others'. warn: takes a line about what is no lease.
    Whatever cannot be understood changes nothing: the subnet keeps the owner it had.
    """

    def __init__(self, own: Address, warn: Callable[[str], None]) -> None:
        self._own, self._warn = own, warn
        self._network, self._port = IPv4Network("0.0.0.0/0"), _PORT
        self._owners: dict[str, tuple[IPv4Network, IPv4Address]] = {}
        self._bad: dict[str, bytes] = {}

    def listed(self, entries: Mapping[str, bytes]) -> None:
        """Take over all that is in etcd, which is a network's configuration among it."""
        self._configure(entries[CONFIG])
        for key in self._owners.keys() - entries.keys():
            del self._owners[key]
        for key, value in entries.items():
            if key != CONFIG:
                self.changed(Change(key, value))

    def changed(self, change: Change) -> None:
        """Take over one change of a lease."""
        if change.value is None:
            self._owners.pop(change.key, None)
            self._bad.pop(change.key, None)
            return
        try:
            subnet, owner = _read_key(change.key), _read_value(change.value)
            if not subnet.subnet_of(self._network):
                raise ValueError(f"is not within {self._network}")
        except ValueError as error:
            self._complain(change.key, change.value, str(error))
        else:
            self._owners[change.key] = (subnet, owner)
            self._bad.pop(change.key, None)

    def routes(self) -> Routes:
        """The routes that they are."""
        return {
            subnet: (owner, self._port)
            for subnet, owner in self._owners.values()
            if owner != self._own
        }

    def _configure(self, value: bytes) -> None:
        try:
            self._network, self._port = read_config(value)
            self._bad.pop(CONFIG, None)
        except ValueError as error:
            self._complain(CONFIG, value, str(error))

    def _complain(self, key: str, value: bytes, problem: str) -> None:
        """Once about each value, however often it is listed."""
        if self._bad.get(key) != value:
            self._bad[key] = value
            shown = value[:_SHOWN].decode(errors="backslashreplace")
            self._warn(f"etcd: {key!r} = {shown!r}: {problem}; ignored")


def read_config(value: bytes) -> tuple[IPv4Network, int]:
    """The network and the port of its UDP backend. Raises ValueError."""
    config = _read_object(value)
    backend = config.get("Backend", {})
    port = backend.get("Port", _PORT) if isinstance(backend, dict) else None
    if not isinstance(backend, dict) or backend.get("Type", "udp") != "udp":
        raise ValueError("Backend is not of the type udp")
    if type(port) is not int or not 0 < port < 1 << 16:
        raise ValueError("Backend.Port is not a port")
    try:
        return IPv4Network(_string(config, "Network")), port
    except ValueError as error:
        raise ValueError(f"Network: {error}") from None


def _read_key(key: str) -> IPv4Network:
    """The IPv4 subnet that a key stands for; the UDP backend ignores one of IPv6 beside it."""
    found = re.fullmatch(r"([0-9.]+)-([0-9]+)(?:&[0-9a-f:]+-[0-9]+)?", key.removeprefix(SUBNETS))
    if not found or not key.startswith(SUBNETS):
        raise ValueError(f"is no key of a lease, like {SUBNETS}10.244.1.0-24")
    return IPv4Network(f"{found[1]}/{found[2]}")


def _read_value(value: bytes) -> IPv4Address:
    attributes = _read_object(value)
    if attributes.get("BackendType", "udp") not in ("udp", ""):
        raise ValueError("BackendType is not udp")
    try:
        address = IPv4Address(_string(attributes, "PublicIP"))
    except ValueError as error:
        raise ValueError(f"PublicIP: {error}") from None
    if address.is_unspecified or address.is_multicast or address == IPv4Address("255.255.255.255"):
        raise ValueError(f"PublicIP: {address} is no host's address")
    return address


def _read_object(value: bytes) -> dict[str, Any]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("is not a JSON object")
    return found


def _string(table: dict[str, Any], name: str) -> str:
    """A field; not a number, which the readers of addresses would take for one."""
    if not isinstance(table.get(name), str):
        raise ValueError("a string is missing")
    return str(table[name])
