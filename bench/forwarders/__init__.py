"""The user-space programs that move packets on a path. A new kind is a line in `_FORWARDERS`, a new
program of others a module of `bench.programs`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import programs
from bench.errors import ScenarioError
from bench.etcd import server
from bench.forwarders import program, pump, qemu
from bench.forwarders.base import Forwarder, Running
from bench.scenario import Variant
from bench.scenario.model import Program, Pump, Qemu, Scenario
from bench.topology import Arm, Topology, in_arm

_FORWARDERS: dict[type, Forwarder] = {Pump: pump, Program: program, Qemu: qemu}


@contextmanager
def forwarding(topology: Topology) -> Iterator[list[Running]]:
    """Run every forwarder of the topology's scenario; yields when all are ready."""
    specs = topology.scenario.forwarders
    running: dict[int, Running] = {}
    with ExitStack() as stack:
        for kind, forwarder in _FORWARDERS.items():
            mine = _numbers(topology.scenario, kind)
            started = forwarder.running(topology, [specs[number] for number in mine])
            running.update(zip(mine, stack.enter_context(started), strict=True))
        try:
            yield [running[number] for number in range(len(specs))]
        finally:
            # The kernel takes its time to remove a device; let it do so for all at once.
            for one in running.values():
                one.child.ask_to_end()


def check(variant: Variant) -> None:
    """Raise ScenarioError for what only a forwarder itself can tell to be wrong with its table."""
    for scenario in (in_arm(variant.scenario, arm) for arm in Arm):
        for number, spec in enumerate(scenario.forwarders):
            for key, problem in _FORWARDERS[type(spec)].problems(scenario, spec):
                raise ScenarioError(str(variant.source), f"forwarders[{number}].{key}", problem)


def versions(scenario: Scenario) -> list[str]:
    """The programs of others that the scenario needs, with their versions."""
    names = dict.fromkeys(s.program for s in scenario.forwarders if isinstance(s, Program))
    guests = any(isinstance(spec, Qemu) for spec in scenario.forwarders)
    return [
        *(f"{name} {programs.tool(name).installed_version()}" for name in names),
        *([f"qemu {qemu.version()}"] if guests else []),
    ]


def commands(scenario: Scenario) -> list[str]:
    """The commands that start the scenario's forwarders, and what they need, in order."""
    found: dict[int, str] = {}
    for kind, forwarder in _FORWARDERS.items():
        mine = _numbers(scenario, kind)
        specs = [scenario.forwarders[number] for number in mine]
        found.update(zip(mine, forwarder.commands(scenario, specs), strict=True))
    return [
        *server.commands(scenario),
        *(found[number] for number in range(len(scenario.forwarders))),
    ]


def _numbers(scenario: Scenario, kind: type) -> list[int]:
    """Which of the scenario's forwarders are of a kind."""
    return [number for number, spec in enumerate(scenario.forwarders) if type(spec) is kind]


__all__ = ["Forwarder", "Running", "check", "commands", "forwarding", "versions"]
