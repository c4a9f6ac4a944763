"""The host that etcd runs on, where pumps have their routes from there, and its wires.

It is joined to the host of each such pump by a wire of its own, over which no packet that is
measured goes, so the path is the same as with static routes.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import msgspec

from bench.devices import Bridge, Veth, parse_ref
from bench.errors import ScenarioError
from bench.scenario.check import check
from bench.scenario.hops import networks
from bench.scenario.model import Host, Pump, Scenario

HOST = "etcd"
ADDRESS = IPv4Address("198.51.100.1")
_NETWORK = IPv4Network("198.51.100.0/24")
"""Set aside for documentation (RFC 5737), as are the underlays of the shipped scenarios."""
_DEVICE = "ctl0"
_MOST = 250
"""Hosts that have an address in it."""


def insert(scenario: Scenario, source: str) -> Scenario:
    """`scenario`, which has been checked, with etcd's host where any pump needs it.

    Raises ScenarioError (naming `source`) where there is no place for it.
    """
    names = list(dict.fromkeys(parse_ref(pump.devices[0]).host for pump in following(scenario)))
    if not names:
        return scenario

    def fail(problem: str) -> ScenarioError:
        return ScenarioError(source, "forwarders", f'routes_from = "etcd": {problem}')

    if HOST in scenario.hosts:
        raise fail(f"the name of the host {HOST} is needed for etcd's own")
    if any(_NETWORK.overlaps(net) for net in networks(scenario) if isinstance(net, IPv4Network)):
        raise fail(f"{_NETWORK} is needed for the wires to etcd")
    if len(names) > _MOST:
        raise fail(f"expected pumps on at most {_MOST} hosts")
    hosts, links = dict(scenario.hosts), list(scenario.links)
    ports = [f"{_DEVICE}-{i}" for i in range(len(names))]
    for i, (name, port) in enumerate(zip(names, ports, strict=True)):
        wire = Veth(addresses=[f"{_NETWORK[i + 2]}/{_NETWORK.prefixlen}"])
        devices = {**hosts[name].devices, _DEVICE: wire}
        if _DEVICE in hosts[name].devices:
            raise fail(f"the name of {name}:{_DEVICE} is needed for the wire to etcd")
        hosts[name] = msgspec.structs.replace(hosts[name], devices=devices)
        links.append((f"{name}:{_DEVICE}", f"{HOST}:{port}"))
    bridge = Bridge(ports=ports, addresses=[f"{ADDRESS}/{_NETWORK.prefixlen}"])
    hosts[HOST] = Host(devices={"br0": bridge, **{port: Veth() for port in ports}})
    added = msgspec.structs.replace(scenario, hosts=hosts, links=links)
    check(added, source)
    return added


def following(scenario: Scenario) -> list[Pump]:
    """The pumps that have their routes from etcd."""
    return [
        pump
        for pump in scenario.forwarders
        if isinstance(pump, Pump) and pump.routes_from == "etcd"
    ]
