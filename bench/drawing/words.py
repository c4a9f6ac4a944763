"""A packet's way in words: for those who do not see the drawing, and for what stands in it."""

from __future__ import annotations

from itertools import groupby

from bench.devices import Bridge, DeviceRef, Geneve, Netkit, Nic, Stacked, Vxlan, Wireguard
from bench.drawing.model import Crossing, Stop, Way
from bench.scenario import Scenario
from bench.units import capitalised, counted

_MOST_ADDRESSES = 2
_LONGEST = 36
"""Characters of a text that the file chooses freely, such as a program's name."""


def shortened(text: str) -> str:
    """`text` on one line and not too long for a box."""
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"


def what_it_is(scenario: Scenario, ref: DeviceRef) -> str:
    """A device's kind, and what belongs to it."""
    device = scenario.device(ref)
    kind = str(device.__struct_config__.tag)
    about = ""
    match device:
        case Bridge():
            about = f", {counted(len(device.ports), 'port')}"
        case Vxlan() | Geneve():
            about = f" {device.vni}, UDP {device.port}"
        case Wireguard():
            about = f", UDP {device.port}"
        case Netkit():
            about = f", {device.mode}"
        case Nic():
            about = " (virtio-net)"
        case Stacked():
            lower = device.lower()
            about = f" on {lower.device if lower.host == ref.host else lower}"
    return f"{kind}{about}"


def addresses(scenario: Scenario, ref: DeviceRef) -> tuple[str, ...]:
    """The first addresses of a device, and how many more there are."""
    own = scenario.device(ref).addresses
    if len(own) <= _MOST_ADDRESSES:
        return tuple(own)
    return (*own[: _MOST_ADDRESSES - 1], f"and {len(own) - _MOST_ADDRESSES + 1} more")


def crossing(crossed: Crossing) -> str:
    """Who crosses the line between user and kernel space, and how: "pump on host-a reads tun0"."""
    who = crossed.process
    if who in ("client", "server"):
        return f"the {who} {crossed.verb}"
    who = shortened(who)
    where = f" on {crossed.host}" if crossed.host else ""
    what = ""
    if crossed.ref is not None:
        near = crossed.ref.host == crossed.host
        what = f" {crossed.ref.device if near else crossed.ref}"
    return f"{who}{where} {crossed.verb}{what}"


def crossings(way: Way) -> str:
    """How many crossings there are, and each by its number."""
    parts = [f"{c.number} {crossing(c)}" for c in way.crossings]
    count = counted(len(parts), "crossing")
    return f"{count} of the line between user and kernel space: {', '.join(parts)}"


def in_words(scenario: Scenario, way: Way) -> list[str]:
    """The whole way, device by device: a sentence for each host, and one that counts."""
    said = []
    position = 0
    for host, group in groupby(way.stops, key=lambda stop: stop.host):
        stops = list(group)
        items = []
        for i, stop in enumerate(stops, start=position):
            crossed = way.legs[i - 1].crossing if i else None
            items += [f"crossing {crossed.number}"] if crossed else []
            items.append(_item(scenario, stop))
        where = f"on {host}" if host else "in a process between them"
        said.append(capitalised(f"{_how(way, position)}{where}: {', '.join(items)}"))
        position += len(stops)
    counts = f"{way.traversals} passes through an IP layer and {way.device_hops} device hops"
    return [*said, crossings(way), counts]


def _how(way: Way, position: int) -> str:
    """How the packet gets to a host."""
    if position == 0:
        return ""
    leg = way.legs[position - 1]
    inside = f"inside {' inside '.join(leg.tunnels)}" if leg.tunnels else ""
    by = f"by a {leg.link}" if leg.link else ""
    return "".join(f"{part}, " for part in (inside, by) if part)


def _item(scenario: Scenario, stop: Stop) -> str:
    if stop.ref is not None:
        about = (what_it_is(scenario, stop.ref), *addresses(scenario, stop.ref))
        return f"{stop.name} ({', '.join(about)})"
    name = shortened(stop.name)
    if stop.kind == "ip":
        name = f"{name} {stop.does} it"
    if stop.kind == "process" and not stop.details:
        return f"the {name}" if stop.name in ("client", "server", "pump") else name
    return f"{name} ({' '.join(map(shortened, stop.details))})" if stop.details else name
