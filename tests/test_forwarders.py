"""The forwarders of a topology: they run while it is up, count what they move, and die alone."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest
from cage import until
from files import shipped
from live import inside_run, ip, ping

from bench.errors import CannotMeasure
from bench.forwarders import Running, forwarding
from bench.scenario import Scenario, find, variants
from bench.topology import Arm, build, inside

pytestmark = pytest.mark.usefixtures("tuns")


def has_carrier(netns: int, device: str) -> bool:
    """Whether somebody holds the other side of the tun or tap device."""
    [link] = ip(netns, "link", "show", device)
    return "LOWER_UP" in link["flags"]


def counted(forwarder: Running) -> dict[str, int]:
    assert forwarder.counters
    return forwarder.counters()


def test_both_pumps_of_flannels_udp_mode_count_what_crosses_them() -> None:
    with build(shipped("flannel-udp").scenario) as topology, forwarding(topology) as pumps:
        assert [pump.name for pump in pumps] == ["pump host-a:flannel0", "pump host-b:flannel0"]
        ping(topology, count=9, size=100)
        here, there = (counted(pump) for pump in pumps)
    for counters in (here, there):
        for port in ("port0", "port1"):
            assert counters[f"{port}.rx_packets"] == counters[f"{port}.tx_packets"] == 9
            assert counters[f"{port}.rx_bytes"] == counters[f"{port}.tx_bytes"] == 9 * 128
        assert [value for name, value in counters.items() if name.startswith("drop")].count(0) > 1
        assert sum(value for name, value in counters.items() if name.startswith("drop")) == 0


def asked(*overrides: str) -> Scenario:
    [variant] = variants(find(["flannel-udp"]), overrides)
    return variant.scenario


@pytest.mark.parametrize("sockets", ["reuseport", "shared"])
def test_a_pump_with_several_queues_holds_one_of_each_and_counts_them_all(sockets: str) -> None:
    scenario = asked("queues=2", f"sockets={sockets}")
    with build(scenario) as topology, forwarding(topology) as pumps:
        qdiscs = json.loads(
            inside_run(topology.netns("host-a"), "tc", "-j", "qdisc", "show", "dev", "flannel0")
        )
        descriptors = Path(f"/proc/{pumps[0].child.pid}/fd").iterdir()
        held = [os.readlink(descriptor) for descriptor in descriptors]
        for _ in range(4):
            ping(topology, count=2)
        here, there = (counted(pump) for pump in pumps)
    assert held.count("/dev/net/tun") == 2
    assert [q["kind"] for q in qdiscs if q.get("root")] == ["mq"]
    assert [q["kind"] for q in qdiscs if not q.get("root")] == ["pfifo_fast"] * 2
    for counters in (here, there):
        assert counters["port0.rx_packets"] == counters["port1.rx_packets"] == 8


def test_what_a_pump_runs_with_is_recorded_as_it_is_in_its_arm() -> None:
    scenario = asked("pump=fast", "buffer=65536")
    for arm, offload in ((Arm.NATIVE, "on"), (Arm.PARITY, "off")):
        with build(scenario, arm) as topology, forwarding(topology) as pumps:
            for pump in pumps:
                switches = pump.facts["switches"]
                assert switches["tun_offload"] == switches["udp_offload"] == offload
                assert switches["readiness"] == "on"
                assert min(pump.facts["buffers"].values()) >= switches["buffer"] == 65536
            link = inside_run(topology.netns("host-a"), "ip", "-d", "link", "show", "flannel0")
            assert ("vnet_hdr on" in link) == (offload == "on")


def test_a_queue_without_its_cpu_ends_the_pump_with_a_clear_error() -> None:
    says = "pump host-a:flannel0: cannot run on CPU 1023"
    with (
        build(asked("cpu=1023")) as topology,
        forwarding(topology) as (pump, _),
        pytest.raises(CannotMeasure, match=says),
    ):
        pump.child.receive(5)


def test_a_scenario_without_forwarders_runs_none() -> None:
    with build(shipped("veth").scenario) as topology, forwarding(topology) as running:
        assert running == []


def test_pumps_end_with_the_block() -> None:
    with build(shipped("tun-udp").scenario) as topology:
        with forwarding(topology) as pumps:
            assert all(pump.child.alive() for pump in pumps)
        assert not any(pump.child.alive() for pump in pumps)
        for pump in pumps:
            with pytest.raises(ProcessLookupError):
                os.kill(pump.child.pid, 0)


def test_a_tun_device_has_a_carrier_as_long_as_its_pump_lives() -> None:
    with build(shipped("tun-udp").scenario) as topology:
        assert has_carrier(topology.netns("client"), "tun0")
        with forwarding(topology) as (ours, theirs):
            assert has_carrier(topology.netns("client"), "tun0")
            os.kill(ours.child.pid, signal.SIGKILL)
            until(lambda: not has_carrier(topology.netns("client"), "tun0"), "the carrier is gone")
            assert has_carrier(topology.netns("server"), "tun0")
            assert theirs.child.alive()
        assert not has_carrier(topology.netns("server"), "tun0")


def test_a_pump_listens_where_the_scenario_says_before_anything_is_sent() -> None:
    with build(shipped("flannel-udp").scenario) as topology, forwarding(topology) as pumps:
        for pump, hexadecimal in zip(pumps, ("010200C0", "020200C0"), strict=True):
            table = Path(f"/proc/{pump.child.pid}/net/udp").read_text()
            assert f"{hexadecimal}:{8285:04X}" in table


def test_a_port_that_is_taken_is_reported_with_the_pump_that_wanted_it() -> None:
    with build(shipped("flannel-udp").scenario) as topology:
        with inside(topology.netns("host-b")):
            other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with other:
            other.bind(("192.0.2.2", 8285))
            says = "pump host-b:flannel0: Address already in use"
            with pytest.raises(CannotMeasure, match=says), forwarding(topology):
                pass
        assert not has_carrier(topology.netns("host-a"), "flannel0"), "the first pump has ended too"


def test_a_pump_holds_no_namespace_but_its_own() -> None:
    with build(shipped("tun-udp").scenario) as topology, forwarding(topology) as pumps:
        own = os.stat(topology.netns("client")).st_ino
        descriptors = Path(f"/proc/{pumps[0].child.pid}/fd").iterdir()
        held = [os.readlink(descriptor) for descriptor in descriptors]
        assert os.stat(f"/proc/{pumps[0].child.pid}/ns/net").st_ino == own
    assert [target for target in held if target.startswith("net:")] == []
    assert held.count("/dev/net/tun") == 1


def test_a_pump_that_dies_says_why() -> None:
    with build(shipped("tun-udp").scenario) as topology, forwarding(topology) as (pump, _):
        inside_run(topology.netns("client"), "ip", "link", "delete", "tun0")
        with pytest.raises(CannotMeasure, match=r"pump client:tun0: .*bad state"):
            pump.child.receive(5)
