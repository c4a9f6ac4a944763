"""What a packet and a byte cost the whole machine, and what the processor counted meanwhile."""

import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import pytest
from capabilities import require
from program import vnetbench

from bench.errors import CannotMeasure, MissingCapability
from bench.forwarders import forwarding
from bench.ledger import Load
from bench.ledger.loads import place, prepared
from bench.meters import counted, metering
from bench.metrics import METRICS
from bench.native.meter import CONTEXT_SWITCHES, Event, Reading
from bench.probes import PROBES, Measurement, Path, prove
from bench.probes.cpu import EVENTS, events
from bench.process import Send, spawn
from bench.scenario import find, variants
from bench.topology import build
from bench.units import format_value

pytestmark = pytest.mark.slow

PACKETS: dict[str, Any] = {
    **PROBES["cpu"].settings["quick"],
    "seconds": 0.3,
    "idle": 0.15,
    "stream_windows": 0,
}
NOWHERE = Event(0x7FFFFFFF, 0)
"""An event of a kind that no kernel has."""
NULL_CALLS = 200


def proved(name: str, *overrides: str) -> Iterator[Path]:
    """A path that is up."""
    (variant,) = variants(find([name]), overrides)
    with build(variant.scenario) as topology, forwarding(topology) as running:
        yield prove(topology, variant.name, running)


def measured(path: Path, settings: dict[str, Any]) -> Measurement:
    """What the probe says; on a machine that is too busy for it the test is skipped."""
    try:
        return PROBES["cpu"].measure(path, settings)
    except CannotMeasure as error:
        if "busy" in str(error) or "lost" in str(error):
            pytest.skip(str(error))
        raise


def price(path: Path) -> float:
    """CPU seconds of a packet."""
    return sorted(measured(path, PACKETS).samples["cpu_per_packet"])[1]


# ---- the price of a packet ----------------------------------------------------------------------


@pytest.mark.usefixtures("tuns")
def test_work_that_a_pump_does_more_is_in_the_price_of_a_packet() -> None:
    """A second way to know: what the scheduler gave to the pump, by the pump's count of packets.

    A neighbour on the core may be in one of the four windows alone, so not only one round is tried.
    """
    rounds = []
    while not rounds or (len(rounds) < 4 and not agree(*rounds[-1])):
        prices, given = [], []
        for calls in (0, NULL_CALLS):
            for path in proved("tun-relay", f"null_calls={calls}"):
                before = pump_work(path)
                prices.append(price(path))
                seconds, packets = (b - a for a, b in zip(before, pump_work(path), strict=True))
                given.append(seconds / packets)
        rounds.append((prices[1] - prices[0], given[1] - given[0]))
    assert agree(*rounds[-1]), f"seconds of CPU time a packet, by price and by pump: {rounds}"


def agree(price: float, given: float) -> bool:
    """Whether what a pump does more is seen in both ways alike."""
    return given > 5e-6 and price == pytest.approx(given, rel=0.35)


def pump_work(path: Path) -> tuple[float, int]:
    """CPU seconds and packets of the only pump so far."""
    (pump,) = path.forwarders
    assert pump.counters is not None
    spent = int(FilePath(f"/proc/{pump.child.pid}/schedstat").read_text().split()[0]) / 1e9
    return spent, pump.counters()["port0.rx_packets"]


@pytest.mark.usefixtures("tuns")
def test_a_path_with_more_on_it_costs_more() -> None:
    """The least of up to three rounds, as neighbours only ever add to a price."""
    more = {"tap-bridge": 1.1, "flannel-udp": 1.2}
    least = dict.fromkeys(("veth", *more), math.inf)
    for _ in range(3):
        for name in least:
            for path in proved(name):
                least[name] = min(least[name], price(path))
        if all(least[name] > factor * least["veth"] for name, factor in more.items()):
            return
    found = json.loads(vnetbench("doctor", "--json").stdout)["noise"]
    [company] = [finding for finding in found if finding["id"] == "core_company"]
    if company["status"] == "noisy":  # what they take of a core is in no count of ours
        pytest.skip(f"strangers are on our cores: {company['found']}")
    pytest.fail(f"seconds of CPU time a packet: {least}")


@pytest.mark.usefixtures("tuns")
def test_the_kernels_count_of_idle_time_tells_about_the_same() -> None:
    """Without soakers CPUs sleep, and their waking up is in the figure: hence the wide bounds.

    The kernel looks at each tick. Datagrams in step with it would all be seen, or none of them.
    """
    load = Load("udp", packets=2500, rate=4871.0)
    shares = []
    for path in proved("tun-relay", f"null_calls={NULL_CALLS}"):
        soaked = price(path)
        for _ in range(3):
            with prepared(path, load) as ready:
                place(path, max(os.sched_getaffinity(0)), ready.processes)
                quiet = [busy_share(lambda: time.sleep(0.3))]
                loaded = busy_share(ready.run)
                quiet.append(busy_share(lambda: time.sleep(0.3)))
            if max(quiet) < 0.1:
                shares.append(loaded - sum(quiet) / 2)
    if not shares:
        pytest.skip("something else is busy on this machine")
    # What somebody else does meanwhile only adds to it.
    told = min(shares) * (os.cpu_count() or 1) / load.rate
    assert 0.5 < told / soaked < 2, shares


