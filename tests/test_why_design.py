"""What `why` sets out to measure: doses, combinations and the order of trials."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from files import shipped, text_of

from bench.errors import ScenarioError, UsageError
from bench.results import PlannedTrial
from bench.scenario import Variant
from bench.topology import Arm
from bench.why.causes import CAUSES, DOSES
from bench.why.design import Design, design, plan, variant_of
from bench.why.experiment import design_of, new_run
from bench.why.factors import FACTORS

ARMS = [Arm.NATIVE, Arm.PARITY]
DEFAULT = ("flannel-udp", "vxlan", "host-gw")


@pytest.fixture(scope="module")
def usual() -> Design:
    return design("flannel-udp", "vxlan", ["host-gw"])


def value(variant: Variant, parameter: str) -> int:
    return int(variant.parameters[parameter])


# ---- doses --------------------------------------------------------------------------------------


def test_every_cause_has_its_doses_each_more_of_one_parameter_alone(usual: Design) -> None:
    assert list(usual.doses) == list(CAUSES)
    assert usual.notes == []
    for id_, doses in usual.doses.items():
        instrument, base = CAUSES[id_].instrument, usual.variants[doses.base]
        for k, name in zip(DOSES, doses.given, strict=True):
            dosed = usual.variants[name]
            changed = {p for p, v in dosed.parameters.items() if v != base.parameters[p]}
            assert changed == {instrument.parameter}, id_
            added = value(dosed, instrument.parameter) - value(base, instrument.parameter)
            assert added == k * instrument.step


def test_what_an_instrument_needs_besides_its_base_has_too(usual: Design) -> None:
    base = usual.variants[usual.doses["switches"].base]
    assert base.name == "flannel-udp[handoffs=1]"
    assert value(base, "yields") == 0


def test_doses_reach_every_pump(usual: Design) -> None:
    for name, settings in (
        ("flannel-udp[null_calls=4]", {"null_calls": 4}),
        ("flannel-udp[handoffs=1,yields=2]", {"handoffs": 1, "yields": 2}),
    ):
        pumps = usual.variants[name].scenario.forwarders
        assert [{key: pump.switches[key] for key in settings} for pump in pumps] == [settings] * 2


def test_doses_are_added_to_what_the_path_has_of_the_handicap() -> None:
    found = design("flannel-udp[null_calls=10,batch=16]", "vxlan", [])
    given = [found.variants[name] for name in found.doses["calls"].given]
    assert [value(variant, "null_calls") for variant in given] == [14, 18, 26]
    assert {value(variant, "batch") for variant in given} == {16}


def test_a_handicap_that_a_file_has_for_a_default_is_added_to(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    changed = text_of("flannel-udp").replace("[parameters]", "[parameters]\nnull_calls = 24")
    file.write_text(changed)
    found = design(str(file), "vxlan", [])
    pumps = found.variants["own[null_calls=28]"].scenario.forwarders
    assert [pump.switches["null_calls"] for pump in pumps] == [28, 28]


def test_of_two_paths_with_pumps_the_fast_one_gets_the_doses_the_slow_one_the_techniques() -> None:
    found = design("flannel-udp", "tun-udp", [])
    assert all(doses.base.startswith("tun-udp") for doses in found.doses.values())
    assert found.ablated == "flannel-udp"


def test_between_paths_without_a_pump_what_has_no_price_is_noted() -> None:
    found = design("host-gw", "veth", [])
    assert list(found.doses) == ["traversals"]
    assert found.ablations == {}
    assert found.ablated is None
    assert len(found.notes) == len(CAUSES) - 1
    assert "copies (bytes): no price: host-gw has no parameter hot_copies" in found.notes
    assert set(found.variants) == {"host-gw", "veth", *found.doses["traversals"].given}


def test_a_dose_beyond_what_the_switch_takes_is_no_price_and_noted() -> None:
    found = design("flannel-udp[null_calls=1020]", "vxlan", [])
    assert "calls" not in found.doses
    [note] = found.notes
    assert note.startswith("system calls: no price: ")


# ---- combinations of techniques -----------------------------------------------------------------


def test_every_combination_of_the_techniques_is_there_once(usual: Design) -> None:
    ids = list(FACTORS)
    subsets = {frozenset(c) for n in range(len(ids) + 1) for c in combinations(ids, n)}
    assert usual.ablations.keys() == subsets
    assert len(set(usual.ablations.values())) == len(subsets) == 16
    assert usual.ablations[frozenset()] == usual.ablated == "flannel-udp"
    for chosen, name in usual.ablations.items():
        settings = {k: v for id_ in chosen for k, v in FACTORS[id_].settings.items()}
        parameters = usual.variants[name].parameters
        assert {k: str(parameters[k]) for k in settings} == settings


def test_parity_leaves_out_what_offload_alone_would_change(usual: Design) -> None:
    native, parity = (set(usual.names(arm)) for arm in ARMS)
    skipped = {name for ids, name in usual.ablations.items() if "segmentation" in ids}
    assert native == set(usual.variants)
    assert native - parity == skipped
    assert len(skipped) == 8


@pytest.mark.parametrize("name", ["tun-relay", "tap-bridge"])
def test_a_technique_that_the_pump_cannot_take_is_left_out_and_noted(name: str) -> None:
    found = design(name, "veth", [])
    assert len(found.ablations) == 8
    assert not any("segmentation" in chosen for chosen in found.ablations)
    assert any(
        note.startswith(f"{FACTORS['segmentation'].title}: not tried") for note in found.notes
    )


def test_a_technique_that_the_path_has_is_left_out_and_noted() -> None:
    """Its variant would be the path itself, which parity would not measure then."""
    settings = ",".join(f"{k}={v}" for k, v in FACTORS["segmentation"].settings.items())
    slow = f"flannel-udp[{settings}]"
    found = design(slow, "vxlan", [])
    assert slow in set(found.names(Arm.PARITY))
    assert not any("segmentation" in chosen for chosen in found.ablations)
    assert any("not tried" in note for note in found.notes)


def test_a_path_with_every_technique_has_no_ablation_and_its_gap_still_a_design() -> None:
    found = design("flannel-udp[pump=fast]", "flannel-udp", [])
    assert found.ablations == {}
    assert found.ablated is None
    assert list(found.doses) == list(CAUSES)


# ---- which paths --------------------------------------------------------------------------------


def test_a_path_may_have_parameters() -> None:
    found = design("flannel-udp[batch=16]", "flannel-udp", [])
    assert (found.slow, found.fast) == ("flannel-udp[batch=16]", "flannel-udp")
    assert value(found.variants[found.slow], "batch") == 16
    assert variant_of("flannel-udp[batch=16,readiness=on]").parameters["readiness"] == "on"


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        (("vxlan", "vxlan"), "vxlan: there is no gap between a path and itself; name two"),
        (("flannel-udp[batch=2]",) * 2, "no gap between a path and itself"),
        (("attic", "vxlan"), 'no scenario "attic"'),
        (("flannel-udp[batch]", "vxlan"), "batch"),
        (("flannel-udp[batch=2", "vxlan"), "expected a scenario, or"),
        (("flannel-udp[]", "vxlan"), "expected a scenario, or"),
        (("", "vxlan"), "expected a scenario, or"),
        (("flannel-udp[speed=2]", "vxlan"), 'no selected scenario has a parameter "speed"'),
        (("flannel-udp[batch=2,4]", "vxlan"), 'expected "name=value"'),
    ],
)
def test_what_is_no_path_is_refused_in_one_line(paths: tuple[str, str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        design(*paths, ())
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_pump_itself_refuses_of_a_path_is_refused() -> None:
    with pytest.raises(ScenarioError, match="needs readiness=on"):
        design("flannel-udp[io=uring]", "vxlan", ())


def test_a_path_beside_is_there_once_and_never_one_of_the_two() -> None:
    found = design("flannel-udp", "vxlan", ["host-gw", "vxlan", "host-gw", "flannel-udp"])
    assert found.others == ("host-gw",)


# ---- the plan -----------------------------------------------------------------------------------


def trials_of(chosen: Design, blocks: dict[str, int], seed: int = 1) -> list[PlannedTrial]:
    return plan(chosen, ARMS, blocks, seed)


def test_every_cell_is_there_once_a_block(usual: Design) -> None:
    trials = trials_of(usual, {"ledger": 1, "serial": 4, "stream": 2})
    assert [trial.trial for trial in trials] == list(range(1, len(trials) + 1))
    assert [trial.block for trial in trials] == sorted(trial.block for trial in trials)
    cells = Counter((t.block, t.variant, t.arm, t.probe) for t in trials)
    assert set(cells.values()) == {1}
    for probe, blocks in (("serial", 4), ("stream", 2)):
        for arm in ARMS:
            wanted = {(b, name) for b in range(1, blocks + 1) for name in usual.names(arm)}
            assert wanted == {
                (t.block, t.variant) for t in trials if (t.probe, t.arm) == (probe, arm)
            }


def test_ledgers_of_the_paths_come_before_all_else(usual: Design) -> None:
    trials = trials_of(usual, {"ledger": 1, "serial": 2})
    first = [(t.probe, t.arm, t.variant) for t in trials[:6]]
    assert first == [("ledger", arm, name) for arm in ARMS for name in DEFAULT]
    assert not any(trial.probe == "ledger" for trial in trials[6:])


def test_the_order_is_another_in_each_block_and_the_same_for_a_seed(usual: Design) -> None:
    blocks = {"serial": 2}
    trials = trials_of(usual, blocks)
    assert trials == trials_of(usual, blocks)
    assert trials != trials_of(usual, blocks, seed=2)
    one, two = ([(t.variant, t.arm) for t in trials if t.block == block] for block in (1, 2))
    assert one != two
    assert sorted(one) == sorted(two)


def test_a_run_is_planned_by_a_design_that_can_be_had_back(usual: Design) -> None:
    run = new_run(usual, DEFAULT, measures=["stream", "stream"], arms=["parity"], blocks=1, seed=3)
    assert design_of(run) == usual
    assert {(t.probe, t.arm) for t in run.plan} == {("ledger", "parity"), ("stream", "parity")}
    assert run.variants["vxlan"].sha256 == shipped("vxlan").digest
    assert run.asked.probes == ("stream", "ledger")
