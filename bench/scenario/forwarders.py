"""Whether the forwarders of a scenario fit its devices and each other."""

from __future__ import annotations

from collections.abc import Iterator

from bench.devices import Device, DeviceRef, HeldDevice, Macvtap, Nic, Tap, Tun
from bench.devices.base import Fail
from bench.devices.reading import (
    devices,
    local_addresses,
    read_device,
    read_endpoint,
    read_network,
)
from bench.endpoint import parse_endpoint
from bench.native import Address
from bench.scenario.model import Forwarder, Program, Pump, Qemu, Scenario
from bench.scenario.proxies import check_proxies

_IPV6 = 6


def check_forwarders(scenario: Scenario, fail: Fail) -> None:
    """Raise `fail`'s error for the first forwarder that does not fit."""
    holder: dict[DeviceRef, int] = {}
    listening: dict[tuple[Address, int], int] = {}
    for i, forwarder in enumerate(scenario.forwarders):
        key = f"forwarders[{i}]"
        refs = _held(scenario, forwarder, key, fail)
        for ref in refs:
            if ref in holder:
                raise fail(f"{key}.devices", f"{ref} is already held by forwarders[{holder[ref]}]")
            holder[ref] = i
        if forwarder.listen is not None:
            where = _socket(scenario, refs[0].host, forwarder.listen, f"{key}.listen", fail)
            if where in listening:
                raise fail(f"{key}.listen", f"forwarders[{listening[where]}] listens there")
            listening[where] = i
    for i, forwarder in enumerate(scenario.forwarders):
        for where_to, hop in _far_ends(forwarder, f"forwarders[{i}]", fail):
            address, port = read_endpoint(hop, where_to, fail)
            if (address, port) not in listening:
                raise fail(where_to, f"no forwarder listens on {hop}")
            if forwarder.listen and parse_endpoint(forwarder.listen)[0].version != address.version:
                raise fail(where_to, f"expected a peer of the family of {forwarder.listen}")
    _check_leases(scenario, fail)
    check_proxies(scenario, fail)
    for ref, device in devices(scenario):
        if isinstance(device, HeldDevice) and ref not in holder:
            raise fail(
                f"hosts.{ref.host}.devices.{ref.device}",
                f'no forwarder holds it; expected "{ref}" in the devices of one',
            )


def _held(scenario: Scenario, forwarder: Forwarder, key: str, fail: Fail) -> list[DeviceRef]:
    """The devices that a forwarder holds, which are of a kind that it can."""
    where = f"{key}.devices"
    refs = [read_device(text, HeldDevice, where, scenario, fail) for text in forwarder.devices]
    held = [scenario.device(ref) for ref in refs]
    if isinstance(forwarder, Pump):
        _check_pump_shape(forwarder, held, key, fail)
    elif isinstance(forwarder, Program):
        _check_program_shape(forwarder, held, key, fail)
    elif isinstance(forwarder, Qemu):
        _check_qemu_shape(forwarder, held, key, fail)
    return refs


def _socket(
    scenario: Scenario, host: str, listen: str, key: str, fail: Fail
) -> tuple[Address, int]:
    """Where a forwarder on `host` listens."""
    address, port = read_endpoint(listen, key, fail)
    if address not in local_addresses(scenario.hosts[host]):
        raise fail(key, f"{address} is no address of {host}")
    return address, port


def _far_ends(forwarder: Forwarder, key: str, fail: Fail) -> Iterator[tuple[str, str]]:
    """Keys and endpoints of all others that a forwarder knows."""
    for prefix, hop in forwarder.routes.items():
        where = f'{key}.routes."{prefix}"'
        read_network(prefix, where, fail)
        yield where, hop
    if isinstance(forwarder, Program):
        yield from ((f"{key}.peers", hop) for hop in forwarder.peers)


def _check_program_shape(program: Program, held: list[Device], key: str, fail: Fail) -> None:
    if len(held) != 1 or isinstance(held[0], Macvtap | Nic):
        raise fail(f"{key}.devices", "expected one tun or tap")
    if program.sockets is not None:
        if not isinstance(held[0], Tap):
            raise fail(f"{key}.devices", "a program with sockets on another host has a tap")
        if program.listen or program.routes or program.peers:
            raise fail(key, "a program with sockets on another host has no listen, routes or peers")
        return
    if program.listen is None:
        raise fail(f"{key}.listen", 'expected "address:port" of its socket')
    if isinstance(held[0], Tun) and (program.peers or not program.routes):
        raise fail(f"{key}.routes", "a program with a tun has routes to its peers; expected some")
    if isinstance(held[0], Tap) and (program.routes or not program.peers):
        raise fail(f"{key}.peers", 'a program with a tap has peers = ["address:port"]')


def _check_qemu_shape(qemu: Qemu, held: list[Device], key: str, fail: Fail) -> None:
    if [type(device) for device in held] != [Nic, Tap]:
        raise fail(f"{key}.devices", 'expected a nic and a tap, ["guest:eth0", "host:tap1"]')
    if qemu.listen is not None:
        raise fail(f"{key}.listen", "a guest's frames go to a tap, not to a socket; expected none")
    if qemu.routes:
        raise fail(f"{key}.routes", "a hypervisor has no routes; expected none")
    if qemu.vhost and qemu.accelerator == "tcg":
        raise fail(f"{key}.vhost", "vhost-net is for guests under KVM; expected false with tcg")


def _check_pump_shape(pump: Pump, held: list[Device], key: str, fail: Fail) -> None:
    shape = [type(device) for device in held]
    if pump.listen is not None:
        if shape != [Tun]:
            raise fail(f"{key}.devices", "a pump that listens holds one tun device")
        if not pump.routes:
            raise fail(f"{key}.routes", 'expected at least one, "prefix" = "address:port"')
    elif shape not in ([Tun, Tun], [Tap, Tap], [Tap, Macvtap], [Macvtap, Tap]):
        raise fail(
            f"{key}.devices",
            "expected two tuns or two taps (one may be a macvtap), or one tun and listen",
        )
    elif pump.routes:
        raise fail(f"{key}.routes", "a pump between two devices has no routes; expected none")
    if pump.routes_from not in ("static", "etcd"):
        raise fail(f"{key}.routes_from", f'"{pump.routes_from}": expected "static" or "etcd"')
    if pump.routes_from == "etcd" and pump.listen is None:
        raise fail(f"{key}.routes_from", "a pump between two devices has no routes")


def _check_leases(scenario: Scenario, fail: Fail) -> None:
    """Whether the routes of pumps that have them from etcd can be leases there."""
    owners: dict[str, str] = {}
    ports = set()
    for i, pump in enumerate(scenario.forwarders):
        if not isinstance(pump, Pump) or pump.routes_from != "etcd":
            continue
        for prefix, hop in pump.routes.items():
            where = f'forwarders[{i}].routes."{prefix}"'
            address, port = parse_endpoint(hop)
            ports.add(port)
            if ":" in prefix or address.version == _IPV6:
                raise fail(where, "flannel keeps routes over UDP for IPv4 only in etcd")
            if owners.setdefault(prefix, hop) != hop:
                raise fail(where, f"in etcd a subnet has one owner; others say {owners[prefix]}")
            if len(ports) > 1:
                raise fail(where, "in etcd the port is the same for all")
