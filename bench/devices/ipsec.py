"""IPsec between two hosts: no device, but policies that encrypt what their devices send."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING, Literal

import msgspec

from bench.devices.base import Device, DeviceRef, Fail, parse_ref
from bench.devices.reading import read_device, read_network
from bench.devices.step import Net, Step
from bench.devices.xfrm import (
    ALGORITHM,
    ICV_BITS,
    KEY_BYTES,
    Association,
    Direction,
    Mode,
    add_policy,
    add_state,
)
from bench.native import Network

if TYPE_CHECKING:
    from bench.scenario.model import Scenario

_FIRST_SPI = 0x1000


class Ipsec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """ESP with AES-128-GCM between the first addresses of two devices, with new keys each time.

    networks: with mode = "tunnel", what is behind each of the ends; packets between the two are
        encrypted whole.
    """

    mode: Literal["transport", "tunnel"]
    ends: tuple[str, str]
    networks: tuple[str, str] | None = None


def check(scenario: Scenario, fail: Fail) -> None:
    """Raise `fail`'s error for the first that does not fit its hosts."""
    taken: set[frozenset[str]] = set()
    for i, ipsec in enumerate(scenario.ipsec):
        key = f"ipsec[{i}]"
        refs = [read_device(text, Device, f"{key}.ends", scenario, fail) for text in ipsec.ends]
        for ref in refs:
            if not scenario.device(ref).addresses:
                raise fail(f"{key}.ends", f"{ref} has no address; expected a device that has one")
        if refs[0].host == refs[1].host or frozenset(ipsec.ends) in taken:
            raise fail(f"{key}.ends", "expected two hosts that no other entry joins")
        taken.add(frozenset(ipsec.ends))
        if (ipsec.networks is None) != (ipsec.mode == "transport"):
            raise fail(f"{key}.networks", 'expected two prefixes with mode = "tunnel", else none')
        networks = [read_network(n, f"{key}.networks", fail) for n in ipsec.networks or ()]
        addresses = [ip_interface(outer(scenario, ref)) for ref in refs]
        if len({a.version for a in addresses}) > 1 or len({n.version for n in networks}) > 1:
            raise fail(key, "expected both ends, and both networks, of one family")


def outer(scenario: Scenario, ref: DeviceRef) -> str:
    """The address of an end."""
    return str(ip_interface(scenario.device(ref).addresses[0]).ip)


def steps(scenario: Scenario) -> Iterator[Step]:
    """For each entry and direction an association, and the policies that lead into it."""
    for i, ipsec in enumerate(scenario.ipsec):
        there = tuple(map(parse_ref, ipsec.ends))
        for j, (near, far) in enumerate((there, there[::-1])):
            mode = Mode[ipsec.mode.upper()]
            spi = _FIRST_SPI + 2 * i + j
            association = Association(outer(scenario, near), outer(scenario, far), spi, mode)
            behind = ipsec.networks or (association.source, association.target)
            source, target = behind if j == 0 or not ipsec.networks else behind[::-1]
            yield AddAssociation(near.host, far.host, association)
            policy = AddPolicy(near.host, association, source, target, Direction.OUT)
            yield policy
            yield replace(policy, host=far.host, direction=Direction.IN)
            if mode is Mode.TUNNEL:
                yield replace(policy, host=far.host, direction=Direction.FWD)


def through(scenario: Scenario, host: str, target: Network) -> tuple[str, str] | None:
    """Where a packet of `host` for `target` goes that a tunnel takes: the host, its address."""
    for ipsec in scenario.ipsec:
        ends = tuple(map(parse_ref, ipsec.ends))
        for near, far, network in zip(ends, ends[::-1], (ipsec.networks or ())[::-1], strict=False):
            if near.host == host and target.subnet_of(ip_network(network)):  # type: ignore[arg-type]
                return far.host, outer(scenario, far)
    return None


@dataclass(frozen=True)
class AddAssociation(Step):
    """Give both hosts the key of one direction; it is made here and kept nowhere else."""

    peer: str
    association: Association

    @property
    def needs(self) -> str:
        return "IPsec with AES-GCM (CONFIG_XFRM_USER, CONFIG_INET_ESP, CONFIG_CRYPTO_GCM)"

    def apply(self, net: Net) -> None:
        key = os.urandom(KEY_BYTES)
        for host in (self.host, self.peer):
            net.enter(host)
            try:
                add_state(self.association, key)
            except FileNotFoundError:  # of a part of the cipher, or of its random numbers
                raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None

    def command(self) -> str:
        one = self.association
        what = (
            f"xfrm state add src {one.source} dst {one.target} proto esp spi {one.spi:#x} "
            f"reqid {one.spi} mode {one.mode.name.lower()} replay-window 32 "
            f"aead '{ALGORITHM}' $KEY {ICV_BITS}"
        )
        return (
            f"KEY=0x$(od -An -v -tx1 -N{KEY_BYTES} /dev/urandom | tr -d ' \\n') && "
            f"ip -n {self.host} {what} && ip -n {self.peer} {what}"
        )


@dataclass(frozen=True)
class AddPolicy(Step):
    """Have packets between two networks take an association."""

    association: Association
    source: str
    target: str
    direction: Direction

    @property
    def needs(self) -> str:
        return "IPsec policies (CONFIG_XFRM_USER)"

    def apply(self, net: Net) -> None:
        net.enter(self.host)
        source, target = ip_network(self.source), ip_network(self.target)
        add_policy(self.association, source, target, self.direction)

    def command(self) -> str:
        one = self.association
        return (
            f"ip -n {self.host} xfrm policy add src {self.source} dst {self.target} "
            f"dir {self.direction.name.lower()} tmpl src {one.source} dst {one.target} "
            f"proto esp reqid {one.spi} mode {one.mode.name.lower()}"
        )
