"""What a forwarder is, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.process import Child
from bench.scenario.model import Scenario
from bench.topology import Topology


@dataclass(frozen=True)
class Running:
    """A forwarder that is moving packets.

    counters: reads what it counts, if it counts. facts: what it runs with, to be recorded.
    """

    name: str
    child: Child
    counters: Callable[[], dict[str, int]] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Forwarder(Protocol):
    """One kind of forwarder; `spec` is its table in the scenario file."""

    def problems(self, scenario: Scenario, spec: Any) -> Iterable[tuple[str, str]]:
        """What only it can tell to be wrong, switches that do not go together: key and reason."""

    def running(self, topology: Topology, spec: Any) -> AbstractContextManager[Running]:
        """Run it in `topology` for the length of a `with` block; yields when it is ready."""

    def command(self, scenario: Scenario, spec: Any) -> str:
        """The equivalent shell command, for `vnetbench show --commands`."""
