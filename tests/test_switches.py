"""The pump's switches as parameters: what they may be, what goes before what, and what they do."""

import re
from itertools import combinations
from pathlib import Path

import pytest
from files import load_text, shipped, text_of
from hypothesis import given
from hypothesis import strategies as st

from bench import native
from bench._vnetbench import lib
from bench.errors import ScenarioError, UsageError
from bench.forwarders import check
from bench.native import PortKind, Switch, parse_setting, switches
from bench.presets import NAMES as PRESETS
from bench.presets import preset
from bench.recipe import shell_commands
from bench.scenario import Variant, find, variants
from bench.topology import Arm, in_arm

PUMPED = ("tun-relay", "tun-udp", "flannel-udp", "tap-bridge", "flannel-udp6")

any_switch = st.sampled_from(list(switches().values()))


def ask(name: str, *overrides: str) -> Variant:
    [variant] = variants(find([name]), overrides)
    return variant


def settings_of(variant: Variant) -> list[dict[str, int]]:
    return [pump.switches for pump in variant.scenario.forwarders]


# ---- the table and its texts ----------------------------------------------------------------


def test_python_has_the_switches_of_the_table_in_its_order() -> None:
    names = list(switches())
    assert lib.vnb_switch_at(len(names) - 1) and not lib.vnb_switch_at(len(names))  # noqa: PT018
    for switch in switches().values():
        assert switch.least <= switch.initial <= switch.most
        assert switch.values is None or switch.most == len(switch.values) - 1
        assert switch.help.isprintable()


@given(data=st.data(), switch=any_switch)
def test_what_a_switch_shows_is_read_back_as_the_same_value(
    data: st.DataObject, switch: Switch
) -> None:
    value = data.draw(st.integers(switch.least, switch.most))
    assert parse_setting(switch, str(switch.show(value))) == value


@given(switch=any_switch, given_text=st.text() | st.integers().map(str))
def test_a_text_is_a_value_in_range_or_refused_with_what_was_expected(
    switch: Switch, given_text: str
) -> None:
    if switch.values:
        within = given_text in switch.values
    else:
        number = re.fullmatch("-?[0-9]+", given_text)
        within = bool(number) and switch.least <= int(given_text) <= switch.most
    if within:
        assert switch.least <= parse_setting(switch, given_text) <= switch.most
    else:
        with pytest.raises(ValueError, match=f"^expected {switch.expected}$"):
            parse_setting(switch, given_text)


@pytest.mark.parametrize("text", ["", "65", "0", "-1", "1.0", "1e1", "+5", " 5", "5\n", "٣", "on"])
def test_what_is_no_number_of_packets_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a whole number from 1 to 64"):
        parse_setting(switches()["batch"], text)


@pytest.mark.parametrize("text", ["", "On", "true", "1", "off on", "off,on"])
def test_what_is_neither_off_nor_on_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected one of off, on"):
        parse_setting(switches()["tun_offload"], text)


def test_a_setting_that_is_no_switch_is_a_defect_not_a_silent_default() -> None:
    with pytest.raises(ValueError, match="no switch of the pump: speed"):
        native.pump_refusal([PortKind.TUN] * 2, {"speed": 11})


# ---- parameters -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUMPED)
def test_every_scenario_with_a_pump_has_every_switch_at_its_initial_value(name: str) -> None:
    variant = shipped(name)
    initial = {switch.name: switch.initial for switch in switches().values()}
    assert settings_of(variant) == [initial] * len(variant.scenario.forwarders)
    for switch in switches().values():
        assert variant.parameters[switch.name] == switch.show(switch.initial)
    assert variant.parameters["pump"] == "none"


def test_a_scenario_without_a_pump_has_none() -> None:
    assert switches().keys() & shipped("veth").parameters.keys() == set()


def test_a_switch_holds_for_all_pumps_and_is_in_the_name_as_it_was_asked_for() -> None:
    variant = ask("flannel-udp", "batch=64", "tun_offload=on")
    assert variant.name == "flannel-udp[batch=64,tun_offload=on]"
    assert [(s["batch"], s["tun_offload"]) for s in settings_of(variant)] == [(64, 1)] * 2
    assert (variant.parameters["batch"], variant.parameters["tun_offload"]) == (64, "on")


def test_several_values_of_switches_make_their_product() -> None:
    found = variants(find(["tun-udp"]), ["tun_offload=on,off", "batch=1,16"])
    assert [variant.name for variant in found] == [
        "tun-udp[tun_offload=on,batch=1]",
        "tun-udp[tun_offload=on,batch=16]",
        "tun-udp[tun_offload=off,batch=1]",
        "tun-udp[tun_offload=off,batch=16]",
    ]


@given(data=st.data(), switch=any_switch)
def test_any_value_of_any_switch_reaches_the_pumps(data: st.DataObject, switch: Switch) -> None:
    value = data.draw(st.integers(switch.least, switch.most))
    variant = ask("tun-udp", f"{switch.name}={switch.show(value)}")
    assert [s[switch.name] for s in settings_of(variant)] == [value] * 2
    assert variant.name == f"tun-udp[{switch.name}={switch.show(value)}]"


