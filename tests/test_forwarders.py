"""The forwarders of a topology: they run while it is up, count what they move, and die alone."""

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
from bench.topology import build, inside

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
