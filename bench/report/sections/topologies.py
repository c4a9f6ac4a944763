"""Each topology, drawn from its scenario: hosts, devices, processes, and the way of a packet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.drawing.model import Way
from bench.drawing.picture import picture_of
from bench.drawing.plan import Plan, plan_of
from bench.drawing.recorded import scenarios_of
from bench.drawing.way import way_of
from bench.report.model import Column, Field, Picture, Section, Table
from bench.report.sources import Sources
from bench.scenario import Scenario
from bench.scenario.model import Pump

_LEAD = (
    "What was measured, drawn from the scenario files. The line is the way of one packet from the "
    "client to the server, through every device and process that it comes by. The numbers are "
    "where it crosses the line between user and kernel space, and is copied each time."
)
_MOST_NAMES = 3
_TRIPS = {
    "udp_trips": "a UDP socket and the loopback",
    "tun_trips": "a tun device of the pump's own",
}
"""Switches of a pump that send each packet on detours, and by what."""


@dataclass
class _Group:
    """Variants that are drawn alike: the first of them, and the names of all."""

    scenario: Scenario
    way: Way
    names: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The names, as far as they are few."""
        return _few(self.names)


def _few(names: Sequence[str]) -> str:
    """Names of variants, as far as they are few."""
    if len(names) <= _MOST_NAMES:
        return ", ".join(names)
    return f"{names[0]} and {len(names) - 1} others"


def make(sources: Sources) -> Section | None:
    """The topologies of all variants, each that is drawn alike once."""
    groups, notes = _groups(sources)
    if not groups and not notes:
        return None
    pictures = tuple(_unique(_pictures(groups)))
    tables = (_table(list(groups.values())),) if groups else ()
    return Section("topologies", "Topologies", _LEAD, (*tables, *pictures), tuple(notes))


def _groups(sources: Sources) -> tuple[dict[Plan, _Group], list[str]]:
    """What is to be drawn, and what is to be said of what cannot be, or not wholly."""
    groups: dict[Plan, _Group] = {}
    notes: dict[str, None] = {}
    scenarios: dict[str, Scenario] = {}
    for results in sources.sets:
        for name, found in scenarios_of(results.run).items():
            if found.problem:
                notes[found.problem] = None
            if found.scenario is None:
                continue
            scenarios[name] = found.scenario
            way = way_of(found.scenario)
            group = groups.setdefault(plan_of(found.scenario, way), _Group(found.scenario, way))
            if name not in group.names:
                group.names.append(name)
    return groups, [*notes, *_detours(scenarios)]


def _detours(scenarios: Mapping[str, Scenario]) -> Iterator[str]:
    """What is done with a packet on its way that is not drawn."""
    for switch, by in _TRIPS.items():
        names = [
            name
            for name, scenario in scenarios.items()
            if any(isinstance(f, Pump) and f.switches[switch] for f in scenario.forwarders)
        ]
        if names:
            yield (
                f"{_few(names)}: the pump sends each packet through {by}, as often as {switch} "
                "says; that is not drawn"
            )
    names = [name for name, scenario in scenarios.items() if scenario.ipsec]
    if names:
        yield (
            f"{_few(names)}: where a kernel encrypts, it may pass its IP layer once more than is "
            "drawn"
        )


def _pictures(groups: dict[Plan, _Group]) -> Iterator[Picture]:
    for plan, group in groups.items():
        drawn = picture_of(group.names[0], group.scenario, plan)
        yield replace(drawn, title=f"{group.title}: {group.scenario.title}")


def _unique(pictures: Iterator[Picture]) -> Iterator[Picture]:
    """Pictures whose names differ: what differs in case alone, say, would not."""
    taken: set[str] = set()
    for picture in pictures:
        name, number = picture.name, 1
        while name in taken:
            number += 1
            name = f"{picture.name}-{number}"
        taken.add(name)
        yield replace(picture, name=name)


def _table(groups: Sequence[_Group]) -> Table:
    columns = (
        Column("path"),
        Column("crossings of the user/kernel line", number=True),
        Column("passes through an IP layer", number=True),
        Column("device hops", number=True),
        Column("devices on the way", number=True),
    )
    rows = []
    for group in groups:
        way = group.way
        counts = (len(way.crossings), way.traversals, way.device_hops, len(way.devices))
        rows.append((Field(group.title), *(Field(str(n), n) for n in counts)))
    return Table(
        "topologies", "What a packet comes by, from client to server", columns, tuple(rows)
    )
