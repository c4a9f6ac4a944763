"""Routes of the pump: which peer owns which prefix, replaceable while pumps run."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from bench._vnetbench import ffi, lib
from bench.native.calls import check

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Routes = Mapping[Network, tuple[Address, int]]
"""Prefix → address and UDP port of the peer that owns it."""


class Router:
    """The routes in force. Pumps look them up while one other thread may replace them."""

    def __init__(self, routes: Routes) -> None:
        router = ffi.new("struct vnb_router **")
        check(lib.vnb_router_new(router))
        self._router = ffi.gc(router[0], lib.vnb_router_free)
        self.replace(routes)

    def replace(self, routes: Routes) -> None:
        """Put `routes` in the place of all former ones; a running pump loses no packet over it.

        Raises OSError, with the routes unchanged.
        """
        array = ffi.new("struct vnb_route[]", len(routes))
        for entry, (prefix, (address, port)) in zip(array, routes.items(), strict=True):
            entry.ipv6 = fill_address(entry.prefix, prefix.network_address)
            entry.hop_ipv6 = fill_address(entry.next_hop, address)
            fill_port(entry, port)
            entry.length = prefix.prefixlen
        check(lib.vnb_router_replace(self._router, array, len(routes)))

    def find(self, address: Address) -> tuple[Address, int] | None:
        """Address and port of the peer that owns `address`; not while routes are replaced."""
        found = ffi.new("struct vnb_route *")
        ipv6 = address.version == 6  # noqa: PLR2004
        result = lib.vnb_router_find(self._router, address.packed, ipv6, found)
        if result == -errno.ENETUNREACH:
            return None
        check(result)
        packed = bytes(found.next_hop)[: 16 if found.hop_ipv6 else 4]
        port = int.from_bytes(ffi.buffer(ffi.addressof(found, "port"))[:], "big")
        return ip_address(packed), port

    @property
    def pointer(self) -> Any:
        """What C takes: `struct vnb_router *`, valid as long as this object lives."""
        return self._router


def fill_address(field: Any, address: Address) -> bool:
    """Write `address` to a field of 16 bytes; returns whether it is IPv6."""
    ffi.buffer(field)[: len(address.packed)] = address.packed
    return isinstance(address, IPv6Address)


def fill_port(entry: Any, port: int) -> None:
    """Write `port` to the field of that name, in network byte order."""
    ffi.buffer(ffi.addressof(entry, "port"))[:] = port.to_bytes(2, "big")
