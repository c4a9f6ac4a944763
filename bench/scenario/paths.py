"""Which way a packet takes through a scenario, worked out from the file alone.

The trace follows the kernel's own decisions: on each host the longest matching prefix chooses the
device; on the link behind it the frame travels over pairs, bridges, tunnels, devices on top of
others and forwarders of taps to the device that owns the next hop's address; a tun device hands the
packet to its forwarder, which sends it to the one that owns the destination's prefix. Tunnels are
followed underneath: their outer packets cross the underlay, and its devices are on the path too. At
a proxy a connection ends and another one begins; what comes back takes each of them in turn.

So that a scenario is known to work before anything is built, and the devices whose counters must
move when it is measured need not be listed by hand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import NamedTuple

from bench.devices import (
    Bridge,
    DeviceRef,
    Macvtap,
    Nic,
    Place,
    Stacked,
    Tap,
    Tun,
    Tunnel,
    ipsec,
    parse_ref,
)
from bench.devices.tunnel import outer_address
from bench.endpoint import parse_endpoint
from bench.native import Address, Network
from bench.scenario.model import Forwarder, Host, Program, Scenario, destination
from bench.scenario.wiring import Wiring, wire

_MAX_HOPS = 32
"""IP hops and nested tunnels a path may have; more means a loop."""


class NoPath(Exception):
    """The packet gets no further; the text says at which host and why."""


@dataclass(frozen=True)
class Hop:
    """One device on a path.

    counted: whether every packet of the path moves the device's own counters. A bridge that only
        switches a frame between two of its ports does not count it.
    """

    ref: DeviceRef
    counted: bool = True


def trace(scenario: Scenario, client: DeviceRef, server: DeviceRef) -> tuple[Hop, ...]:
    """The devices a packet crosses from `client`'s to `server`'s address, in order.

    Raises NoPath where it would not arrive.
    """
    wiring, ends = wire(scenario), scenario.endpoints
    if scenario.proxied and (str(client), str(server)) == (ends.server, ends.client):
        return tuple(_back(wiring, _legs(wiring, server, client, server_address(scenario))))
    own = ip_interface(scenario.device(server).addresses[0]).ip
    target = server_address(scenario) if str(server) == ends.server else own
    return tuple(hop for leg in _legs(wiring, client, server, target) for hop in leg.hops)


def server_address(scenario: Scenario) -> Address:
    """The address that the client endpoint talks to."""
    if scenario.endpoints.address is not None:
        return ip_address(scenario.endpoints.address)
    return listening_address(scenario)


def listening_address(scenario: Scenario) -> Address:
    """The address of its own that the server endpoint listens at."""
    return ip_interface(scenario.device(parse_ref(scenario.endpoints.server)).addresses[0]).ip


class Choice(NamedTuple):
    """What a host does with a packet: by which route, and to whom on the link behind it."""

    network: Network
    device: str
    next_hop: Address


@dataclass(frozen=True)
class _Leg:
    """The way of one connection: all there is, or up to the next proxy, or from one into its tap.

    start, end: hosts. source: the address that `start` has in it. hops: from `start` to `end`.
    """

    start: str
    end: str
    source: Address
    hops: tuple[Hop, ...]


def _legs(wiring: Wiring, client: DeviceRef, server: DeviceRef, target: Address) -> list[_Leg]:
    """The connections by which the client reaches the server when it talks to `target`."""
    hosts = wiring.scenario.hosts
    forwards = {
        ip_address(f.forwards): parse_ref(f.devices[0])
        for f in wiring.scenario.forwarders
        if isinstance(f, Program) and f.forwards
    }
    legs: list[_Leg] = []
    start = client.host
    while len(legs) < _MAX_HOPS:
        hops = tuple(_route(wiring, start, target, 0))
        end = hops[-1].ref.host if hops else start
        if hops:
            source = _source(start, hosts[start], target)
            legs.append(_Leg(start, end, source, hops))
        proxy = wiring.proxy(hops[-1].ref) if hops else None
        if proxy is not None and proxy.sockets:
            start = proxy.sockets
            continue
        if target in forwards:
            tap = forwards[target]
            source = legs[-1].source if legs else target
            legs.append(_Leg(end, tap.host, source, (Hop(tap),)))
            end = tap.host
        if end != server.host:
            raise NoPath(f"{end} has the address {target}, and {server.host} is not behind it")
        return legs
    raise NoPath(f"connections to {target} go in a circle")


def _back(wiring: Wiring, legs: list[_Leg]) -> Iterator[Hop]:
    """The way of what comes back over the connections `legs`."""
    for leg in reversed(legs):
        first, last = leg.hops[0].ref, leg.hops[-1].ref
        if wiring.proxy(last) and first.host == leg.start:  # the proxy hands it back to the tap
            yield Hop(last)
            yield from _route(wiring, last.host, leg.source, 0)
            continue
        hops = tuple(_route(wiring, leg.end, leg.source, 0))
        if wiring.proxy(first) and (not hops or hops[-1].ref != first):
            raise NoPath(f"{leg.end} answers {leg.source} not by {first}")
        yield from hops


def _source(name: str, host: Host, target: Address) -> Address:
    """The address that a connection to `target` has on its own host."""
    _, device, next_hop = choose(name, host, target)
    own = [(d, i) for d, i in _interfaces(host) if i.version == target.version]
    if not own:
        raise NoPath(f"{name} has no address to reach {target} from")
    best = max(own, key=lambda one: (one[0] == device, next_hop in one[1].network))
    return best[1].ip


def _route(wiring: Wiring, host_name: str, target: Address, depth: int) -> Iterator[Hop]:
    """Follow an IP packet for `target` from `host_name`, yielding each device it crosses."""
    start = host_name
    for hop in range(_MAX_HOPS):
        host = wiring.scenario.hosts[host_name]
        if any(target == interface.ip for _, interface in _interfaces(host)):
            return
        if hop and not host.forwarding:
            raise NoPath(
                f"{host_name} would have to forward from {start} to {target}; "
                f"set hosts.{host_name}.forwarding = true"
            )
        _, device, next_hop = choose(host_name, host, target)
        tunnel = ipsec.through(wiring.scenario, host_name, ip_network(target))
        if tunnel is not None:
            if depth >= _MAX_HOPS:
                raise NoPath(f"the packet for {target} is tunnelled through itself")
            far, outer = tunnel
            yield from _route(wiring, host_name, ip_address(outer), depth + 1)
            host_name = far
            continue
        ref = DeviceRef(host_name, device)
        if wiring.proxy(ref):
            if depth:
                raise NoPath(f"the outer packets of a tunnel end at the proxy of {ref}")
            yield Hop(ref)
            return
        if isinstance(host.devices[device], Tun):
            hops = list(_through_tun(wiring, ref, target, depth))
        elif isinstance(host.devices[device], Tunnel) and host.devices[device].ip_only:
            hops = list(_through_tunnel(wiring, ref, target, depth))
        else:
            hops = list(_across_link(wiring, ref, next_hop, depth))
        yield from hops
        host_name = hops[-1].ref.host
    raise NoPath(f"the packet for {target} is routed in a circle")


def _interfaces(host: Host) -> Iterator[tuple[str, IPv4Interface | IPv6Interface]]:
    for name, device in host.devices.items():
        for text in device.addresses:
            yield name, ip_interface(text)


def choose(name: str, host: Host, target: Address) -> Choice:
    """The longest matching route of `host`, which is called `name`. Raises NoPath without one."""
    matches = [
        Choice(interface.network, device, target)
        for device, interface in _interfaces(host)
        if target in interface.network
    ]
    for route in host.routes:
        network = destination(route)
        if target in network:
            next_hop = ip_address(route.via) if route.via else target
            device = route.dev or next(d for d, i in _interfaces(host) if next_hop in i.network)
            matches.append(Choice(network, device, next_hop))
    if not matches:
        raise NoPath(f"{name} has no route to {target}")
    return max(matches, key=lambda match: match.network.prefixlen)


def _through_tun(wiring: Wiring, ref: DeviceRef, target: Address, depth: int) -> Iterator[Hop]:
    """From a tun device through its forwarder (and, with a socket, the underlay) to the far tun."""
    if depth >= _MAX_HOPS:
        raise NoPath(f"{ref} is tunnelled through itself")
    yield Hop(ref)
    holder, far = _held_by(wiring, ref)
    if far is not None:
        yield Hop(far)
        return
    routes = [(ip_network(prefix), parse_endpoint(hop)) for prefix, hop in holder.routes.items()]
    matching = [(network.prefixlen, hop) for network, hop in routes if target in network]
    if not matching:
        raise NoPath(f"the forwarder on {ref} has no route to {target}")
    next_hop = max(matching, key=lambda match: match[0])[1]
    yield from _route(wiring, ref.host, next_hop[0], depth + 1)
    yield Hop(_behind(wiring, next_hop))


def _through_tunnel(wiring: Wiring, ref: DeviceRef, target: Address, depth: int) -> Iterator[Hop]:
    """From a tunnel without frames over the underlay to its far end."""
    if depth >= _MAX_HOPS:
        raise NoPath(f"{ref} is tunnelled through itself")
    yield Hop(ref)
    device = wiring.scenario.device(ref)
    far = device.toward(target) if isinstance(device, Tunnel) else None
    if far is None:
        raise NoPath(f"{ref} has no peer for {target}")
    outer = outer_address(Place(wiring.scenario, ref), far)
    yield from _route(wiring, ref.host, outer, depth + 1)
    yield Hop(parse_ref(far))


def _behind(wiring: Wiring, endpoint: tuple[Address, int]) -> DeviceRef:
    """The device of the forwarder that listens at `endpoint`."""
    listening = (f for f in wiring.scenario.forwarders if f.listen)
    peer = next(f for f in listening if f.listen and parse_endpoint(f.listen) == endpoint)
    return parse_ref(peer.devices[0])


def _tap_peers(holder: Forwarder) -> list[tuple[Address, int]]:
    """Where a forwarder with a tap and a socket sends frames."""
    return [parse_endpoint(text) for text in holder.peers] if isinstance(holder, Program) else []


def _held_by(wiring: Wiring, ref: DeviceRef) -> tuple[Forwarder, DeviceRef | None]:
    """The forwarder that holds `ref`, and the other device it holds, if any."""
    holder = wiring.held_by[ref]
    others = [parse_ref(text) for text in holder.devices]
    return holder, next((other for other in others if other != ref), None)


def _across_link(wiring: Wiring, start: DeviceRef, next_hop: Address, depth: int) -> Iterator[Hop]:
    """From `start` over layer 2 to the device that owns `next_hop`, breadth first."""
    if depth >= _MAX_HOPS:
        raise NoPath(f"{start} is tunnelled through itself")
    came_from: dict[DeviceRef, DeviceRef | None] = {start: None}
    queue = deque([start])
    while queue:
        ref = queue.popleft()
        addresses = wiring.scenario.device(ref).addresses
        if ref != start and any(ip_interface(text).ip == next_hop for text in addresses):
            yield from _walk_back(wiring, came_from, ref, depth)
            return
        for neighbour in _neighbours(wiring, ref, came_from[ref]):
            if neighbour not in came_from:
                came_from[neighbour] = ref
                queue.append(neighbour)
    raise NoPath(f"nothing behind {start} has the address {next_hop}")


def _walk_back(
    wiring: Wiring,
    came_from: dict[DeviceRef, DeviceRef | None],
    end: DeviceRef,
    depth: int,
) -> Iterator[Hop]:
    chain = [end]
    while (previous := came_from[chain[-1]]) is not None:
        chain.append(previous)
    chain.reverse()
    for i, ref in enumerate(chain):
        device = wiring.scenario.device(ref)
        after = chain[i + 1] if i + 1 < len(chain) else None
        switched = isinstance(device, Bridge) and 0 < i < len(chain) - 1
        yield Hop(ref, counted=not switched)
        if isinstance(device, Stacked) and after == wiring.link_peer[device.lower()]:
            yield Hop(device.lower())
        if isinstance(device, Tunnel) and str(after) in device.ends():
            outer = outer_address(Place(wiring.scenario, ref), str(after))
            yield from _route(wiring, ref.host, outer, depth + 1)
        if isinstance(device, Tap) and after is not None and after.host != ref.host:
            for peer_address, port in _tap_peers(_held_by(wiring, ref)[0]):
                if _behind(wiring, (peer_address, port)) == after:
                    yield from _route(wiring, ref.host, peer_address, depth + 1)


def _neighbours(wiring: Wiring, ref: DeviceRef, previous: DeviceRef | None) -> Iterator[DeviceRef]:
    """The devices that a frame leaving `ref`, or entering it from `previous`, reaches next."""
    device = wiring.scenario.device(ref)
    if ref in wiring.bridge_of:
        yield wiring.bridge_of[ref]
    if ref in wiring.link_peer:
        yield wiring.link_peer[ref]
    if previous is not None:  # what the host itself sends does not reach those on top
        yield from (top for top in wiring.on_top.get(ref, ()) if _leaves(wiring, top))
    if isinstance(device, Stacked):
        yield from (top for top in wiring.on_top[device.lower()] if top != ref)
        if device.leaves():
            yield wiring.link_peer[device.lower()]
    elif isinstance(device, Bridge):
        yield from (DeviceRef(ref.host, port) for port in device.ports)
    elif isinstance(device, Tunnel):
        yield from map(parse_ref, device.ends())
    if isinstance(device, Tap | Macvtap | Nic):
        holder, far = _held_by(wiring, ref)
        if far is not None:
            yield far
        yield from (_behind(wiring, endpoint) for endpoint in _tap_peers(holder))


def _leaves(wiring: Wiring, ref: DeviceRef) -> bool:
    """Whether a device on top of another exchanges frames with those that that one is linked to."""
    device = wiring.scenario.device(ref)
    return isinstance(device, Stacked) and device.leaves()
