"""Probes measure what is there, and say in time what is not."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyperf
import pytest
from capabilities import require, require_tun
from files import load_text, shipped, text_of
from live import inside_run, ip, live
from undisturbed import undisturbed

from bench.errors import CannotMeasure
from bench.forwarders import forwarding
from bench.probes import PROBES, prove, rtt
from bench.probes.base import client, server, wait_for_listener
from bench.process import Send, spawn
from bench.topology import Arm, build, namespace

pytestmark = pytest.mark.usefixtures("namespaces")

RTT = {"processes": 1, "values": 3, "warmups": 1, "seconds": 0.02}
GOODPUT = {"warmup": 1, "duration": 1}


@contextmanager
def within(seconds: float) -> Iterator[None]:
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < seconds


def bytes_in(netns: int, device: str) -> int:
    [link] = ip(netns, "-s", "link", "show", device)
    return int(link["stats64"]["rx"]["bytes"])


def packets_out(netns: int) -> int:
    [link] = ip(netns, "-s", "link", "show", "eth0")
    return int(link["stats64"]["tx"]["packets"])


# ---- proof ----------------------------------------------------------------------------------


def test_a_path_that_carries_packets_is_proved() -> None:
    with live(shipped("host-gw").scenario) as topology:
        path = prove(topology, "host-gw")
    assert (str(path.client), str(path.server)) == ("ctr-a:eth0", "ctr-b:eth0")
    assert path.server_address == "10.244.2.2"


def test_a_link_that_is_down_is_named_by_the_last_device_that_saw_a_packet() -> None:
    with live(shipped("host-gw").scenario) as topology:
        inside_run(topology.netns("ctr-b"), "ip", "link", "set", "eth0", "down")
        with within(12), pytest.raises(CannotMeasure) as caught:
            prove(topology, "host-gw")
    said = str(caught.value)
    assert said.startswith("ctr-a: ping-pong: no echo from 10.244.2.2:7007")
    seen = said.partition("packets were seen on ")[2].split(", ")
    assert "ctr-a:eth0" in seen
    assert "host-a:docker0" in seen
    assert "ctr-b:eth0" not in seen


@pytest.mark.usefixtures("tuns")
def test_a_pump_that_is_dead_is_seen_from_how_far_packets_got() -> None:
    with build(shipped("tun-udp").scenario) as topology, forwarding(topology) as (_, theirs):
        os.kill(theirs.child.pid, signal.SIGKILL)
        theirs.child.wait(5)
        with within(12), pytest.raises(CannotMeasure) as caught:
            prove(topology, "tun-udp")
    assert "server:tun0" not in str(caught.value).partition("packets were seen on ")[2]
    assert len(str(caught.value).splitlines()) == 1


def test_a_path_that_goes_another_way_than_the_scenario_says_is_noticed() -> None:
    with live(shipped("veth").scenario) as topology:
        netns = topology.netns
        lines = (
            f"ip link add x type veth peer x netns /proc/{os.getpid()}/fd/{netns('server')}",
            "ip address add 10.5.5.1/24 dev x",
            "ip link set x up",
            "ip route add 10.1.1.3/32 via 10.5.5.2 src 10.1.1.2",
        )
        for line in lines:
            inside_run(netns("client"), *line.split())
        for line in ("ip address add 10.5.5.2/24 dev x", "ip link set x up"):
            inside_run(netns("server"), *line.split())
        inside_run(netns("client"), "ip", "route", "replace", "10.1.1.3/32", "via", "10.5.5.2")
        inside_run(netns("server"), "ip", "route", "add", "10.1.1.2/32", "via", "10.5.5.1")
        with pytest.raises(CannotMeasure, match=r"but not through client:eth0, server:eth0"):
            prove(topology, "veth")


# ---- rtt ------------------------------------------------------------------------------------


def test_rtt_is_a_pyperf_benchmark_with_the_values_it_reports() -> None:
    with live(shipped("veth").scenario) as topology:
        measured = PROBES["rtt"].measure(prove(topology, "veth (native)"), RTT)
    assert measured.pyperf
    benchmark = pyperf.Benchmark.loads(measured.pyperf.decode())
    assert benchmark.get_name() == "veth (native)"
    assert list(benchmark.get_values()) == measured.samples["rtt"]
    assert len(measured.samples["rtt"]) == RTT["values"]
    assert all(1e-6 < value < 0.01 for value in measured.samples["rtt"])


def test_pyperfs_own_tools_read_it(tmp_path: Path) -> None:
    with live(shipped("veth").scenario) as topology:
        measured = PROBES["rtt"].measure(prove(topology, "veth"), RTT)
    assert measured.pyperf
    file = tmp_path / "rtt.json"
    file.write_bytes(measured.pyperf)
    command = (sys.executable, "-m", "pyperf", "stats", str(file))
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "Total number of values" in done.stdout


def test_rtt_agrees_with_packets_counted_over_the_same_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the calibration on, whose length is up to the clock; ARP sends a few besides."""
    counts = []

    def calibrate(*asked: Any) -> float:
        seconds = calibrate_as_ever(*asked)
        counts.append(packets_out(netns))
        return seconds

    calibrate_as_ever = rtt._calibrate
    monkeypatch.setattr(rtt, "_calibrate", calibrate)
    with live(shipped("veth").scenario) as topology:
        path, netns = prove(topology, "veth"), topology.netns("client")
        measured = PROBES["rtt"].measure(path, RTT)
        counts.append(packets_out(netns))
    before, after = counts
    assert measured.pyperf
    [run] = pyperf.Benchmark.loads(measured.pyperf.decode()).get_runs()
    rounds = run.get_loops() * (RTT["values"] + RTT["warmups"])
    assert rounds <= after - before <= rounds + 4
    assert len(measured.samples["rtt"]) == RTT["values"]


