"""What the shipped scenarios predict of their ledgers, held against their own description."""

from typing import Any

import pytest
from files import NAMES

from bench.devices import Tun, Vxlan
from bench.scenario import DeviceRef, Scenario, load, parse_ref, shipped_scenarios, trace


@pytest.mark.parametrize("name", NAMES)
def test_what_a_scenario_predicts_follows_from_its_path(name: str) -> None:
    scenario = load(shipped_scenarios()[name]).scenario
    assert scenario.predicted.traversals == passes(scenario)
    assert scenario.predicted.copies == 2 + 2 * len(pumps_passed(scenario))
    assert scenario.predicted.useful_calls == scenario.predicted.copies


def hops_of(scenario: Scenario) -> list[DeviceRef]:
    ends = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
    return [hop.ref for hop in trace(scenario, *ends) if hop.counted]


def pumps_passed(scenario: Scenario) -> set[int]:
    """The pumps that hold a device on the way: each takes a packet in and gives it out."""
    hops = {str(ref) for ref in hops_of(scenario)}
    return {n for n, pump in enumerate(scenario.forwarders) if hops & {*pump.devices}}


def passes(scenario: Scenario) -> int:
    """IP layers on the way, from the devices that have an address: a packet leaves a host by one
    and enters another by the next; inside a tunnel's pair another pair carries it."""
    left: list[DeviceRef] = []
    entered, sent, came_in = 0, 0, False
    for ref in hops_of(scenario):
        if not scenario.device(ref).addresses:
            continue
        tunnel = isinstance(scenario.device(ref), Tun | Vxlan)
        before = left[-1] if left else None
        if (
            before is not None
            and before.host != ref.host
            and isinstance(scenario.device(before), Tun | Vxlan) == tunnel
        ):
            left.pop()
            entered, came_in = entered + 1, True
        else:
            left.append(ref)
            sent, came_in = sent + (not came_in), False
    return entered + sent


def test_a_prediction_must_be_a_count(tmp_path: Any) -> None:
    text = shipped_scenarios()["veth"].read_text()
    file = tmp_path / "veth.toml"
    file.write_text(text.replace("copies = 2", "copies = -2"))
    with pytest.raises(Exception, match=r"predicted.copies"):
        load(file)
