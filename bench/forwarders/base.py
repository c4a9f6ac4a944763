"""What a forwarder is, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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

    def running(
        self, topology: Topology, specs: Sequence[Any]
    ) -> AbstractContextManager[list[Running]]:
        """Run all of its kind in `topology` for the length of a `with` block.

        All, because they may have to agree on something, such as keys. Yields, in the order of
        `specs`, when they are ready.
        """

    def commands(self, scenario: Scenario, specs: Sequence[Any]) -> list[str]:
        """The equivalent shell command of each, for `vnetbench show --commands`."""
