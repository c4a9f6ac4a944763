"""At which load delay is measured: one for all trials of a run, the same where it is compared."""

import json
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import msgspec
import pytest
from program import vnetbench
from screens import complaint
from sets import a_run, noisy, write_set

from bench import loads
from bench import run as runner
from bench.compare import compare
from bench.forwarders import forwarding
from bench.probes import PROBES, Measurement, Path, delay, prove
from bench.probes.delay import BASE_RATE, Delay
from bench.results import PlannedTrial, ResultWriter, Run, load
from bench.scenario import find, variants
from bench.topology import build

SETTINGS: dict[str, Any] = {**PROBES["delay_50"].settings["quick"], "rate": 0.0, "seconds": 0.1}


@pytest.mark.usefixtures("namespaces")
def test_the_rate_is_found_before_the_first_trial_of_a_variant_and_arm_and_all_go_by_it(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[str] = []

    def search(path: Path) -> tuple[float, tuple[str, ...]]:
        searched.append(path.name)
        return 4000.0 + len(searched), ("this rate is doubtful",)

    monkeypatch.setattr(delay, "base_rate", search)
    monkeypatch.setattr(delay, "sender_limit", lambda _: 1e6)
    settings = dict.fromkeys(("delay_10", "delay_50"), SETTINGS)
    run = a_run(("veth",), ("native", "parity"), tuple(settings), 2, settings)
    chosen = {v.name: v for v in variants(find(["veth"]), ())}
    with ResultWriter.create(tmp_path / "a", run) as writer:
        runner.run(chosen, settings, writer, lambda *_: None)
        results = load(writer.finish())
    assert results.run.failures == ()
    assert len(searched) == 2
    assert "this rate is doubtful" in results.run.warnings
    went_by: dict[str, set[float]] = {"native": set(), "parity": set()}
    for trial in results.run.plan:
        text = (results.path / trial.probe / f"{trial.trial}.json").read_text()
        went_by[trial.arm].add(json.loads(text)["base_rate"])
    assert went_by == {"native": {4001.0}, "parity": {4002.0}}
    for arm, found in results.run.variants["veth"].conditions.items():
        assert found.keys() == settings.keys() | {loads.LOAD}
        assert {each[BASE_RATE] for each in found.values()} == went_by[arm]


@pytest.mark.usefixtures("namespaces")
def test_a_load_is_a_share_of_what_the_sender_can_hand_over_where_the_path_carries_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delay, "base_rate", lambda _: (1e9, ()))
    (variant,) = variants(find(["veth"]), ())
    with build(variant.scenario) as topology, forwarding(topology) as running:
        path = prove(topology, variant.name, running)
        found = delay.find_load(path, SETTINGS)
        measured = delay.measure(10, replace(path, known=found.conditions), SETTINGS)
    base = found.conditions[BASE_RATE]
    assert measured.conditions[BASE_RATE] == base
    assert 1e4 < base < 1e7
    assert msgspec.json.decode(measured.raw["delay_10"], type=Delay).load == pytest.approx(
        base / 10
    )
    assert found.warnings == (
        f"{path.name}: the path carries 1000000000 packet/s, the sender {base:.0f}",
    )


@pytest.mark.slow
@pytest.mark.usefixtures("namespaces")
def test_datagrams_are_spaced_as_run_was_told_and_the_set_says_so(tmp_path: FilePath) -> None:
    shape = ("veth", "--probe", "delay_10", "--arm", "native", "--blocks", 1, "--no-repeat")
    for words, poisson in (((), True), (("--spacing", "constant"), False)):
        target = tmp_path / str(poisson)
        vnetbench("run", *shape, *words, "-o", target)
        results = load(target)
        assert results.run.asked.settings["delay_10"]["poisson"] is poisson
        kept = msgspec.json.decode((target / "delay_10/1.json").read_bytes(), type=Delay)
        assert kept.poisson is poisson


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--spacing constant", "--spacing constant: is of delays; choose one, as --probe delay_50"),
        ("--probe delay_10 --spacing even", "'even' is not one of 'poisson', 'constant'"),
    ],
)
def test_a_spacing_that_nothing_goes_by_is_answered_in_one_line(words: str, says: str) -> None:
    assert says in complaint("run", "veth", *words.split())


def with_load(run: Run, rate: float) -> Run:
    """A run of which `rtt` found a load."""
    found = {arm: {"rtt": {BASE_RATE: rate}} for arm in run.asked.arms}
    changed = {
        name: msgspec.structs.replace(record, conditions=found)
        for name, record in run.variants.items()
    }
    return msgspec.structs.replace(run, variants=changed)


def test_what_was_measured_at_another_load_is_not_compared(tmp_path: FilePath) -> None:
    sets = [
        write_set(tmp_path / str(rate), with_load(a_run(), rate), noisy(1))
        for rate in (100_000.0, 100_500.0, 102_000.0)
    ]
    assert compare(sets[0], sets[1]).refused == []
    refused = compare(sets[0], sets[2]).refused
    assert {item.reason for item in refused} == {
        "rtt was done under other conditions: base_rate 100000.0 → 102000.0"
    }
    assert all(item.name.startswith("rtt[") for item in refused)


