"""Proof that a path carries packets, before anything on it is measured.

A number taken on a path that traffic went round would look as good as any. So a few datagrams are
exchanged first, and every device that the scenario says is on the path must have counted them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench import native
from bench.errors import CannotMeasure
from bench.forwarders import Running
from bench.guests import Guest
from bench.pingpong import NO_ECHO, PAYLOAD, ROUND_TIMEOUT, connect
from bench.probes.base import Path, client
from bench.probes.echo import ping_in_guest, responder
from bench.process import Send
from bench.scenario import DeviceRef, Scenario, parse_ref, trace
from bench.topology import Topology

_ROUNDS = 20
_ATTEMPTS = 3


def prove(topology: Topology, name: str, forwarders: Sequence[Running] = ()) -> Path:
    """Exchange datagrams between the endpoints and return the path they took.

    forwarders: what moves packets on it, for probes that look at them.
    Raises CannotMeasure where no echo comes back, or a device on the path did not count them; the
    text says how far packets got.
    """
    path = Path(topology, name, forwarders)
    before = _counts(topology)
    with responder(path) as (_, address):
        _exchange(path, address, before)
    crossings = _crossings(topology.scenario)
    silent = [ref for ref, count in _moved(path, before) if count < crossings[ref] * _ROUNDS]
    if silent:
        names = ", ".join(map(str, silent))
        raise CannotMeasure(
            f"{path.client.host}: echoes came back, but not through {names}: "
            "the path is not the one the scenario describes"
        )
    return path


def _exchange(path: Path, address: str, before: dict[DeviceRef, int]) -> None:
    """Send datagrams back and forth, after some tries: the first has to wait for ARP."""

    def ping(_: Send) -> dict[str, bool]:
        with connect(address) as sock:
            for _attempt in range(_ATTEMPTS):
                try:
                    native.ping(sock.fileno(), PAYLOAD, 1, ROUND_TIMEOUT)
                    native.ping(sock.fileno(), PAYLOAD, _ROUNDS, ROUND_TIMEOUT)
                    return {"echoed": True}
                except TimeoutError:
                    continue
        raise CannotMeasure(f"{NO_ECHO} {address} in {_ATTEMPTS} attempts of {ROUND_TIMEOUT:g} s")

    timeout = _ATTEMPTS * ROUND_TIMEOUT * 2 + 5
    place = path.place(path.client.host)
    try:
        if isinstance(place, Guest):
            ping_in_guest(place, address, 0, _ROUNDS, timeout)
        else:
            with client(path, "ping-pong", ping) as child:
                child.receive(timeout)
    except CannotMeasure as error:
        reached = [str(ref) for ref, count in _moved(path, before) if count > 0]
        where = (
            f"packets were seen on {', '.join(reached)}" if reached else "no device saw a packet"
        )
        raise CannotMeasure(f"{error}; {where}") from None


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
