"""The ledger of every shipped scenario, and what it does where its sources disagree."""

import copy
import os
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
from capabilities import require
from files import shipped
from sets import asking

from bench import run as runner
from bench.errors import CannotMeasure
from bench.forwarders import forwarding
from bench.ledger import ITEMS, Ledger, Load, take, trace
from bench.ledger.checks import CHECKS, agree
from bench.ledger.evidence import MISSED_MOST, Evidence
from bench.ledger.take import assemble, observe
from bench.probes import PROBES, Path, prove
from bench.quality.rule import REPEATS, judge
from bench.results import ResultWriter, load
from bench.scenario import find, shipped_scenarios, variants
from bench.topology import build

pytestmark = [pytest.mark.usefixtures("tuns"), pytest.mark.slow]

LOAD = Load(packets=2000)
SHIPPED = list(shipped_scenarios())


@pytest.fixture(scope="module", autouse=True)
def tracing() -> None:
    """Skip where the tracer cannot work; in CI that is a failure."""
    require(trace.missing() is None, f"needs to trace: {trace.missing()}")


def proved(name: str, *overrides: str) -> Iterator[Path]:
    """A path that is up."""
    (variant,) = variants(find([name]), overrides)
    with build(variant.scenario) as topology, forwarding(topology) as running:
        yield prove(topology, variant.name, running)


def observed(name: str, *overrides: str, load: Load = LOAD) -> Evidence:
    """What was counted on a path, which is gone.

    Where other programs load the machine the tracer may miss too much, or not come to its end in
    time. Then it is done again, as a run does and by its rule: on a path built anew, so often and
    no more. Only what the tracer says of itself decides, never what was counted, and the last try
    counts whatever it missed.
    """
    for left in reversed(range(1 + REPEATS)):
        (evidence,) = (observe(path, load) for path in proved(name, *overrides))
        found = evidence.seen.trace
        if found and not judge({"missed": found.missed_share}):
            break
        said = f"missed {found.missed_share:.2%}" if found else evidence.seen.reasons["trace"]
        warnings.warn(f"{name}: the tracer: {said}; {left} tries left", stacklevel=2)
    return evidence


HIDDEN = {"wakeups", "segments_per_skb", "drops"}
"""What is not observed where the tracer missed too much."""


def complete(ledger: Ledger) -> Ledger:
    """The ledger; skip where the tracer missed too much, which may hide some items and no more."""
    if ledger.missed_share is not None and ledger.missed_share > MISSED_MOST:
        assert ledger.reasons.keys() == HIDDEN
        pytest.skip(ledger.reasons["wakeups"])
    return ledger


@pytest.fixture(scope="module")
def evidence() -> dict[str, Evidence]:
    """Of every shipped scenario."""
    return {name: observed(name) for name in SHIPPED}


@pytest.fixture(scope="module")
def ledgers(evidence: dict[str, Evidence]) -> dict[str, Ledger]:
    return {name: assemble(found, LOAD) for name, found in evidence.items()}


@pytest.fixture
def flannel(evidence: dict[str, Evidence]) -> Evidence:
    """A copy of what was counted on the path of flannel's UDP mode, to be tampered with."""
    found = evidence["flannel-udp"]
    return replace(found, seen=copy.deepcopy(found.seen))


# ---- what is predicted --------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_what_a_scenario_predicts_is_what_happens(name: str, ledgers: dict[str, Ledger]) -> None:
    ledger = ledgers[name]
    assert ledger.predicted.keys() == {"copies", "traversals", "device_hops", "useful_calls"}
    for item, predicted in ledger.predicted.items():
        assert ledger.per_packet[item] == pytest.approx(predicted, rel=0.01), item


# ---- what is counted ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_independent_counts_agree(name: str, ledgers: dict[str, Ledger]) -> None:
    assert ledgers[name].sound, ledgers[name].disagreements()
    done = {check.id for check in ledgers[name].checks if check.agree}
    assert {"endpoint_calls", "datagrams", "transmitted", "received", "switches", "lost"} <= done
    absent = [check for check in ledgers[name].checks if check.agree is None]
    assert all(check.reason for check in absent)