def test_a_trial_all_of_whose_figures_were_left_out_is_no_trial_that_was_not_reached(
    tmp_path: FilePath,
) -> None:
    run = a_run(("veth",), ("native",), blocks=1)
    sets = []
    for name in ("a", "b"):
        with ResultWriter.create(tmp_path / name, run) as writer:
            for trial in writer.pending():
                samples = {"rtt": [1e-5]} if trial.probe == "rtt" else {}
                writer.record(trial, Measurement(samples))
            sets.append(load(writer.finish()))
    (absent,) = compare(*sets).failed
    assert absent.name == "tcp_goodput[veth,native]"
    assert f"{tmp_path / 'a'}: gave no figure, its warnings say why" in absent.reason


def test_a_run_may_go_by_the_loads_of_another(tmp_path: FilePath) -> None:
    other = write_set(tmp_path / "old", with_load(a_run(("veth",)), 5000.0), noisy(1))
    begun = loads.go_by(a_run(("veth", "vxlan")), other.run)
    with ResultWriter.create(tmp_path / "a", begun) as writer:
        assert writer.conditions("veth", "native") == {BASE_RATE: 5000.0}
        assert writer.conditions("vxlan", "native") == {}


@pytest.mark.usefixtures("namespaces")
def test_what_is_compared_goes_by_the_load_of_the_old_side_whichever_is_drawn_first(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[str] = []

    def search(path: Path) -> tuple[float, tuple[str, ...]]:
        searched.append(path.name)
        return 4000.0, ()

    monkeypatch.setattr(delay, "base_rate", search)
    chosen = {v.name: v for v in variants(find(["veth", "bridge"]), ())}
    run = a_run(tuple(chosen), ("native",), ("delay_50",), 1, {"delay_50": SETTINGS})
    asked = msgspec.structs.replace(run.asked, one_for_all=True)
    new_first = tuple(
        PlannedTrial(number, 1, variant, "native", "delay_50")
        for number, variant in enumerate(("bridge", "veth"), 1)
    )
    begun = msgspec.structs.replace(run, asked=asked, plan=new_first)
    with ResultWriter.create(tmp_path / "a", begun) as writer:
        runner.run(chosen, {"delay_50": SETTINGS}, writer, lambda *_: None)
        results = load(writer.finish())
    assert results.run.failures == ()
    assert searched == ["load[veth,native]"]
    found = [record.conditions["native"]["delay_50"] for record in results.run.variants.values()]
    assert [each[BASE_RATE] for each in found] == [4000.0, 4000.0]


STEAL = {"steal": 0.5}


def sought(*figures: dict[str, float | None]) -> tuple[Measurement, int]:
    """What comes of searches that are disturbed so, the first of which finds 1001 packet/s."""
    done: list[float] = []

    def search() -> tuple[Measurement, dict[str, float | None]]:
        done.append(1001.0 + len(done))
        return Measurement({}, conditions={BASE_RATE: done[-1]}), figures[len(done) - 1]

    return loads.find("load[veth,native]", search, 3), len(done)


def test_a_load_is_of_a_search_that_nothing_disturbed() -> None:
    found, searches = sought({**STEAL}, {"steal": 0.0}, {**STEAL})
    assert (found.conditions[BASE_RATE], searches) == (1002.0, 2)
    assert found.warnings == ()


def test_a_load_that_was_found_while_disturbed_each_time_is_warned_of(tmp_path: FilePath) -> None:
    found, searches = sought({**STEAL}, {**STEAL}, {**STEAL})
    assert searches == 3
    assert found.warnings == ("load[veth,native]: was found while disturbed (steal); tries: 3",)
    run = a_run(("veth",), ("native",))
    with ResultWriter.create(tmp_path / "a", run) as writer:
        assert loads.disturbed(writer.run) is None
        writer.record_conditions("veth", "native", loads.LOAD, dict(found.conditions))
        assert loads.disturbed(writer.run) is True


def test_the_loads_of_a_set_that_has_none_are_refused_before_anything_is_measured(
    tmp_path: FilePath,
) -> None:
    write_set(tmp_path / "old", a_run(), noisy(1))
    words = ("run", "veth", "--loads-of", tmp_path / "old", "-o", tmp_path / "new")
    told = vnetbench(*words, status=2)
    assert told.stderr == f"vnetbench: {tmp_path / 'old'}: has no loads of any of these scenarios\n"
    assert not (tmp_path / "new.partial").exists()


def test_a_resumed_run_knows_the_load(tmp_path: FilePath) -> None:
    run = a_run(("veth",), ("native",), ("rtt",), 2)
    first = PlannedTrial(1, 1, "veth", "native", "rtt")
    with ResultWriter.create(tmp_path / "a", run) as writer:
        writer.record(first, Measurement({"rtt": [1e-5]}, conditions={BASE_RATE: 7000.0}))
    with ResultWriter.resume(tmp_path / "a") as writer:
        assert writer.conditions("veth", "native") == {BASE_RATE: 7000.0}
