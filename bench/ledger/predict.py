"""What theory says of a packet's way, from the scenario's file."""

from __future__ import annotations

import msgspec

from bench import native
from bench.ledger.model import Load
from bench.scenario import Scenario
from bench.scenario.model import Pump

CLOSE = 0.01
"""How far an observed count may be from the predicted one, as a share of it, and be the same."""


def agrees(observed: float, predicted: float) -> bool:
    """Whether a count is what was predicted."""
    return abs(observed - predicted) <= CLOSE * predicted


def expected(scenario: Scenario, load: Load) -> dict[str, int]:
    """Item → count per packet, one way, for datagrams that go one by one; empty for other loads.

    What a parameter adds to the way (routed hops, say) is to be added here.
    """
    if load.kind != "udp":
        return {}
    found: dict[str, int] = {
        name: value
        for name, value in msgspec.structs.asdict(scenario.predicted).items()
        if value is not None
    }
    if _is_changed(scenario):
        found.pop("useful_calls", None)
    return found


def _is_changed(scenario: Scenario) -> bool:
    """Whether a pump is asked to do otherwise than by itself, so that a call may move many."""
    initial = {name: switch.initial for name, switch in native.switches().items()}
    return any(isinstance(f, Pump) and f.switches != initial for f in scenario.forwarders)