def test_where_there_are_pumps_their_calls_and_bytes_are_checked(
    ledgers: dict[str, Ledger],
) -> None:
    checked = {check.id for check in ledgers["tap-bridge"].checks if check.agree}
    assert checked >= {"pump_calls", "pump_vain_calls", "pump_bytes", "device_reads"}
    assert checked == CHECKS.keys()


def test_every_item_is_observed_and_its_parts_make_the_whole(ledgers: dict[str, Ledger]) -> None:
    ledger = complete(ledgers["flannel-udp"])
    assert ledger.reasons == {}
    for id_, item in ITEMS.items():
        parts = ledger.by_host[id_].values()
        if not item.ratio:
            assert sum(parts) == pytest.approx(ledger.per_packet[id_]), id_


def test_a_sending_host_of_flannel_copies_three_times(ledgers: dict[str, Ledger]) -> None:
    """The application's send, the pump's read of the tun, the pump's send."""
    copies = ledgers["flannel-udp"].by_host["copies"]
    sending = copies["ctr-a"] + copies["host-a"]
    assert sending == pytest.approx(3, rel=0.01)


def test_under_one_way_traffic_about_half_of_flannels_calls_are_in_vain(
    ledgers: dict[str, Ledger],
) -> None:
    """A turn of its loop reads and receives, and one of the two has nothing."""
    ledger = ledgers["flannel-udp"]
    useful, vain = (ledger.by_process[item] for item in ("useful_calls", "vain_calls"))
    for pump in (name for name in useful if name.startswith("pump")):
        assert 0.3 < vain[pump] / (useful[pump] + vain[pump]) < 0.7


def test_a_tap_on_a_bridge_leaves_the_hosts_ip_layer_alone(ledgers: dict[str, Ledger]) -> None:
    assert ledgers["tap-bridge"].by_host["traversals"]["host"] == pytest.approx(0, abs=0.01)


def test_handicaps_appear_in_the_ledger_by_their_number() -> None:
    found = observed("tun-relay", "null_calls=3", load=Load(packets=500, rate=2000))
    ledger = assemble(found, LOAD)
    calls = next(c for c in ledger.checks if c.what.endswith("getppid"))
    assert ledger.sound
    assert calls.left_count == pytest.approx(1500, abs=3)
    assert calls.right_count == pytest.approx(1500, abs=3)


def test_what_a_pumps_threads_tell_each_other_is_no_packet() -> None:
    found = observed("tun-relay", "handoffs=1", load=Load(packets=500, rate=1000))
    ledger = assemble(found, LOAD)
    assert ledger.sound, ledger.disagreements()
    assert ledger.per_packet["copies"] == pytest.approx(4, rel=0.02)
    assert ledger.per_packet["memory_copies"] == 0


def test_copies_in_a_pumps_memory_are_counted_by_themselves() -> None:
    found = observed(
        "tun-relay", "hot_copies=2", "cold_copies=1", load=Load(packets=500, rate=1000)
    )
    ledger = assemble(found, LOAD)
    assert ledger.sound, ledger.disagreements()
    assert ledger.per_packet["memory_copies"] == pytest.approx(3, rel=0.02)
    assert ledger.per_packet["copies"] == pytest.approx(4, rel=0.02)


def test_a_load_of_which_much_is_lost_is_no_measurement_of_the_probe() -> None:
    settings = {"kind": "udp", "packets": 20_000, "size": 64, "rate": 500_000.0}
    for path in proved("tun-udp"):
        with pytest.raises(CannotMeasure, match=r"of 20000 datagrams were lost"):
            PROBES["ledger"].measure(path, settings)


