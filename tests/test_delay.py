"""One-way delay under load: what is planted is found, and what cannot be told is left out."""

import math
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import msgspec
import pytest

from bench import native
from bench._vnetbench import ffi
from bench.forwarders import forwarding
from bench.metrics import DELAY_LOADS, DELAY_PERCENTILES, METRICS, delay_id
from bench.native.delay import (
    Arrivals,
    Arrived,
    Histograms,
    Paced,
    Rhythm,
    Schedule,
    bucket_of,
    receive_paced,
    send_paced,
)
from bench.native.traffic import Sent, Tally
from bench.percentiles import SLICES, Counts, pooled, quantile
from bench.pingpong import connect
from bench.probes import PROBES, Measurement, Path, delay, prove
from bench.probes.ahead import ends, shared_cpu
from bench.probes.base import client
from bench.probes.delay import Delay, judge
from bench.probes.echo import responder
from bench.probes.paced import Found, Offer, offer
from bench.process import Send, spawn
from bench.scenario import find, variants
from bench.topology import build

pytestmark = pytest.mark.slow

STALL = 0.05
"""Seconds for which something is stopped."""
TAIL = STALL * (1 - 0.01 / 0.05)
"""The 99th percentile of delays of which one in twenty is anything up to STALL."""
SETTINGS: dict[str, Any] = {
    **PROBES["delay_50"].settings["quick"],
    "rate": 4000.0,
    "seconds": 1.0,
}


def proved(name: str) -> Iterator[Path]:
    """A path that is up."""
    (variant,) = variants(find([name]), ())
    with build(variant.scenario) as topology, forwarding(topology) as running:
        yield prove(topology, variant.name, running)


def kept(measured: Measurement, load: int = 50) -> Delay:
    return msgspec.json.decode(measured.raw[f"delay_{load}"], type=Delay)


def in_a_quiet_moment(attempt: Callable[[], None], times: int = 5) -> None:
    """What others do on this machine may spoil an attempt, but hardly all of them."""
    for left in reversed(range(times)):
        try:
            attempt()
        except AssertionError:
            if not left:
                raise
            time.sleep(1)
        else:
            return


@contextmanager
def stalled(pid: int, after: float) -> Iterator[None]:
    """Stop a process for a while, once."""

    def stall(_: Send) -> dict[str, bool]:
        time.sleep(after)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(STALL)
        os.kill(pid, signal.SIGCONT)
        return {"done": True}

    with spawn("staller", stall) as staller:
        yield
        staller.receive(5)


# ---- the table ----------------------------------------------------------------------------------


def test_every_load_has_a_probe_and_every_percentile_of_it_a_metric() -> None:
    for share in DELAY_LOADS:
        probe = PROBES[f"delay_{share}"]
        assert probe.metrics == tuple(f"delay_{share}_{name}" for name in DELAY_PERCENTILES)
        assert all(METRICS[id_].unit == "s" for id_ in probe.metrics)
        assert not probe.default


def test_the_names_here_are_those_of_the_c_structs() -> None:
    members = [member for member, _ in ffi.typeof("struct vnb_arrived").fields]
    assert [field.name for field in fields(Arrived)] == members
    for kind, given in ((Paced, {"due_ns", "count", "late"}), (Arrivals, {"intended", "actual"})):
        there = {member for member, _ in ffi.typeof(f"struct vnb_{kind.__name__.lower()}").fields}
        assert there == {field.name for field in fields(kind)} | given


# ---- what is planted is found -------------------------------------------------------------------


