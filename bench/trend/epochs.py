"""Epochs: within one, every set measured the same thing on the same machine.

A change is only looked for within an epoch. A set joins the latest epoch that it agrees with, so
two machines whose sets lie in one folder have an epoch each, and a kernel that was taken back goes
on with the epoch it had. A fact that could not be read in a set, or that its version did not know
yet, agrees with everything.

The conditions of a cell, such as the load at which its delay was measured, differ a little from set
to set. They must be like those of the epoch's first set: held against the set before, they could
drift away step by step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import msgspec

from bench.conditions import alike
from bench.environment import Environment, differences
from bench.results import Cell
from bench.trend.read import Kind, Session

_UNDER_TEST = {
    "vnetbench": "its paths and its pump are what is measured: a new version may be the cause",
    "git_revision": "the same, and almost every set has another",
}
"""Facts that matter for comparing (`bench.environment` marks those) and start no epoch all the
same, with the reason. Where a version measures otherwise, it has other settings or metrics."""
_ONLY_FOR = {
    "libiperf": frozenset({"tcp_goodput"}),  # nothing else is measured with it
}
"""Facts that matter to some probes only."""


class Thing(NamedTuple):
    """What a value is of, besides its cell: the same in all sets of an epoch."""

    machine: int
    variant: Kind
    probe: str
    settings: dict[str, Any] | None
    conditions: Mapping[str, float]

    def is_as(self, other: Thing) -> bool:
        """Whether both are the same: equal, under conditions that are alike."""
        return self[:-1] == other[:-1] and alike(self.conditions, other.conditions)


@dataclass(frozen=True, slots=True)
class Epoch:
    """Positions of its sets in the history, in order; how it differs from what was before."""

    sets: list[int]
    differences: tuple[str, ...]


def epochs(sessions: Sequence[Session]) -> dict[Cell, list[Epoch]]:
    """Divide the sets of each cell into epochs, in the order in which these began."""
    machines: dict[str, list[int]] = {}
    found: dict[Cell, list[tuple[Thing, Epoch]]] = {}
    before: dict[Cell, tuple[int, Thing]] = {}
    for position, session in enumerate(sessions):
        for cell, value in session.values.items():
            if value.probe not in machines:
                machines[value.probe] = _machines(sessions, value.probe)
            thing = Thing(
                machines[value.probe][position],
                session.variants[cell.variant],
                value.probe,
                session.settings.get(value.probe),
                session.conditions[cell.variant].get(cell.arm, {}).get(value.probe, {}),
            )
            ours = found.setdefault(cell, [])
            place = next((p for p in reversed(ours) if p[0].is_as(thing)), None)
            if place is None:
                last = before.get(cell)
                new = _changes(cell, sessions, position, thing, *last) if last else ()
                place = thing, Epoch([], new)
                ours.append(place)
            known, epoch = place
            epoch.sets.append(position)
            before[cell] = position, known
    return {cell: [epoch for _, epoch in ours] for cell, ours in found.items()}


def concerning(probe: str) -> tuple[str, ...]:
    """The facts of the environment that start a new epoch for what `probe` measures."""
    return tuple(
        item.name
        for item in fields(Environment)
        if item.metadata["matters"]
        and item.name not in _UNDER_TEST
        and probe in _ONLY_FOR.get(item.name, {probe})
    )


def _machines(sessions: Sequence[Session], probe: str) -> list[int]:
    """For each set the number of its machine: the latest one that no known fact speaks against."""
    names = concerning(probe)
    known: list[dict[str, Any]] = []
    recent: list[int] = []
    numbers = []
    for session in sessions:
        facts = {n: v for n in names if (v := session.environment.get(n)) is not None}
        number = next((n for n in recent if _agree(known[n], facts)), len(known))
        if number == len(known):
            known.append({})
        else:
            recent.remove(number)
        recent.insert(0, number)
        known[number] |= facts
        numbers.append(number)
    return numbers


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(name, value) == value for name, value in other.items())


def _changes(
    cell: Cell, sessions: Sequence[Session], new: int, after: Thing, old: int, before: Thing
) -> tuple[str, ...]:
    """Say in words what is not as it was in the epoch of the set before."""
    found: list[str] = []
    if before.machine != after.machine:
        found += _machine_changes(
            sessions[old].environment, sessions[new].environment, concerning(after.probe)
        )
    if before.probe != after.probe:
        found.append(f"{cell.metric} was measured by {before.probe}, then by {after.probe}")
    elif before.settings != after.settings:
        changed = _keys(before.settings or {}, after.settings or {})
        found.append(f"{after.probe} was done otherwise: {changed}")
    elif not alike(before.conditions, after.conditions):
        changed = _keys(before.conditions, after.conditions)
        found.append(f"{after.probe} was done under other conditions: {changed}")
    one, other = before.variant, after.variant
    if one.sha256 != other.sha256 or one.scenario != other.scenario:
        found.append(f"the scenario file of {other.scenario} has changed")
    if one.parameters != other.parameters:
        changed = _keys(one.parameters, other.parameters)
        found.append(f"{cell.variant} has other parameters: {changed}")
    return tuple(found)


def _machine_changes(
    old: Mapping[str, Any], new: Mapping[str, Any], names: Iterable[str]
) -> list[str]:
    known = [n for n in names if old.get(n) is not None and new.get(n) is not None]
    try:
        pair = [msgspec.convert({n: e[n] for n in known}, Environment) for e in (old, new)]
    except msgspec.ValidationError as error:
        return [f"the machines' fingerprints differ and cannot be read: {error}"]
    return differences(*pair) or ["the machine, in a fact that the set before does not have"]


def _keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {old.get(key)} → {new.get(key)}"
        for key in dict.fromkeys((*old, *new))
        if old.get(key) != new.get(key)
    )