@pytest.mark.parametrize(
    ("written", "value"),
    [("tun_offload = true", 1), ('tun_offload = "on"', 1), ("tun_offload = false", 0)],
)
def test_a_file_may_set_a_default_of_its_own(written: str, value: int, tmp_path: Path) -> None:
    text = text_of("tun-udp").replace("[parameters]", f"[parameters]\n{written}\nbatch = 16")
    variant = load_text(text, tmp_path)
    assert [(s["tun_offload"], s["batch"]) for s in settings_of(variant)] == [(value, 16)] * 2
    assert variant.parameters["tun_offload"] == ("off", "on")[value]
    assert variant.name == "own"


def test_a_pump_may_pin_switches_of_its_own(tmp_path: Path) -> None:
    pinned = "[[forwarders]]\nswitches = { batch = 8, readiness = true }"
    load_text(text_of("tun-udp").replace("[[forwarders]]", pinned, 1), tmp_path)
    [variant] = variants([tmp_path / "own.toml"], ["batch=32"])
    here, there = settings_of(variant)
    assert (here["batch"], here["readiness"]) == (8, 1)
    assert (there["batch"], there["readiness"]) == (32, 0)


def test_a_parameter_may_stand_in_a_pumps_own_switches(tmp_path: Path) -> None:
    text = text_of("tun-udp").replace("[parameters]", "[parameters]\nnear = 8")
    pinned = '[[forwarders]]\nswitches = { batch = "$near" }'
    variant = load_text(text.replace("[[forwarders]]", pinned, 1), tmp_path)
    assert [s["batch"] for s in settings_of(variant)] == [8, 1]


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("batch=0", "tun-udp: batch: expected a whole number from 1 to 64"),
        ("tun_offload=True", "tun-udp: tun_offload: expected one of off, on"),
        ("pump=best", "tun-udp: pump: expected one of none, flannel, fast"),
        ("speed=11", 'no selected scenario has a parameter "speed"'),
    ],
)
def test_a_switch_that_cannot_be_set_so_is_refused_in_one_line(override: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        ask("tun-udp", override)
    assert str(caught.value).startswith(f"-p {override}: ")


@pytest.mark.parametrize(
    ("name", "second"), [("tun-udp", PortKind.UDP), ("tun-relay", PortKind.TUN)]
)
def test_pairs_of_switches_are_refused_exactly_where_the_pump_refuses_them(
    name: str, second: PortKind
) -> None:
    for one, other in combinations(switches().values(), 2):
        asked = [f"{switch.name}={switch.show(switch.most)}" for switch in (one, other)]
        variant = ask(name, *asked)
        reason = native.pump_refusal([PortKind.TUN, second], settings_of(variant)[0])
        if reason is None:
            check(variant)
            continue
        with pytest.raises(ScenarioError) as caught:
            check(variant)
        assert (caught.value.key, caught.value.problem) == ("forwarders[0].switches", reason)


# ---- presets --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("scenario", ["tun-udp", "flannel-udp", "flannel-udp6"])
def test_a_preset_sets_every_switch_and_is_not_refused(name: str, scenario: str) -> None:
    variant = ask(scenario, f"pump={name}")
    assert variant.name == f"{scenario}[pump={name}]"
    assert settings_of(variant) == [preset(name)] * 2
    check(variant)


def test_flannels_preset_is_the_initial_loop_that_trusts_anyone() -> None:
    initial = preset("none")
    changed = {name for name, value in preset("flannel").items() if value != initial[name]}
    assert changed == {"trust"}
    assert switches()["trust"].show(preset("flannel")["trust"]) == "anyone"


def test_a_switch_goes_before_the_preset_beside_it() -> None:
    variant = ask("tun-udp", "pump=fast", "batch=2")
    assert settings_of(variant) == [{**preset("fast"), "batch": 2}] * 2
    assert variant.parameters["batch"] == 2


def test_a_preset_that_is_asked_for_goes_before_what_the_file_says(tmp_path: Path) -> None:
    text = text_of("tun-udp").replace("[parameters]", '[parameters]\nbatch = 3\npump = "fast"')
    variant = load_text(text, tmp_path)
    assert settings_of(variant) == [{**preset("fast"), "batch": 3}] * 2
    [asked] = variants([tmp_path / "own.toml"], ["pump=flannel"])
    assert settings_of(asked) == [preset("flannel")] * 2


# ---- arms and commands ----------------------------------------------------------------------


def test_in_the_parity_arm_no_pump_joins_packets() -> None:
    scenario = ask("flannel-udp", "pump=fast").scenario
    for pump in in_arm(scenario, Arm.PARITY).forwarders:
        assert pump.switches == {**preset("fast"), "tun_offload": 0, "udp_offload": 0}
    assert in_arm(scenario, Arm.NATIVE) == scenario


def test_the_commands_say_every_switch_that_is_not_as_usual() -> None:
    variant = ask("tun-udp", "pump=fast", "queues=2", "batch=1")
    lines = shell_commands(variant, Arm.NATIVE)
    tuntap = [line for line in lines if "tuntap" in line]
    assert all("mode tun multi_queue vnet_hdr" in line for line in tuntap)
    pumps = [line for line in lines if " pump --" in line]
    assert len(pumps) == len(tuntap) == 2
    for line in pumps:
        for words in ("--readiness on", "--tun-offload on", "--udp-offload on", "--queues 2"):
            assert words in line
        assert "--batch" not in line
    parity = "\n".join(shell_commands(variant, Arm.PARITY))
    assert "vnet_hdr" not in parity
    assert "offload on" not in parity