@pytest.mark.usefixtures("namespaces")
def test_an_idle_path_has_about_half_the_delay_of_a_round_trip() -> None:
    """A second way to know, without a clock that both ends read; and all that came is counted.

    The round trips are as far apart as the datagrams: a CPU that has been idle for a millisecond
    may take longer to wake than a whole round trip takes right behind another.
    """
    rate = 1000.0

    def attempt() -> None:
        for path in proved("veth"):
            trips = closed_loop(path, 0.5, every=1 / rate)
            found = offer(path, Offer(rate, 1000, poisson=False, sleeps=False, seed=1))
        assert found.arrived.unique == found.sent.packets == 1000
        for slices in (found.intended, found.actual):
            assert {sum(counts.values()) for counts in slices} == {1000 // SLICES}
        median = quantile(pooled(found.intended), 1000, 0.5)
        assert median is not None
        assert 1 / 3 < median / (trips[len(trips) // 2] / 2) < 3

    in_a_quiet_moment(attempt)


def closed_loop(path: Path, seconds: float, every: float = 0.0) -> list[float]:
    """Round trips of one datagram at a time, shortest first; the ends are where `offer`'s are.

    One begins as soon as the one before it ends, but not within `every` seconds of its beginning.
    """
    cpus = ends()

    def ask(_: Send) -> dict[str, list[float]]:
        os.sched_setaffinity(0, {cpus[0]})
        trips: list[float] = []
        due = time.monotonic()
        end = due + seconds
        with connect(address) as sock:
            while due < end:
                trips.append(native.ping(sock.fileno(), 64, 1, 1.0))
                due += every
                while (now := time.monotonic()) < due:
                    pass
                due = now
        return {"trips": sorted(trips)}

    with responder(path, cpus[1]) as (_, address), client(path, "closed loop", ask) as child:
        return list(child.receive(10)["trips"])


@pytest.mark.usefixtures("tuns")
def test_a_stall_of_the_path_is_in_the_tail_where_a_closed_loop_hides_it() -> None:
    """2000 datagrams a second, and a pump that is stopped for 50 ms: one in twenty waits."""

    def attempt() -> None:
        for path in proved("tun-relay"):
            (pump,) = path.forwarders
            with stalled(pump.child.pid, 0.2):
                found = kept(delay.measure(50, path, SETTINGS))
            with stalled(pump.child.pid, 0.2):
                trips = closed_loop(path, 1.2)
        assert found.lost == 0
        tail, middle = found.percentiles["p99"].intended, found.percentiles["p50"].intended
        assert tail is not None
        assert middle is not None
        assert tail == pytest.approx(TAIL, rel=0.25)
        assert middle < STALL / 10
        assert trips[-1] > 0.8 * STALL, "the closed loop did meet the stall"
        assert trips[round(0.99 * len(trips))] < tail / 4, "and yet does not show it"

    in_a_quiet_moment(attempt)


def test_a_stall_of_the_sender_is_in_the_delay_from_when_datagrams_were_due() -> None:
    """What a sender that waits would have left out is the difference."""

    def attempt() -> None:
        found = through_loopback(Offer(2000.0, 2000, poisson=True, sleeps=True, seed=7), stall=True)
        told = judge(found, 4000.0).percentiles["p99"]
        assert told.intended is not None
        assert told.actual is not None
        assert told.omitted == pytest.approx(told.intended - told.actual)
        assert told.intended == pytest.approx(TAIL, rel=0.3)
        assert told.actual < told.intended / 4
        assert "the sender was late" in told.left_out

    in_a_quiet_moment(attempt)


def through_loopback(wanted: Offer, *, stall: bool = False, buffer: int = 1 << 20) -> Found:
    """What the probe does on a path, with a sender that may be stopped for a while."""
    sent, arrived, lateness = Tally(Sent), Tally(Arrived), Histograms()
    intended, actual = Histograms(SLICES), Histograms(SLICES)
    stop = os.eventfd(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to:
        to.bind(("127.0.0.1", 0))
        address = to.getsockname()

        def send(report: Send) -> dict[str, bool]:
            rhythm = Rhythm(wanted.rate, wanted.poisson, wanted.seed)
            schedule = Schedule(wanted.count, rhythm)
            paced = Paced(1, 2, 64, sleeps=wanted.sleeps, patience_ns=200_000_000)
            report({"ready": True})
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.connect(address)
                send_paced(sock.fileno(), paced, schedule, sent, lateness, os.eventfd(0))
            return {"done": True}

        def receive(report: Send) -> dict[str, bool]:
            report({"ready": True})
            expected = Arrivals(1, 2, 64, wanted.count, buffer, slices=SLICES)
            receive_paced(to.fileno(), expected, arrived, intended, actual, stop)
            return {"done": True}

        with spawn("receiver", receive, keep=[to.fileno(), stop]) as receiver:
            receiver.receive(5)
            with spawn("sender", send) as sender:
                sender.receive(5)
                if stall:
                    with stalled(sender.pid, 0.4):
                        sender.receive(10)
                else:
                    sender.receive(10)
            time.sleep(0.05)
            os.eventfd_write(stop, 1)
            receiver.receive(5)
    os.close(stop)
    slices: list[tuple[Counts, ...]] = [
        tuple(each.read(index) for index in range(SLICES)) for each in (intended, actual)
    ]
    counts = (sent.read(), arrived.read(), False, lateness.read())
    return Found(wanted, *counts, slices[0], slices[1])


def test_what_is_due_is_sent_however_late() -> None:
    """A Poisson schedule that is on average as fast as asked for, and all of it arrives."""

    def attempt() -> None:
        found = through_loopback(Offer(5000.0, 2000, poisson=True, sleeps=False, seed=3))
        assert found.sent.packets == found.arrived.unique == 2000
        assert found.sent.forgone == 0
        assert found.sent.seconds == pytest.approx(2000 / 5000, rel=0.15)
        assert sum(found.lateness.values()) == 2000

    in_a_quiet_moment(attempt)


# ---- what cannot be told is left out ------------------------------------------------------------


@pytest.mark.usefixtures("namespaces")
def test_a_load_that_no_sender_can_offer_gives_no_figure_and_says_why() -> None:
    for path in proved("veth"):
        settings = {**SETTINGS, "rate": 2e8, "seconds": 0.002}
        measured = delay.measure(50, path, settings)
    assert measured.samples == {}
    assert any("the sender" in warning for warning in measured.warnings)
    found = kept(measured)
    assert found.percentiles["p50"].late > 0.5
    assert found.due == 200_000


@pytest.mark.usefixtures("namespaces")
def test_a_percentile_needs_ten_datagrams_beyond_it() -> None:
    for path in proved("veth"):
        measured = delay.measure(10, path, {**SETTINGS, "rate": 10_000.0, "seconds": 0.5})
    assert kept(measured, 10).due == 500
    assert delay_id(10, "p99") not in measured.samples
    assert any(
        "p99 left out: it takes 1000 datagrams, and 500 were due" in text
        for text in measured.warnings
    )
    assert any(
        "p99.9 left out: it takes 10000 datagrams, and 500 were due" in text
        for text in measured.warnings
    )


def made_up(
    late_share: float = 0.0,
    lost_share: float = 0.0,
    late_us: int = 10_000,
    rate: float = 10_000.0,
    poisson: bool = False,
) -> Found:
    """Twenty thousand datagrams that took 20 µs each, but for what is asked for."""
    each = 1000
    lost = round(each * lost_share)
    late = round(SLICES * each * late_share)
    slices = ({bucket_of(20_000): each - lost},) * SLICES
    count = SLICES * each
    return Found(
        Offer(rate, count, poisson=poisson, sleeps=False, seed=1),
        replace(Tally(Sent).read(), packets=count),
        replace(Tally(Arrived).read(), unique=count - SLICES * lost),
        True,
        {bucket_of(100): count - late, bucket_of(late_us * 1000): late},
        slices,
        slices,
    )


def left_out(found: Found) -> dict[str, str]:
    percentiles = judge(found, 1e5).percentiles
    return {name: each.left_out for name, each in percentiles.items() if each.left_out}


def test_a_sender_may_be_late_with_half_of_what_lies_beyond_a_percentile() -> None:
    assert left_out(made_up(late_share=0.0004)) == {}
    assert left_out(made_up(late_share=0.004)).keys() == {"p99.9"}
    assert left_out(made_up(late_share=0.04)).keys() == {"p99", "p99.9"}
    assert left_out(made_up(late_share=0.06)).keys() == {"p50", "p90", "p99", "p99.9"}
    assert left_out(made_up(late_share=0.06))["p50"] == (
        "the sender was late: 6.00% went more than 10 µs behind"
    )


def test_late_is_what_could_be_half_of_the_percentile() -> None:
    """Of 20 µs: 11 µs could falsify it, 9 µs could not."""
    assert left_out(made_up(late_share=0.04, late_us=9)) == {}
    assert left_out(made_up(late_share=0.004, late_us=11)).keys() == {"p99.9"}
    assert left_out(made_up(late_share=0.04, late_us=11)).keys() == {"p99", "p99.9"}


def test_what_a_stream_waits_for_its_own_system_calls_is_not_late() -> None:
    """At 90 % of what can be handed over, one in two hundred waits for 26 calls of 10 µs."""
    judged = judge(made_up(rate=9e4, poisson=True), 1e5).percentiles
    waits = {name: 1e6 * each.late_after for name, each in judged.items()}
    assert waits["p99"] == pytest.approx(50 * math.log(0.9 / 0.005))
    assert waits["p99.9"] > waits["p99"] > waits["p90"]
    assert waits["p90"] == pytest.approx(waits["p50"])
    assert left_out(made_up(late_share=0.004, late_us=200, rate=9e4, poisson=True)) == {}
    late = left_out(made_up(late_share=0.006, late_us=400, rate=9e4, poisson=True))
    assert late.keys() == {"p99", "p99.9"}


@pytest.mark.usefixtures("namespaces")
def test_where_there_is_one_cpu_the_figures_are_labelled() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        for path in proved("veth"):
            settings = {**SETTINGS, "seconds": 0.1}
            measured = delay.measure(10, path, {**settings, "rate": 20_000.0})
            search = {"first": 0.0625, "final": 0.0625, "duration_sum": 0.1, "width": 0.2}
            rate = PROBES["packet_rate_64"].measure(path, search)
    finally:
        os.sched_setaffinity(0, allowed)
    for found in (measured, rate):
        assert found.conditions["one_cpu"] == 1.0
        assert found.warnings[0] == (
            f"{path.name}: sender, receiver and pumps share the only CPU there is, and take turns"
        )


@pytest.mark.skipif(len(os.sched_getaffinity(0)) == 1, reason="there is one CPU")
def test_where_there_are_more_cpus_there_is_no_such_label() -> None:
    assert shared_cpu() == {}


def test_a_percentile_behind_which_datagrams_were_lost_has_no_value() -> None:
    assert left_out(made_up(lost_share=0.0)) == {}
    assert left_out(made_up(lost_share=0.002)) == {
        "p99.9": "0.20% of the datagrams were lost",
    }
    assert left_out(made_up(lost_share=0.05)).keys() == {"p99", "p99.9"}
