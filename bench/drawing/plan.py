"""Which boxes a drawing has, and in which rows and columns; no measures yet.

Each stay of the packet on a host is a frame, side by side in the order of the way. Within one there
is a row for user space and below it, in the kernel, one for the IP layer and two for devices. The
way goes up and down through these rows, a column for each time: where it turns, the box is as wide
as two. So no two boxes are in one place, and the way goes through no box at which it does not stop.
What it does not come by stands below, or beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from bench.devices import Bridge, DeviceRef, Nic, Pair, Stacked, Tap
from bench.drawing import words
from bench.drawing.model import Leg, Stop, Way
from bench.drawing.way import way_of
from bench.scenario import Scenario
from bench.scenario.wiring import Wiring, wire

USER, IP, UPPER, LOWER, ASIDE = range(5)
"""Rows, from top to bottom. ASIDE: devices that the way does not come by."""
ROWS = 5

_MOST_ASIDE = 3
"""Devices of a host, and hosts, that are drawn though the way does not come by them."""


@dataclass(frozen=True)
class Node:
    """A box: its row, its first and last column, and its lines, of which the first is its name."""

    kind: str
    row: int
    first: int
    last: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Frame:
    """A host, as long as the packet stays there, or a process between two hosts.

    title: "" of a process that is on no host of the two. aside: the lines of each box that is not
    on the way; a frame without nodes has nothing else.
    """

    title: str
    nodes: tuple[Node, ...]
    aside: tuple[tuple[str, ...], ...] = ()

    @property
    def columns(self) -> int:
        """How many columns its nodes have."""
        return 1 + max((node.last for node in self.nodes), default=0)


@dataclass(frozen=True)
class Plan:
    """A whole drawing.

    frames: in the order of the way; all their nodes in order are its stops. beside: hosts that the
    way does not come by. legs: as of the way. notes: what each crossing is, by its number less one.
    """

    frames: tuple[Frame, ...]
    beside: tuple[Frame, ...]
    legs: tuple[Leg, ...]
    notes: tuple[str, ...]


def plan_of(scenario: Scenario, way: Way | None = None) -> Plan:
    """Plan the drawing of a scenario that has been checked."""
    way = way or way_of(scenario)
    wiring = wire(scenario)
    visited: set[str] = set()
    frames = []
    position = 0
    for host, group in groupby(way.stops, key=lambda stop: stop.host):
        stops = list(group)
        up = position > 0 and rises(way.legs[position - 1])
        end = position + len(stops) - 1
        down = end < len(way.legs) and falls(way.legs[end])
        rows = [_row(wiring, stop) for stop in stops]
        nodes = [
            Node(stop.kind, row, *columns, _lines(scenario, stop))
            for stop, row, columns in zip(stops, rows, _columns(rows, up, down), strict=True)
        ]
        if host is None:
            frames.append(Frame("", tuple(nodes)))
        else:
            aside = () if host in visited else _aside(wiring, host, way)
            frames.append(Frame(_title(scenario, host, host in visited), tuple(nodes), aside))
            visited.add(host)
        position += len(stops)
    return Plan(
        tuple(frames),
        _beside(wiring, visited, way),
        way.legs,
        tuple(words.crossing(c) for c in way.crossings),
    )


def rises(leg: Leg) -> bool:
    """Whether a leg between frames goes up to a process, from a device that it reads."""
    return leg.crossing is not None and leg.crossing.verb == "reads"


def falls(leg: Leg) -> bool:
    """Whether a leg between frames goes down from a process, to a device that it writes."""
    return leg.crossing is not None and leg.crossing.verb == "writes"


def _row(wiring: Wiring, stop: Stop) -> int:
    if stop.kind == "process":
        return USER
    if stop.kind == "ip":
        return IP
    if stop.ref is None:
        return UPPER
    device = wiring.scenario.device(stop.ref)
    if stop.ref in wiring.bridge_of or isinstance(device, Pair | Nic | Tap):
        return LOWER
    if isinstance(device, Stacked):
        alone = device.lower().host == stop.ref.host and stop.ref not in wiring.held_by
        return UPPER if alone else LOWER
    return UPPER


def _columns(rows: Sequence[int], up: bool, down: bool) -> list[tuple[int, int]]:
    """The first and last column of each node, one after the other on the way.

    up: the way comes up to the first of them. down: it goes down from the last.
    """
    found: list[tuple[int, int]] = []
    column = 0
    direction = -1 if up else 0
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        first = column
        turn = int(down) if after is None else (after > row) - (after < row)
        if after is not None and turn == 0:
            found.append((first, column))
            column, direction = column + 1, 0
            continue
        if turn and direction and turn != direction:
            column += 1
        found.append((first, column))
        direction = turn
    return found


def _lines(scenario: Scenario, stop: Stop) -> tuple[str, ...]:
    """What stands in the box of a stop."""
    if stop.ref is not None:
        about = words.what_it_is(scenario, stop.ref), *words.addresses(scenario, stop.ref)
        return (stop.name, *about)
    name = f"{stop.name} {stop.does}" if stop.kind == "ip" else stop.name
    return tuple(map(words.shortened, (name, *stop.details)))


def _title(scenario: Scenario, host: str, again: bool) -> str:
    if scenario.hosts[host].is_guest:
        return f"{host} (virtual machine)"
    return f"{host} (again)" if again else host


# ---- what the way does not come by --------------------------------------------------------------


def _aside(wiring: Wiring, host: str, way: Way) -> tuple[tuple[str, ...], ...]:
    """The other devices of a host."""
    refs = [DeviceRef(host, name) for name in wiring.scenario.hosts[host].devices]
    others = [ref for ref in refs if ref not in way.devices]
    shown = others if len(others) <= _MOST_ASIDE else others[: _MOST_ASIDE - 1]
    boxes = [_aside_lines(wiring, ref) for ref in shown]
    if len(shown) < len(others):
        boxes.append((f"and {len(others) - len(shown)} more", "devices"))
    return tuple(boxes)


def _aside_lines(wiring: Wiring, ref: DeviceRef) -> tuple[str, ...]:
    lines = [ref.device, words.what_it_is(wiring.scenario, ref)]
    if ref in wiring.bridge_of and not isinstance(wiring.scenario.device(ref), Bridge):
        lines[1] += f", port of {wiring.bridge_of[ref].device}"
    if ref in wiring.link_peer:
        lines.append(f"to {wiring.link_peer[ref]}")
    return (*lines, *words.addresses(wiring.scenario, ref))


def _beside(wiring: Wiring, visited: set[str], way: Way) -> tuple[Frame, ...]:
    """The other hosts."""
    others = [host for host in wiring.scenario.hosts if host not in visited]
    shown = others if len(others) <= _MOST_ASIDE else others[: _MOST_ASIDE - 1]
    frames = [
        Frame(_title(wiring.scenario, host, again=False), (), _aside(wiring, host, way))
        for host in shown
    ]
    if len(shown) < len(others):
        frames.append(Frame(f"and {len(others) - len(shown)} more hosts", ()))
    return tuple(frames)
