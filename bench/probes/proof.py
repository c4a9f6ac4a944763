"""Proof that a path carries packets, before anything on it is measured.

A number taken on a path that traffic went round would look as good as any. So a few datagrams are
exchanged first, and every device that the scenario says is on the path must have counted them.
"""

from __future__ import annotations

import socket
from collections import Counter

from bench import native
from bench.errors import CannotMeasure
from bench.probes.base import Path, client
from bench.probes.rtt import PAYLOAD, responder
from bench.process import Send
from bench.scenario import DeviceRef, Scenario, parse_ref, trace
from bench.topology import Topology

_ROUNDS = 20
_ATTEMPTS = 3
_TIMEOUT = 1.0


def prove(topology: Topology, name: str) -> Path:
    """Exchange datagrams between the endpoints and return the path they took.

    Raises CannotMeasure where no echo comes back, or a device on the path did not count them; the
    text says how far packets got.
    """
    path = Path(topology, name, rtt=0.0)
    before = _counts(topology)
    with responder(path) as (_, address):
        rtt = _round_trips(path, address, before)
    crossings = _crossings(topology.scenario)
    silent = [ref for ref, count in _moved(path, before) if count < crossings[ref] * _ROUNDS]
    if silent:
        names = ", ".join(map(str, silent))
        raise CannotMeasure(
            f"{path.client.host}: echoes came back, but not through {names}: "
            "the path is not the one the scenario describes"
        )
    return Path(topology, name, rtt)


def _round_trips(path: Path, address: str, before: dict[DeviceRef, int]) -> float:
    """Seconds of one round trip, after some tries: the first datagram has to wait for ARP."""
    host, _, port = address.rpartition(":")

    def ping(_: Send) -> dict[str, float]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((host, int(port)))
            for _attempt in range(_ATTEMPTS):
                try:
                    native.ping(sock.fileno(), PAYLOAD, 1, _TIMEOUT)
                    return {"rtt": native.ping(sock.fileno(), PAYLOAD, _ROUNDS, _TIMEOUT)}
                except TimeoutError:
                    continue
        raise CannotMeasure(f"no echo from {address} in {_ATTEMPTS} attempts of {_TIMEOUT:g} s")

    try:
        with client(path, "ping-pong", ping) as child:
            seconds: float = child.receive(_ATTEMPTS * _TIMEOUT * 2 + 5)["rtt"]
    except CannotMeasure as error:
        reached = [str(ref) for ref, count in _moved(path, before) if count > 0]
        where = (
            f"packets were seen on {', '.join(reached)}" if reached else "no device saw a packet"
        )
        raise CannotMeasure(f"{error}; {where}") from None
    return seconds / _ROUNDS


def path_devices(scenario: Scenario) -> list[DeviceRef]:
    """The devices whose counters packets between the endpoints move: those on the way there, in
    order, then those that are only on the way back."""
    return list(_crossings(scenario))


def _crossings(scenario: Scenario) -> Counter[DeviceRef]:
    """How often one round trip moves the counters of each device."""
    client, server = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
    hops = (*trace(scenario, client, server), *trace(scenario, server, client))
    return Counter(hop.ref for hop in hops if hop.counted)


def _counts(topology: Topology) -> dict[DeviceRef, int]:
    """Packets received and sent by each device of the path."""
    refs = path_devices(topology.scenario)
    traffic = {host: topology.traffic(host) for host in dict.fromkeys(r.host for r in refs)}
    found = {ref: traffic[ref.host].get(ref.device) for ref in refs}
    return {ref: t.rx_packets + t.tx_packets if t else 0 for ref, t in found.items()}


def _moved(path: Path, before: dict[DeviceRef, int]) -> list[tuple[DeviceRef, int]]:
    after = _counts(path.topology)
    return [(ref, after[ref] - before[ref]) for ref in before]
