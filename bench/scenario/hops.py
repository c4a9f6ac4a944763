"""Routers put into a path: what one more routed hop costs is the slope over their number.

One link of the path is taken apart, and every piece is the link again, MTU and all:

    A:eth0 ---- B:eth0        A:eth0 -- eth0:hop-1:eth1 -- … -- eth0:hop-k:eth1 -- B:eth0

A and B keep their addresses, so tunnels, pumps and endpoints know nothing of it. The routers have
addresses of single hosts, from a block that the scenario does not use. Host routes, which go before
the network that A and B still believe to share, lead over the routers in both directions; and since
no gateway is looked up twice, every route that leads over the link is given the next router as its
gateway, and to each router as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from itertools import pairwise

import msgspec

from bench.devices import DeviceRef, Veth, parse_ref
from bench.errors import ScenarioError
from bench.native import Network
from bench.scenario.check import check
from bench.scenario.model import Host, Route, Scenario, destination
from bench.scenario.paths import trace

KEY = "parameters.hops"

_NEAR, _FAR = "eth0", "eth1"
"""Devices of a router, towards the client and towards the server."""

_BLOCKS: dict[int, tuple[Network, int]] = {
    4: (IPv4Network("198.18.0.0/15"), 24),
    6: (IPv6Network("2001:2::/48"), 64),
}
"""IP version → what is set aside for benchmarks (RFC 2544, RFC 5180), and how much of it to use."""

_TRIPS = IPv4Network("198.19.255.0/24")
"""Part of it that pumps give to tun devices of their own, for `tun_trips`: see csrc/tuntrip.c."""


def insert(scenario: Scenario, source: str) -> Scenario:
    """`scenario`, which has been checked, with `hops` routers in its path.

    Raises ScenarioError (naming `source`) where there is no link for them.
    """
    if scenario.hops == 0:
        return scenario
    link = _find_link(scenario)
    if link is None:
        raise ScenarioError(
            source,
            KEY,
            "no place for routers: expected a veth pair that packets cross both ways and whose "
            "two ends have addresses of one network, or hops = 0",
        )
    routed = _insert(scenario, *link, source)
    try:
        check(routed, source)
    except ScenarioError as error:
        where = f"routers between {link[0]} and {link[1]} do not work"
        raise ScenarioError(source, KEY, f"{where}: {error.key}: {error.problem}") from None
    return routed


def _find_link(scenario: Scenario) -> tuple[DeviceRef, DeviceRef] | None:
    """The ends of the first link on the way to the server that routers fit into, near end first."""
    client, server = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
    linked = {(parse_ref(a), parse_ref(b)) for a, b in scenario.links}
    there, back = _steps(scenario, client, server), set(_steps(scenario, server, client))
    for a, b in there:
        crossed = (b, a) in back and ((a, b) in linked or (b, a) in linked)
        if crossed and _common_versions(scenario, a, b):
            return a, b
    return None


def _steps(
    scenario: Scenario, source: DeviceRef, target: DeviceRef
) -> list[tuple[DeviceRef, DeviceRef]]:
    refs = [hop.ref for hop in trace(scenario, source, target)]
    return list(pairwise(refs))


def _common_versions(scenario: Scenario, a: DeviceRef, b: DeviceRef) -> list[int]:
    """The IP versions of the networks that both ends have an address of."""
    ours, theirs = (
        {ip_interface(text).network for text in scenario.device(ref).addresses} for ref in (a, b)
    )
    return sorted({network.version for network in ours & theirs})


def _insert(scenario: Scenario, a: DeviceRef, b: DeviceRef, source: str) -> Scenario:
    """`scenario` with its routers between `a` and `b`, which is nearer to the server."""
    versions = _common_versions(scenario, a, b)
    names = _names(scenario)
    blocks = {version: _unused_block(scenario, version, source) for version in versions}
    nears, fars = (
        [{v: str(block[2 * i + j]) for v, block in blocks.items()} for i in range(len(names))]
        for j in (1, 2)
    )
    to_b, to_a = _over(scenario, a, b, versions), _over(scenario, b, a, versions)
    hosts = {
        **scenario.hosts,
        a.host: _rerouted(scenario.hosts[a.host], to_b, a.device, nears[0]),
        b.host: _rerouted(scenario.hosts[b.host], to_a, b.device, fars[-1]),
    }
    for i, name in enumerate(names):
        next_to_b, next_to_a = nears[i + 1 : i + 2], fars[max(i - 1, 0) : i]
        hosts[name] = Host(
            devices={
                _NEAR: _device(nears[i], scenario.device(b).mtu),
                _FAR: _device(fars[i], scenario.device(a).mtu),
            },
            routes=[
                *(_leading(route, _FAR, *next_to_b) for route in to_b),
                *(_leading(route, _NEAR, *next_to_a) for route in to_a),
            ],
            forwarding=True,
        )
    ends = [str(a), *(f"{name}:{device}" for name in names for device in (_NEAR, _FAR)), str(b)]
    links = [pair for pair in scenario.links if set(pair) != {str(a), str(b)}]
    pieces = zip(ends[::2], ends[1::2], strict=True)
    return msgspec.structs.replace(scenario, hosts=hosts, links=[*links, *pieces])


def _over(scenario: Scenario, end: DeviceRef, other: DeviceRef, versions: list[int]) -> list[Route]:
    """What `end` reaches over the link: the other end's addresses, and whatever is behind them."""
    addresses = [ip_interface(text).ip for text in scenario.device(other).addresses]
    near = [address for address in addresses if address.version in versions]
    hosts = [Route(to=str(ip_network(address)), dev=end.device) for address in near]
    taken = {route.to for route in hosts}
    others = [route for route in scenario.hosts[end.host].routes if route.to not in taken]
    leading = [route for route in others if route.dev in (None, end.device)]
    return [*hosts, *(r for r in leading if r.via and ip_address(r.via) in near)]