def test_with_io_uring_copies_come_from_the_pump_and_the_ledger_says_so() -> None:
    found = observed("tun-udp", "io=uring", "readiness=on", load=Load(packets=500, rate=2000))
    ledger = assemble(found, LOAD)
    assert ledger.per_packet["copies"] == pytest.approx(6, rel=0.02)
    assert "pump counters" in ledger.sources["copies"]
    assert "useful_calls" not in ledger.predicted


def test_a_super_packet_that_a_pump_tells_of_is_one_copy_of_all_its_bytes() -> None:
    """With io_uring it is the pump that tells."""
    offload = ("io=uring", "readiness=on", "tun_offload=on", "udp_offload=on")
    evidence = observed("flannel-udp", *offload, load=Load("tcp"))
    pumps = dict.fromkeys(process.pid for process, _ in evidence.pumps())
    told = [c for way in ("in", "out") for c in evidence.crossings(way) if c.process.pid in pumps]
    segments = evidence.delivered.bytes / 1400
    assert sum(c.bytes for c in told) > 4 * evidence.delivered.bytes
    assert sum(c.count for c in told) < segments


def test_losses_are_found_among_the_drops() -> None:
    found = observed("tun-udp", load=Load(packets=20_000, rate=500_000))
    ledger = assemble(found, LOAD)
    lost = next(check for check in ledger.checks if check.id == "lost")
    assert lost.left_count > 100
    assert lost.agree


def test_a_tcp_stream_is_counted_by_segment_and_by_byte() -> None:
    for path in proved("veth"):
        ledger = take(path, Load("tcp"), overhead=False)
    assert ledger.segment == pytest.approx(1448, abs=20)
    assert ledger.predicted == {}
    copied, by_byte = ledger.per_packet["copied_bytes"], ledger.per_byte["copied_bytes"]
    assert copied is not None
    assert by_byte is not None
    assert by_byte == pytest.approx(2, rel=0.05)
    assert copied == pytest.approx(2 * ledger.segment, rel=0.05)


# ---- what contradicts itself --------------------------------------------------------------------


def tampered(evidence: Evidence, observer: str, change: float) -> Evidence:
    """The evidence with one source's counts multiplied."""

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: changed(entry) for key, entry in value.items()}
        return round(value * change)

    setattr(evidence.seen, observer, changed(getattr(evidence.seen, observer)))
    return evidence


@pytest.mark.parametrize("observer", ["snmp", "devices", "process", "pumps"])
def test_a_source_that_is_off_by_one_percent_is_found_out(observer: str, flannel: Evidence) -> None:
    """Beyond what the tracer says that it missed, which is held to be no disagreement."""
    missed = flannel.trace().missed / LOAD.packets if observer == "devices" else 0
    ledger = assemble(tampered(flannel, observer, 1.01 + missed), LOAD)
    if observer == "snmp":  # both of what it is held against itself with have changed alike
        assert {c.id for c in ledger.checks if c.agree is False} == {"datagrams"}
    assert not ledger.sound
    assert ledger.disagreements()