def test_a_value_of_rtt_fills_the_time_the_settings_say() -> None:
    settings = {**RTT, "seconds": 0.05}
    with live(shipped("veth").scenario) as topology:
        path = prove(topology, "veth")
        measured = undisturbed(lambda: PROBES["rtt"].measure(path, settings))
    assert measured.pyperf
    [run] = pyperf.Benchmark.loads(measured.pyperf.decode()).get_runs()
    filled = [run.get_loops() * value for value in measured.samples["rtt"]]
    assert 0.025 < min(filled) < 0.1


def test_many_streams_do_not_fill_the_pipe_that_libiperf_prints_to() -> None:
    scenario = msgspec.structs.replace(shipped("veth").scenario, streams=128)
    with live(scenario) as topology:
        measured = PROBES["tcp_goodput"].measure(
            prove(topology, "veth"), {"warmup": 0, "duration": 1}
        )
    assert len(json.loads(measured.raw["iperf3"])["end"]["streams"]) == 128


def test_a_server_of_ones_own_is_not_taken_for_the_one_in_the_namespace() -> None:
    with namespace() as netns, socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        own.listen()
        port = own.getsockname()[1]
        with (
            spawn("late", lambda _: signal.pause(), netns=netns) as child,
            pytest.raises(CannotMeasure, match="does not listen"),
        ):
            wait_for_listener(netns, child, port, 0.2)


def test_rtt_on_a_path_that_broke_after_the_proof_is_an_error_that_says_so() -> None:
    with live(shipped("veth").scenario) as topology:
        path = prove(topology, "veth")
        inside_run(topology.netns("server"), "ip", "link", "set", "eth0", "down")
        with within(10), pytest.raises(CannotMeasure) as caught:
            PROBES["rtt"].measure(path, RTT)
    assert str(caught.value).startswith("client: ")
    assert "no echo from 10.1.1.3:7007" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


# ---- tcp_goodput ----------------------------------------------------------------------------


@pytest.fixture
def iperf() -> None:
    """Skip where libiperf cannot be loaded."""
    reason = PROBES["tcp_goodput"].missing()
    require(reason is None, f"needs libiperf: {reason}")


@pytest.mark.usefixtures("iperf")
@pytest.mark.parametrize("arm", list(Arm))
def test_ipv6_is_measured_like_ipv4(arm: Arm) -> None:
    require_tun()
    with live(shipped("flannel-udp6").scenario, arm) as topology:
        path = prove(topology, "flannel-udp6")
        assert path.server_address == "fd00:244:2::2"
        assert PROBES["rtt"].measure(path, RTT).samples["rtt"]
        measured = PROBES["tcp_goodput"].measure(path, {"warmup": 0, "duration": 1})
    [connected] = json.loads(measured.raw["iperf3"])["start"]["connected"]
    assert connected["remote_host"] == "fd00:244:2::2"


