"""Devices that wrap what they are given in packets of the underlay, and send those to a peer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from ipaddress import ip_address, ip_interface

from bench.devices.base import Device, Fail, Place, parse_ref
from bench.devices.reading import local_addresses, read_address, read_device
from bench.devices.step import AddNeighbour, Step
from bench.native import Address


class Tunnel(Device, frozen=True, kw_only=True):
    """What all tunnels have: `local`, an address of the host, between which and those of its peers
    the outer packets are routed like any others."""

    local: str

    @abstractmethod
    def ends(self) -> dict[str, str]:
        """The remote devices, `host:device`, each with the key that names it."""

    def toward(self, target: Address) -> str | None:
        """The remote device that gets a packet for `target`, if any, where there are no frames."""
        return next(iter(self.ends()), None)

    def mismatch(self, peer: Tunnel) -> str | None:
        """Why `peer` would not understand what this end sends, if so."""
        return None

    def check(self, at: Place, fail: Fail) -> None:
        local = read_address(self.local, f"{at.key}.local", fail)
        if local not in local_addresses(at.host):
            raise fail(f"{at.key}.local", f"{local} is no address of {at.ref.host}")
        for text, key in self.ends().items():
            where = f"{at.key}.{key}"
            ref = read_device(text, type(self), where, at.scenario, fail)
            peer = at.scenario.device(ref)
            assert isinstance(peer, Tunnel)  # noqa: S101 - read_device has made sure
            if ref.host == at.ref.host:
                raise fail(where, f"{ref} is on the same host; expected a remote end")
            if (":" in peer.local) != (":" in self.local):
                raise fail(where, f"{ref} has a local address of another family")
            if problem := self.mismatch(peer):
                raise fail(where, f"{ref} {problem}")


class PeerList(Tunnel, frozen=True, kw_only=True):
    """A tunnel to each of `peers`."""

    peers: list[str]

    def ends(self) -> dict[str, str]:
        return dict.fromkeys(self.peers, "peers")


class PointToPoint(PeerList, frozen=True, kw_only=True):
    """A tunnel to exactly one peer, which is a tunnel to this end."""

    def remote(self, at: Place) -> str:
        """Where the outer packets are sent."""
        return str(outer_address(at, self.peers[0]))

    def check(self, at: Place, fail: Fail) -> None:
        if len(self.peers) != 1:
            raise fail(f"{at.key}.peers", "expected exactly one")
        super().check(at, fail)
        peer = at.scenario.device(parse_ref(self.peers[0]))
        assert isinstance(peer, PointToPoint)  # noqa: S101 - both ends are of one kind
        if peer.peers != [str(at.ref)]:
            raise fail(f"{at.key}.peers", f"{self.peers[0]} has another peer than {at.ref}")


def outer_address(at: Place, peer: str) -> Address:
    """Where the outer packets to a remote device are sent."""
    device = at.scenario.device(parse_ref(peer))
    assert isinstance(device, Tunnel)  # noqa: S101 - `check` has made sure
    return ip_address(device.local)


def neighbours(at: Place, peer: str) -> Iterable[Step]:
    """What asking would find out: the link-layer address of each address of the remote device."""
    remote = at.of(peer)
    for address in at.scenario.device(remote.ref).addresses:
        ip = str(ip_interface(address).ip)
        yield AddNeighbour(at.ref.host, at.ref.device, ip, remote.mac)