def test_a_tracer_that_missed_calls_is_found_out(flannel: Evidence) -> None:
    traced = flannel.trace()
    traced.calls = {key: count - count // 50 for key, count in traced.calls.items()}
    ledger = assemble(flannel, LOAD)
    assert not ledger.sound
    assert any("sendto" in line or "read" in line for line in ledger.disagreements())


def test_counts_may_differ_by_a_thousandth_or_by_three() -> None:
    assert agree(0, 3)
    assert not agree(0, 4)
    assert agree(100_000, 100_100)
    assert not agree(100_000, 100_101)
    assert agree(100, 90, missed=10)
    assert not agree(90, 100, missed=10)


def test_a_disagreement_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracer that counts twice, in a run."""
    counted = trace._Tracer.counted

    def twice(self: Any) -> trace.Traced:
        found = counted(self)
        return replace(found, calls={key: 2 * count for key, count in found.calls.items()})

    monkeypatch.setattr(trace._Tracer, "counted", twice)
    settings = {"kind": "udp", "packets": 500, "size": 64, "rate": 5000.0}
    for path in proved("tun-relay"):
        with pytest.raises(CannotMeasure, match="disagree: pump"):
            PROBES["ledger"].measure(path, settings)


def test_a_trial_of_which_the_tracer_missed_too_much_is_repeated_in_a_run(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, tries = trace._Tracer.counted, 0

    def missing_much_at_first(self: Any) -> trace.Traced:
        nonlocal tries
        tries += 1
        found = counted(self)
        return replace(found, missed=found.events // 100 if tries == 1 else 0)

    monkeypatch.setattr(trace._Tracer, "counted", missing_much_at_first)
    settings = {"ledger": {"kind": "udp", "packets": 500, "size": 64, "rate": 5000.0}}
    run = asking(
        2, variants=("veth",), arms=("native",), probes=("ledger",), blocks=1, settings=settings
    )
    with ResultWriter.create(tmp_path / "a", run) as writer:
        runner.run({"veth": shipped("veth")}, settings, writer, lambda *_: None)
        results = load(writer.finish())
    [record] = results.run.quality
    first, second = record.attempts
    assert "missed" in first.spoilt
    assert first.figures["missed"] == pytest.approx(0.01, rel=0.1)
    assert "wakeups" not in first.samples
    assert (second.figures["missed"], "missed" in second.spoilt) == (0, False)
    assert "wakeups" in {sample.metric for sample in results.samples}


# ---- what cannot be observed --------------------------------------------------------------------


def test_without_the_tracer_the_rest_still_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    for path in proved("flannel-udp"):
        ledger = take(path, Load(packets=500))
    assert ledger.unobserved == {"trace": "bpftrace is not installed"}
    assert ledger.overhead is None
    for item, predicted in ledger.predicted.items():
        assert ledger.per_packet[item] == pytest.approx(predicted, rel=0.02), item
    assert ledger.per_packet["wakeups"] is None
    assert ledger.reasons["wakeups"] == "bpftrace is not installed"
    assert ledger.sound


def test_where_too_much_was_missed_only_what_a_process_does_itself_is_observed(
    flannel: Evidence,
) -> None:
    flannel.trace().missed = flannel.trace().events // 100
    ledger = assemble(flannel, LOAD)
    assert set(ledger.reasons) == HIDDEN
    assert ledger.per_packet["copies"] == pytest.approx(6, rel=0.01)
    assert ledger.sources["device_hops"] == "device statistics"


def test_the_probe_gives_no_sample_of_what_is_not_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    settings = {"kind": "udp", "packets": 500, "size": 64, "rate": 5000.0}
    for path in proved("tun-relay"):
        measured = PROBES["ledger"].measure(path, settings)
    assert measured.samples.keys() == {
        "syscalls",
        "working_calls",
        "copies",
        "memory_copies",
        "copied_bytes",
        "traversals",
    }
    assert measured.samples["copies"] == [pytest.approx(4, rel=0.01)]
    assert measured.disturbances == {"missed": None}
    assert b'"wakeups":"bpftrace is not installed"' in measured.raw["ledger"]


def test_observing_has_a_price_that_is_measured() -> None:
    for path in proved("tun-udp"):
        ledger = take(path, Load(packets=2000))
    assert ledger.sound
    if ledger.overhead is None:
        assert "something else is busy on this machine" in ledger.overhead_reason
        pytest.skip(ledger.overhead_reason)
    assert ledger.overhead.ratio == pytest.approx(ledger.overhead.traced / ledger.overhead.plain)
    assert 0.2 < ledger.overhead.ratio < 20
    assert 5e-6 < ledger.overhead.plain < 1e-3


def test_the_generators_pauses_are_no_wakeups_of_the_path(ledgers: dict[str, Ledger]) -> None:
    """The sink is woken for each datagram, and nobody else."""
    ledger = complete(ledgers["veth"])
    for item in ("wakeups", "switches"):
        count = ledger.per_packet[item]
        assert count is not None
        assert 0 < count < 1.1, item
