"""Which way a packet takes, stop by stop.

The devices are those of `bench.scenario.trace`, in its order; here it is found out what lies
between each and the next: the link behind it, a bridge, a passage through the IP layer of the host,
or a process that takes the packet out of the kernel and hands it back in. Tunnels are kept on a
stack, so it is known which packet is on its way: the one that was sent, or one around it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Literal

from bench.devices import (
    Bridge,
    Device,
    DeviceRef,
    Macvtap,
    Nic,
    Pair,
    Place,
    Stacked,
    Tap,
    Tun,
    Tunnel,
    ipsec,
    parse_ref,
)
from bench.devices.reading import local_addresses
from bench.devices.tunnel import outer_address
from bench.drawing.model import Crossing, Leg, Stop, Verb, Way
from bench.endpoint import parse_endpoint
from bench.native import Address
from bench.scenario import Scenario, server_address, trace
from bench.scenario.model import Forwarder, Program, Qemu
from bench.scenario.paths import choose
from bench.scenario.wiring import wire

_TUNNELS = {"vxlan": "VXLAN", "geneve": "Geneve", "wireguard": "WireGuard", "ipip": "IP in IP"}
"""Kind → name. Others are called what their kind is."""

Arrival = Literal["out", "in"] | None
"""What the next device does with the packet; None: there is none, it has arrived."""


@dataclass(frozen=True)
class _Packet:
    """What is on its way, or was put into another one.

    target: its destination. next_hop: whom it is sent to on the link where it is.
    label: of the tunnel that it is the outer packet of. end: the host where that is undone, by
    `process` if by any; far: the device that the inner packet then comes out of.
    """

    target: Address
    label: str = ""
    end: str = ""
    far: DeviceRef | None = None
    process: Forwarder | None = None
    esp: Literal["", "transport", "tunnel"] = ""
    next_hop: Address | None = None


def way_of(scenario: Scenario) -> Way:
    """Follow a packet from the client of a scenario that has been checked to its server."""
    walk = _Walk(scenario)
    walk.go()
    return Way(tuple(walk.stops), tuple(walk.legs))


class _Walk:
    """A packet that is followed; `stops` and `legs` grow as it goes."""

    def __init__(self, scenario: Scenario) -> None:
        self.stops: list[Stop] = []
        self.legs: list[Leg] = []
        self._scenario = scenario
        self._wiring = wire(scenario)
        self._ends = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
        self._refs = [hop.ref for hop in trace(scenario, *self._ends)]
        self._next = 0
        """The position in `_refs` of the next device."""
        self._packets = [_Packet(server_address(scenario))]
        self._leg = Leg()
        self._decrypted = False
        self._unpacks = False
        """Whether the next stop is the device that the outer packet ends at."""

    def go(self) -> None:
        """Follow it all the way."""
        client = self._ends[0].host
        self._stop(Stop("process", client, "client"))
        arrival = self._send(client)
        while arrival is not None:
            ref = self._refs[self._next]
            self._next += 1
            self._stop(Stop("device", ref.host, ref.device, arrival, ref))
            arrival = self._leave(ref) if arrival == "out" else self._enter(ref)

    # ---- noting down ----------------------------------------------------------------------------

    def _stop(self, stop: Stop) -> None:
        """The packet comes by `stop`."""
        if self.stops:
            labels = [packet.label for packet in self._packets if packet.label]
            self.legs.append(replace(self._leg, tunnels=tuple(labels)))
        if self._unpacks:
            self._packets.pop()
        self._leg, self._unpacks = Leg(), False
        self.stops.append(stop)

    def _cross(self, verb: Verb, process: str, host: str | None, ref: DeviceRef | None) -> None:
        """A process does something with the packet on its way to the next stop."""
        number = 1 + sum(leg.crossing is not None for leg in self.legs)
        self._leg = Leg(Crossing(number, process, host, verb, ref))

    @property
    def _packet(self) -> _Packet:
        return self._packets[-1]

    @property
    def _after(self) -> DeviceRef | None:
        """The next device of the trace."""
        return self._refs[self._next] if self._next < len(self._refs) else None

    # ---- the IP layer ---------------------------------------------------------------------------

    def _send(self, host: str) -> Arrival:
        """The process that it is at hands it to a socket."""
        self._cross("sends", self.stops[-1].name, host, None)
        return self._send_by_ip(host, "sends")

    def _send_by_ip(self, host: str, does: Literal["sends", "forwards"]) -> Arrival:
        """The IP layer of `host` has it to send."""
        packet = self._packet
        if packet.target in local_addresses(self._scenario.hosts[host]):
            self._stop(Stop("ip", host, "IP", does, details=("to the host itself",)))
            return self._receive_by_ip(host)
        choice = choose(host, self._scenario.hosts[host], packet.target)
        self._packets[-1] = replace(packet, next_hop=choice.next_hop)
        network = str(choice.network) if choice.network.prefixlen else "default"
        esp = self._encrypted(host, does)
        encrypts = ("ESP encrypts",) if esp and esp.esp == "transport" else ()
        details = (network, f"→ {choice.device}", *encrypts)
        self._stop(Stop("ip", host, "IP", does, details=details))
        if esp is not None:
            self._packets.append(esp)
            if esp.esp == "tunnel":
                self._stop(Stop("join", host, "ESP", details=("encrypts",)))
                return self._send_by_ip(host, "sends")
        return "out"

    def _encrypted(self, host: str, does: str) -> _Packet | None:
        """What the packet is put into that `host` sends or forwards, if IPsec has it."""
        tunnel = ipsec.through(self._scenario, host, ip_network(self._packet.target))
        if tunnel is not None:
            return _Packet(ip_address(tunnel[1]), "ESP", tunnel[0], esp="tunnel")
        if self._packet.esp or does == "forwards":  # what is forwarded is not from its own address
            return None
        for entry in self._scenario.ipsec:
            for near, far in (entry.ends, entry.ends[::-1]):
                there = ipsec.outer(self._scenario, parse_ref(far))
                ends = (parse_ref(near).host, there) == (host, str(self._packet.target))
                if entry.mode == "transport" and ends:
                    where = parse_ref(far).host
                    hop = self._packet.next_hop
                    return _Packet(ip_address(there), "ESP", where, esp="transport", next_hop=hop)
        return None

    def _receive_by_ip(self, host: str) -> Arrival:
        """The IP layer of `host` is given it."""
        packet, after = self._packet, self._after
        if packet.esp and packet.end == host:
            return self._decrypt(host)
        if packet.label and packet.end == host and packet.far == after:
            return self._take_out(packet, host)
        proxy = self._proxy_for(host)
        if after is None or proxy is not None:
            self._stop(Stop("ip", host, "IP", "receives", details=self._details()))
            if proxy is None:
                self._cross("receives", "server", host, None)
                self._stop(Stop("process", host, "server"))
                return None
            self._hand_to(proxy, host, after)
            return "in"
        return self._send_by_ip(host, "forwards")

    def _details(self) -> tuple[str, ...]:
        decrypted, self._decrypted = self._decrypted, False
        return ("ESP decrypts",) if decrypted else ()

    def _decrypt(self, host: str) -> Arrival:
        if self._packet.esp == "tunnel":
            self._stop(Stop("ip", host, "IP", "receives"))
            self._stop(Stop("join", host, "ESP", details=("decrypts",)))
        else:
            self._decrypted = True
        self._packets.pop()
        return self._receive_by_ip(host)

    def _take_out(self, packet: _Packet, host: str) -> Arrival:
        """The outer packet of a tunnel has arrived; the inner one comes out of a device."""
        self._stop(Stop("ip", host, "IP", "receives", details=self._details()))
        if packet.process is None:
            self._unpacks = True
        else:
            self._hand_to(packet.process, host, packet.far)
            self._packets.pop()
        return "in"

    def _hand_to(self, forwarder: Forwarder, host: str, device: DeviceRef | None) -> None:
        """A process receives it and writes it to a device."""
        name = name_of(forwarder)
        self._cross("receives", name, host, None)
        self._stop(process_of(forwarder, host))
        self._cross("writes", name, host, device)

    def _proxy_for(self, host: str) -> Program | None:
        """The proxy on `host` that hands what arrives there to the tap that comes next."""
        proxy = self._wiring.proxy(self._after) if self._after else None
        if proxy is None or self._after is None or self._after.host == host:
            return None
        return proxy if proxy.sockets == host and proxy.forwards else None

    # ---- devices --------------------------------------------------------------------------------

    def _leave(self, ref: DeviceRef) -> Arrival:
        """The driver of `ref` is handed it."""
        device, after = self._scenario.device(ref), self._after
        if isinstance(device, Tun | Tap | Nic):
            return self._through_process(ref)
        if isinstance(device, Tunnel):
            far = self._far_end({parse_ref(text) for text in device.ends()})
            outer = outer_address(Place(self._scenario, ref), str(far))
            self._packets.append(_Packet(outer, _label(device), far.host, far))
            return self._send_by_ip(ref.host, "sends")
        if isinstance(device, Stacked) and after != device.lower():
            lower = device.lower()
            name = f"{_kind(device)}s of {lower.device}"
            self._stop(Stop("join", lower.host, name, details=("switch among them",)))
            return "in"
        if isinstance(device, Stacked | Bridge):
            return "out"
        if isinstance(device, Pair) and after and after.host != ref.host:
            self._leg = Leg(link=f"{_kind(device)} pair")
        return "in"

    def _enter(self, ref: DeviceRef) -> Arrival:
        """`ref` receives it: it goes on among devices until it has reached the next hop."""
        device, after = self._scenario.device(ref), self._after
        if isinstance(device, Macvtap):
            return self._through_process(ref)
        own = [ip_interface(text).ip for text in device.addresses]
        if after is not None and self._packet.next_hop not in own:
            if self._wiring.bridge_of.get(ref) == after:
                return "in"
            if isinstance(device, Bridge) and self._wiring.bridge_of.get(after) == ref:
                return "out"
            if after in self._wiring.on_top.get(ref, ()):
                return "in"
        return self._receive_by_ip(ref.host)

    def _through_process(self, ref: DeviceRef) -> Arrival:
        """From a device to the process behind it, and on."""
        forwarder = self._wiring.held_by[ref]
        name = name_of(forwarder)
        others = [other for other in map(parse_ref, forwarder.devices) if other != ref]
        if others:
            return self._between(forwarder, ref, others[0])
        proxied = isinstance(forwarder, Program) and forwarder.sockets
        host = str(proxied) if proxied else ref.host
        self._cross("reads", name, host, ref)
        self._stop(process_of(forwarder, host))
        if not proxied:
            self._packets.append(self._datagram_of(forwarder))
        return self._send(host)

    def _between(self, forwarder: Forwarder, ref: DeviceRef, other: DeviceRef) -> Arrival:
        """Through a process that holds two devices, of which one may be that of a guest."""
        hosts = {ref.host, other.host}
        host = ref.host if len(hosts) == 1 else None
        name = name_of(forwarder)
        if isinstance(forwarder, Qemu):
            host = parse_ref(forwarder.devices[1]).host
            if forwarder.vhost:
                self._stop(Stop("join", host, "vhost-net", details=("in the kernel",)))
                return "in"
        self._touch("reads", name, host, ref)
        self._stop(process_of(forwarder, host))
        self._touch("writes", name, host, other)
        return "out" if isinstance(self._scenario.device(other), Macvtap) else "in"

    def _touch(self, verb: Verb, name: str, host: str | None, ref: DeviceRef) -> None:
        """A process reads or writes a device; with a guest, it shares memory instead."""
        if isinstance(self._scenario.device(ref), Nic):
            self._leg = Leg(link="virtio queue")
        else:
            self._cross(verb, name, host, ref)

    def _datagram_of(self, forwarder: Forwarder) -> _Packet:
        """What a process with a socket puts the packet into."""
        listening = {parse_endpoint(f.listen): f for f in self._scenario.forwarders if f.listen}
        peers = forwarder.peers if isinstance(forwarder, Program) else []
        ends = [parse_endpoint(text) for text in (*forwarder.routes.values(), *peers)]
        behind = {parse_ref(listening[end].devices[0]): end for end in ends}
        far = self._far_end(set(behind))
        address, port = behind[far]
        peer = listening[behind[far]]
        return _Packet(address, f"UDP {port}", far.host, far, peer)

    def _far_end(self, ends: set[DeviceRef]) -> DeviceRef:
        """Which of the far ends of a tunnel the packet comes out of: the first that is ahead."""
        return next(ref for ref in self._refs[self._next :] if ref in ends)


# ---- names --------------------------------------------------------------------------------------


def name_of(forwarder: Forwarder) -> str:
    """What a process is called in drawings."""
    if isinstance(forwarder, Program):
        return forwarder.program
    return "QEMU" if isinstance(forwarder, Qemu) else "pump"


def process_of(forwarder: Forwarder, host: str | None) -> Stop:
    """A forwarder as a stop."""
    details = (f"UDP {forwarder.listen}",) if forwarder.listen else ()
    if isinstance(forwarder, Program) and forwarder.sockets:
        details = ("and its sockets",)
    return Stop("process", host, name_of(forwarder), details=details)


def _kind(device: Device) -> str:
    """A device's kind, as in the scenario's file."""
    return str(device.__struct_config__.tag)


def _label(device: Tunnel) -> str:
    """What a tunnel's packets are, and to which port they go if they have one."""
    name = _TUNNELS.get(_kind(device), _kind(device))
    port = getattr(device, "port", None)
    return f"{name}, UDP {port}" if port else name
