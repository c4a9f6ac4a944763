"""The way that is worked out from a file is the way that packets take."""

from collections import Counter
from pathlib import Path

import pytest
from files import NAMES, WITHOUT_TUN, load_text, shipped
from live import live, packets, ping

from bench.probes import prove
from bench.scenario import DeviceRef, Scenario, parse_ref, trace

PATHS = {
    "veth": "client:eth0 server:eth0",
    "bridge": "ctr-1:eth0 host:veth1 (host:docker0) host:veth2 ctr-2:eth0",
    "host-gw": "ctr-a:eth0 host-a:veth0 host-a:docker0 host-a:eth0 "
    "host-b:eth0 host-b:docker0 host-b:veth0 ctr-b:eth0",
    "vxlan": "ctr-a:eth0 host-a:veth0 host-a:docker0 host-a:flannel.1 host-a:eth0 "
    "host-b:eth0 host-b:flannel.1 host-b:docker0 host-b:veth0 ctr-b:eth0",
    "tun-relay": "client:tun0 server:tun0",
    "tun-udp": "client:tun0 client:eth0 server:eth0 server:tun0",
    "flannel-udp": "ctr-a:eth0 host-a:veth0 host-a:docker0 host-a:flannel0 host-a:eth0 "
    "host-b:eth0 host-b:flannel0 host-b:docker0 host-b:veth0 ctr-b:eth0",
    "flannel-udp6": "ctr-a:eth0 host-a:veth0 host-a:docker0 host-a:flannel0 host-a:eth0 "
    "host-b:eth0 host-b:flannel0 host-b:docker0 host-b:veth0 ctr-b:eth0",
    "tap-bridge": "guest-1:eth0 host:tap1 (host:br0) host:tap2 guest-2:eth0",
}
"""In brackets: a bridge that only switches, and therefore does not count."""

COUNT = 40
STRAY = 6
"""Packets that ARP may add on a device, or cause on one beside the path."""

TWO_WAYS = """
title = "there by one router, back by another"
drawing = "client === r1, r2 === server"
links = [
    ["client:eth0", "r1:eth0"], ["r1:eth1", "server:eth0"],
    ["client:eth1", "r2:eth0"], ["r2:eth1", "server:eth1"],
]
endpoints = { client = "client:eth0", server = "server:eth0" }

[hosts.client]
routes = [{ to = "10.2.1.0/24", via = "10.1.1.1" }]
[hosts.client.devices]
eth0 = { kind = "veth", addresses = ["10.1.1.2/24"] }
eth1 = { kind = "veth", addresses = ["10.1.2.2/24"] }

[hosts.r1]
forwarding = true
[hosts.r1.devices]
eth0 = { kind = "veth", addresses = ["10.1.1.1/24"] }
eth1 = { kind = "veth", addresses = ["10.2.1.1/24"] }

[hosts.r2]
forwarding = true
routes = [{ to = "10.1.1.0/24", via = "10.1.2.2" }]
[hosts.r2.devices]
eth0 = { kind = "veth", addresses = ["10.1.2.1/24"] }
eth1 = { kind = "veth", addresses = ["10.2.2.1/24"] }

[hosts.server]
routes = [{ to = "10.1.1.0/24", via = "10.2.2.1" }]
[hosts.server.devices]
eth0 = { kind = "veth", addresses = ["10.2.1.2/24"] }
eth1 = { kind = "veth", addresses = ["10.2.2.2/24"] }
"""


def written(scenario: Scenario, source: str, target: str) -> str:
    hops = trace(scenario, parse_ref(source), parse_ref(target))
    return " ".join(str(hop.ref) if hop.counted else f"({hop.ref})" for hop in hops)


def crossings(path: str) -> Counter[DeviceRef]:
    """How often a packet moves the counters of each device on a written path."""
    return Counter(parse_ref(word) for word in path.split() if not word.startswith("("))


def moved(scenario: Scenario) -> dict[DeviceRef, int]:
    """How many packets each device counted when COUNT pings crossed the scenario."""
    with live(scenario) as topology:
        ping(topology)  # so that ARP is done with
        before = packets(topology)
        ping(topology, COUNT)
        after = packets(topology)
    return {ref: after[ref] - count for ref, count in before.items()}


def agree(counted: dict[DeviceRef, int], expected: Counter[DeviceRef]) -> None:
    surprises = {
        str(ref): count
        for ref, count in counted.items()
        if not 0 <= count - expected[ref] * COUNT <= STRAY
    }
    assert not surprises, f"expected {COUNT} times {expected}"
    assert set(expected) <= set(counted)


@pytest.mark.parametrize("name", NAMES)
def test_the_path_is_the_one_of_the_drawing_in_both_directions(name: str) -> None:
    scenario = shipped(name).scenario
    ends = scenario.endpoints.client, scenario.endpoints.server
    assert written(scenario, *ends) == PATHS[name]
    assert written(scenario, *reversed(ends)) == " ".join(reversed(PATHS[name].split()))


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("name", WITHOUT_TUN)
def test_exactly_the_devices_of_the_path_count_what_ping_sends(name: str) -> None:
    path = crossings(PATHS[name])
    agree(moved(shipped(name).scenario), path + path)


@pytest.mark.usefixtures("tuns")
@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT_TUN])
def test_the_same_holds_where_pumps_are_on_the_path(name: str) -> None:
    path = crossings(PATHS[name])
    agree(moved(shipped(name).scenario), path + path)


@pytest.mark.usefixtures("namespaces")
def test_the_way_back_may_be_another(tmp_path: Path) -> None:
    scenario = load_text(TWO_WAYS, tmp_path).scenario
    there = "client:eth0 r1:eth0 r1:eth1 server:eth0"
    back = "server:eth1 r2:eth1 r2:eth0 client:eth1"
    assert written(scenario, "client:eth0", "server:eth0") == there
    assert written(scenario, "server:eth0", "client:eth0") == back
    agree(moved(scenario), crossings(there) + crossings(back))


@pytest.mark.usefixtures("namespaces")
def test_a_path_whose_way_back_is_another_can_be_proved(tmp_path: Path) -> None:
    scenario = load_text(TWO_WAYS, tmp_path).scenario
    with live(scenario) as topology:
        assert prove(topology, "two-ways").name == "two-ways"