def busy_share(run: Any) -> float:
    """The share of all CPUs' time that was not idle."""
    before = ticks()
    run()
    idle, total = (b - a for a, b in zip(before, ticks(), strict=True))
    return 1 - idle / total


def ticks() -> tuple[int, int]:
    """Idle time and all time."""
    words = FilePath("/proc/stat").read_text().splitlines()[0].split()
    values = [int(word) for word in words[1:9]]
    return values[3] + values[4], sum(values)


@pytest.mark.usefixtures("namespaces")
def test_a_trial_prices_packets_and_bytes_and_says_what_was_not_observed() -> None:
    for path in proved("veth"):
        found = measured(path, {**PACKETS, "windows": 1, "stream_windows": 1})
    kept = json.loads(found.raw["cpu"])
    (packet,), (byte,) = found.samples["cpu_per_packet"], found.samples["cpu_per_byte"]
    assert packet == pytest.approx(kept["packets"][0]["seconds"] / kept["packets"][0]["units"])
    assert 1e-6 < packet < 1e-3
    assert 1e-11 < byte < 1e-8
    assert found.samples.keys() <= METRICS.keys()
    for metric in EVENTS:
        observed = found.samples.get(metric, [None])[0]
        assert observed == kept["events"][metric] or (
            observed is None and kept["events"][metric].startswith("not observed: ")
        )


def test_a_byte_costs_less_than_a_nanosecond_and_can_be_read() -> None:
    assert format_value(3.5e-10, METRICS["cpu_per_byte"].unit) == "0.350 ns"


# ---- events of the processor --------------------------------------------------------------------


def test_an_event_that_nothing_counts_is_not_observed() -> None:
    for path in proved("veth"):
        said = events(path, Load("udp", packets=100), NOWHERE, 0.01)
    assert said == "not observed: no PMU here counts it: many virtual machines have none"


def test_meters_see_what_the_kernel_counts_by_itself() -> None:
    require(os.geteuid() == 0, "needs root to meter whole CPUs")
    with metering(CONTEXT_SWITCHES) as meters, spawn("napper", nap) as napper:
        napper.receive(5)
        outer, begin, inner = switches(), meters.read(), switches()
        napper.receive(5)
        least, end, most = switches() - inner, meters.read(), switches() - outer
    assert least > 2000
    assert least <= counted(begin, end) <= most


def nap(send: Send) -> None:
    """Leave the CPU two thousand times."""
    send({"ready": True})
    for _ in range(2000):
        time.sleep(1e-6)
    send({"done": True})


def switches() -> int:
    """All context switches since the machine is up."""
    lines = FilePath("/proc/stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("ctxt "))


def test_events_of_a_packet_are_those_beyond_an_idle_machines() -> None:
    require(os.geteuid() == 0, "needs root to meter whole CPUs")
    for path in proved("veth"):
        each = events(path, Load("udp", packets=2000), CONTEXT_SWITCHES, 0.2)
    assert isinstance(each, float)
    assert 2 < each < 8  # the generator and the sink each leave a CPU, and others take it


def test_an_ordinary_user_is_told_why_not() -> None:
    require(os.geteuid() == 0, "needs root to become somebody else")
    level = int(FilePath("/proc/sys/kernel/perf_event_paranoid").read_text())
    require(level > 0, "whole CPUs may be metered by anybody here")

    def attempt(send: Send) -> None:
        os.setresuid(65534, 65534, 65534)
        try:
            with metering(CONTEXT_SWITCHES):
                send({"reason": "none"})
        except MissingCapability as error:
            send({"reason": str(error)})

    with spawn("nobody", attempt) as nobody:
        said = nobody.receive(5)["reason"]
    assert said == f"not permitted: perf_event_paranoid is {level}; root may"


def test_a_meter_that_took_turns_is_scaled_and_one_that_had_none_is_not_observed() -> None:
    nothing = Reading(0, 0, 0)
    halved, whole = Reading(500, 1000, 500), Reading(300, 1000, 1000)
    assert counted((nothing, nothing), (halved, whole)) == pytest.approx(1300)
    with pytest.raises(MissingCapability, match="taken by somebody else"):
        counted((nothing,), (Reading(0, 1000, 0),))
