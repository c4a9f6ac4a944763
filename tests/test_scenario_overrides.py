"""Parameters make variants: types are kept, lists multiply, names say what was set."""

from collections.abc import Sequence

import pytest
from files import NAMES

from bench.errors import ScenarioError, UsageError
from bench.scenario import Variant, find, parse_ref, variants


def ask(names: Sequence[str], *overrides: str) -> list[Variant]:
    return variants(find(names), overrides)


def mtu_of(variant: Variant) -> int:
    scenario = variant.scenario
    return scenario.device(parse_ref(scenario.endpoints.client)).mtu


def test_an_override_reaches_the_devices_and_the_name() -> None:
    [variant] = ask(["veth"], "mtu=9000")
    assert variant.name == "veth[mtu=9000]"
    assert variant.base == "veth"
    assert mtu_of(variant) == variant.parameters["mtu"] == 9000


def test_several_values_make_several_variants_and_several_parameters_their_product() -> None:
    found = ask(["veth", "bridge"], "mtu=1400,9000", "streams=1,4")
    assert [variant.name for variant in found] == [
        f"{name}[mtu={mtu},streams={streams}]"
        for name in ("veth", "bridge")
        for mtu in (1400, 9000)
        for streams in (1, 4)
    ]
    assert [(mtu_of(v), v.scenario.streams) for v in found[:4]] == [
        (1400, 1), (1400, 4), (9000, 1), (9000, 4),
    ]  # fmt: skip


def test_the_common_parameters_exist_in_every_scenario() -> None:
    found = ask(NAMES, "congestion_control=reno", "streams=2")
    assert len(found) == len(NAMES)
    assert {v.scenario.congestion_control for v in found} == {"reno"}
    assert {v.scenario.streams for v in found} == {2}


def test_a_parameter_applies_to_the_scenarios_that_have_it() -> None:
    found = ask(["veth", "tun-udp"], "underlay_mtu=9000")
    assert [variant.name for variant in found] == ["veth", "tun-udp[underlay_mtu=9000]"]


def test_a_value_given_twice_makes_one_variant() -> None:
    assert [variant.name for variant in ask(["veth"], "mtu=1400,1400")] == ["veth[mtu=1400]"]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["mtv=1400"], 'no selected scenario has a parameter "mtv".*mtu'),
        (["batch=16"], 'no selected scenario has a parameter "batch"'),
        (["pump=fast"], 'no selected scenario has a parameter "pump"'),
        (["mtu=big"], "veth expects a whole number for mtu"),
        (["mtu=1400.5"], "a whole number"),
        (["mtu="], "name=value"),
        (["mtu=1400,"], "name=value"),
        (["mtu"], "name=value"),
        (["=1400"], 'no selected scenario has a parameter ""'),
        (["mtu=1400", "mtu=9000"], "mtu=value,value"),
        (["mtu=" + "9" * 5000], "a whole number"),
        (["mtu=1400\n"], "name=value"),
    ],
)
def test_an_override_that_makes_no_sense_is_refused_in_one_line(
    overrides: list[str], says: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        ask(["veth"], *overrides)
    assert len(str(caught.value).splitlines()) == 1


def test_an_override_out_of_range_is_said_of_the_key_it_reaches() -> None:
    with pytest.raises(ScenarioError, match="68") as caught:
        ask(["veth"], "mtu=10")
    assert caught.value.key == "hosts.client.devices.eth0.mtu"


def test_a_scenario_asked_for_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="veth is asked for twice"):
        ask(["veth", "veth"])
