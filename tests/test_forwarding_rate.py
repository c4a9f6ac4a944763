"""What arrives of a flood is timed by the arrivals, and tells of the pump's work for a packet."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path as FilePath
from statistics import median
from typing import Any

import msgspec
import pytest
from files import shipped
from live import live

from bench.errors import CannotMeasure
from bench.forwarders import forwarding
from bench.probes import PROBES, Path
from bench.probes.forwarding_rate import rate_of
from bench.process import Send, spawn
from bench.search import Options, Trial, model
from bench.search.model import FLOOD
from bench.search.tester import ready_for_trials
from bench.topology import build
from bench.why.design import variant_of

PROBE = PROBES["forwarding_rate_64"]
SHORT = {"seconds": 0.05, "values": 3}


@pytest.mark.usefixtures("tuns")
def test_the_rate_is_that_at_which_the_servers_device_counts_packets() -> None:
    """The second way: the kernel's counter, read by our own clock while the flood is on."""
    with live(shipped("tun-relay").scenario) as topology:
        path = Path(topology, "tun-relay")
        with (
            ready_for_trials(path, 64, Options()) as tester,
            spawn("watcher", watch, netns=topology.netns("server")) as watcher,
        ):
            tester.run(FLOOD, 1.0)
            arrived = tester.received.read()
            counts = watcher.receive(5)["counts"]
    within = [(at, n) for at, n in counts if arrived.first_ns < at < arrived.last_ns]
    (begin, before), (end, after) = within[0], within[-1]
    assert end - begin > 0.4e9
    assert rate_of(arrived) == pytest.approx((after - before) / (end - begin) * 1e9, rel=0.25)


def watch(_: Send) -> dict[str, Any]:
    """What the device has counted, every now and then, with the time.

    Ahead of the flood's ends, which are real-time tasks and would leave it no CPU.
    """
    with suppress(OSError):  # nor are the flood's ends, then
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))
    counts, deadline = [], time.monotonic() + 1.5
    while time.monotonic() < deadline:
        [line] = [s for s in FilePath("/proc/net/dev").read_text().splitlines() if "tun0:" in s]
        counts.append((time.monotonic_ns(), int(line.split()[2])))
        time.sleep(0.02)
    return {"counts": counts}


@pytest.mark.usefixtures("tuns")
def test_a_pump_that_does_more_for_a_packet_carries_less_of_a_flood() -> None:
    rates = {}
    for calls in (0, 200):
        scenario = variant_of(f"tun-relay[null_calls={calls}]").scenario
        with live(scenario) as topology:
            measured = PROBE.measure(Path(topology, "tun-relay"), SHORT)
        rates[calls] = median(measured.samples["forwarding_rate_64"])
    assert rates[200] < 0.7 * rates[0]


@pytest.mark.usefixtures("namespaces")
def test_every_flood_has_a_value_and_is_kept() -> None:
    with live(shipped("veth").scenario) as topology:
        measured = PROBE.measure(Path(topology, "veth"), SHORT)
    assert list(measured.samples) == ["forwarding_rate_64"]
    assert len(measured.samples["forwarding_rate_64"]) == 3
    floods = msgspec.json.decode(measured.raw["forwarding_rate_64"], type=list[Trial])
    assert [flood.asked for flood in floods if not flood.discarded] == [FLOOD] * 3
    for flood in floods:
        assert flood.sent - flood.received == sum(flood.lost.values())


@pytest.mark.usefixtures("namespaces")
def test_floods_of_cores_that_are_apart_are_made_again_and_no_more_often_than_there_are_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model, "APART", -1.0)  # always
    with live(shipped("veth").scenario) as topology:
        measured = PROBE.measure(Path(topology, "veth"), SHORT)
    floods = msgspec.json.decode(measured.raw["forwarding_rate_64"], type=list[Trial])
    assert [flood.discarded for flood in floods] == [True] * 3 + [False] * 3
    assert len(measured.samples["forwarding_rate_64"]) == 3


@pytest.mark.usefixtures("tuns")
def test_a_flood_of_which_nothing_arrives_is_no_measurement() -> None:
    with build(shipped("tun-relay").scenario) as topology, forwarding(topology) as running:
        os.kill(running[0].child.pid, signal.SIGSTOP)
        try:
            with pytest.raises(CannotMeasure, match="forwarding_rate_64: of a flood 0 datagrams"):
                PROBE.measure(Path(topology, "tun-relay", running), SHORT)
        finally:
            os.kill(running[0].child.pid, signal.SIGCONT)