def _rerouted(host: Host, over: list[Route], device: str, gateway: dict[int, str]) -> Host:
    """`host`, an end of the link, with the first router as the gateway to what is `over` it."""
    changed = {(route.to, destination(route).version) for route in over}
    kept = [r for r in host.routes if (r.to, destination(r).version) not in changed]
    routes = [*kept, *(_leading(route, device, gateway) for route in over)]
    return msgspec.structs.replace(host, routes=routes)


def _leading(route: Route, device: str, gateway: dict[int, str] | None = None) -> Route:
    """`route` by way of another router; without one, to the end of the link by `device`."""
    via = gateway[destination(route).version] if gateway else route.via
    return Route(to=route.to, via=via, dev=device, onlink=via is not None)


def _device(addresses: dict[int, str], mtu: int) -> Veth:
    return Veth(addresses=[str(ip_interface(text)) for text in addresses.values()], mtu=mtu)


def _names(scenario: Scenario) -> list[str]:
    """Names for the routers that no host of the file has."""
    prefix = "hop"
    while any(name.startswith(f"{prefix}-") for name in scenario.hosts):
        prefix += "x"
    return [f"{prefix}-{i}" for i in range(1, scenario.hops + 1)]


def _unused_block(scenario: Scenario, version: int, source: str) -> Network:
    within, length = _BLOCKS[version]
    known = (_TRIPS, *networks(scenario))
    used = [network for network in known if network.version == version]
    for block in within.subnets(new_prefix=length):
        if not any(block.overlaps(network) for network in used):
            return block
    raise ScenarioError(source, KEY, f"no addresses for routers: {within} is in use")


def networks(scenario: Scenario) -> Iterator[Network]:
    """Every network that the scenario knows of."""
    for host in scenario.hosts.values():
        for device in host.devices.values():
            yield from (ip_interface(text).network for text in device.addresses)
        yield from (destination(route) for route in host.routes if destination(route).prefixlen)
    for pump in scenario.forwarders:
        yield from (ip_network(prefix) for prefix in pump.routes if ip_network(prefix).prefixlen)