@pytest.mark.usefixtures("iperf")
@pytest.mark.parametrize("arm", list(Arm))
def test_goodput_agrees_with_the_bytes_that_the_servers_device_counted(arm: Arm) -> None:
    with live(shipped("veth").scenario, arm) as topology:
        path = prove(topology, "veth")
        netns = topology.netns("server")
        before = bytes_in(netns, "eth0")
        measured = PROBES["tcp_goodput"].measure(path, {"warmup": 0, "duration": 1})
        counted = bytes_in(netns, "eth0") - before
    [goodput] = measured.samples["tcp_goodput"]
    received = goodput / 8 * json.loads(measured.raw["iperf3"])["end"]["sum_received"]["seconds"]
    # Headers are at most 66 in 1514 bytes, and what was sent last may not have been read.
    assert received <= counted <= 1.15 * received


@pytest.mark.usefixtures("iperf")
def test_streams_and_congestion_control_are_those_of_the_scenario(tmp_path: Path) -> None:
    text = text_of("veth").replace(
        "mtu = 1500", 'mtu = 1500\nstreams = 3\ncongestion_control = "reno"'
    )
    with live(load_text(text, tmp_path).scenario) as topology:
        measured = PROBES["tcp_goodput"].measure(prove(topology, "own"), GOODPUT)
    report = json.loads(measured.raw["iperf3"])
    assert len(report["end"]["streams"]) == 3
    assert report["end"]["sender_tcp_congestion"] == "reno"


@pytest.mark.usefixtures("iperf")
def test_a_congestion_control_that_the_kernel_lacks_is_an_error(tmp_path: Path) -> None:
    text = text_of("veth").replace("mtu = 1500", 'mtu = 1500\ncongestion_control = "nosuch"')
    with live(load_text(text, tmp_path).scenario) as topology:
        path = prove(topology, "own")
        with within(20), pytest.raises(CannotMeasure, match=r"client: .*(nosuch|[Cc]ongestion)"):
            PROBES["tcp_goodput"].measure(path, GOODPUT)


@pytest.mark.usefixtures("iperf")
def test_a_server_that_dies_while_it_is_measured_is_an_error_in_time() -> None:
    with live(shipped("veth").scenario) as topology:
        path = prove(topology, "veth")
        netns = topology.netns("server")
        inode = os.stat(netns).st_ino
        killer = threading.Thread(target=kill_listener, args=(inode,))
        killer.start()
        try:
            with within(20), pytest.raises(CannotMeasure) as caught:
                PROBES["tcp_goodput"].measure(path, GOODPUT)
        finally:
            killer.join()
    assert str(caught.value).startswith("client: iperf3")
    assert len(str(caught.value).splitlines()) == 1


def kill_listener(namespace: int) -> None:
    """Kill the process in the namespace, which is iperf3's, once it has a connection."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for entry in Path("/proc").iterdir():
            try:
                if not entry.name.isdigit() or (entry / "ns/net").stat().st_ino != namespace:
                    continue
                rows = (entry / "net/tcp").read_text().splitlines()[1:]
            except OSError:
                continue
            if any(row.split()[3] == "01" for row in rows):  # ESTABLISHED
                os.kill(int(entry.name), signal.SIGKILL)
                return
        time.sleep(0.01)


# ---- what probes are made of ----------------------------------------------------------------


def test_a_server_that_never_listens_is_given_up_within_the_deadline() -> None:
    says = "lazy: does not listen on port 5201"
    with (
        namespace() as netns,
        spawn("lazy", lambda _: signal.pause(), netns=netns) as child,
        within(2),
        pytest.raises(CannotMeasure, match=says),
    ):
        wait_for_listener(netns, child, 5201, 0.2)


def test_a_server_that_dies_before_it_listens_is_reported_with_its_words() -> None:
    def fail(_: Send) -> None:
        os.write(2, b"no library\n")
        os._exit(3)

    says = r"dead: exited with status 3.*no library"
    with (
        namespace() as netns,
        spawn("dead", fail, netns=netns) as child,
        within(2),
        pytest.raises(CannotMeasure, match=says),
    ):
        wait_for_listener(netns, child, 5201, 5)


def test_each_end_is_in_its_own_namespace() -> None:
    def where(_: Send) -> dict[str, int]:
        return {"inode": os.stat("/proc/self/ns/net").st_ino}

    with live(shipped("veth").scenario) as topology:
        path = prove(topology, "veth")
        for end, host in ((client, "client"), (server, "server")):
            with end(path, "probe", where) as child:
                assert child.name == f"{host}: probe"
                assert child.receive(5)["inode"] == os.stat(topology.netns(host)).st_ino


def test_the_settings_of_every_profile_are_plain_data() -> None:
    for probe in PROBES.values():
        for profile in ("quick", "standard", "rigorous"):
            settings = probe.settings[profile]
            assert json.loads(json.dumps(settings)) == settings
            assert 0 < probe.duration(settings) < 60
