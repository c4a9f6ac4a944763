"""The user-space programs that move packets on a path. A new one is a line in `_FORWARDERS`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.errors import ScenarioError
from bench.forwarders import pump
from bench.forwarders.base import Forwarder, Running
from bench.scenario import Variant
from bench.scenario.model import Pump, Scenario
from bench.topology import Arm, Topology, in_arm

_FORWARDERS: dict[type, Forwarder] = {Pump: pump}


@contextmanager
def forwarding(topology: Topology) -> Iterator[list[Running]]:
    """Run every forwarder of the topology's scenario; yields when all are ready."""
    running: list[Running] = []
    with ExitStack() as stack:
        for spec in topology.scenario.forwarders:
            running.append(stack.enter_context(_FORWARDERS[type(spec)].running(topology, spec)))
        try:
            yield running
        finally:
            # The kernel takes its time to remove a device; let it do so for all at once.
            for forwarder in running:
                forwarder.child.ask_to_end()


def check(variant: Variant) -> None:
    """Raise ScenarioError for what only a forwarder itself can tell to be wrong with its table."""
    for scenario in (in_arm(variant.scenario, arm) for arm in Arm):
        for number, spec in enumerate(scenario.forwarders):
            for key, problem in _FORWARDERS[type(spec)].problems(scenario, spec):
                raise ScenarioError(str(variant.source), f"forwarders[{number}].{key}", problem)


def commands(scenario: Scenario) -> list[str]:
    """The commands that start the scenario's forwarders, in order."""
    return [_FORWARDERS[type(spec)].command(scenario, spec) for spec in scenario.forwarders]


__all__ = ["Forwarder", "Running", "check", "commands", "forwarding"]
