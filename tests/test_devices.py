"""Kernel devices of every kind: what they refuse in a file, and what they do on the kernel."""

import re
from pathlib import Path

import pytest
from capabilities import require_program
from files import load_text, shipped
from live import ip, live, mean_packet, ping

from bench.errors import ScenarioError
from bench.scenario import Scenario, parse_ref, shipped_peers, trace
from bench.topology import Arm, build

pytestmark = pytest.mark.usefixtures("namespaces")


def written(scenario: Scenario) -> str:
    """The path from client to server."""
    ends = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
    return " ".join(str(hop.ref) for hop in trace(scenario, *ends))


PATHS = {
    "macvlan": "ctr-1:eth0 ctr-2:eth0",
    "macvlan-wire": "ctr-a:eth0 host-a:eth0 host-b:eth0 ctr-b:eth0",
}


@pytest.mark.parametrize("name", PATHS)
def test_the_path_is_the_one_of_the_drawing(name: str) -> None:
    assert written(shipped(name).scenario) == PATHS[name]


@pytest.mark.parametrize("name", ["macvlan", "macvlan-wire"])
def test_super_packets_cross_in_the_native_arm_only_though_no_macvlan_can_do_without(
    name: str,
) -> None:
    scenario = shipped(name).scenario
    with live(scenario) as topology:
        assert mean_packet(topology) > 2 * 1500
    with live(scenario, Arm.PARITY) as topology:
        assert mean_packet(topology) <= 1500 + 14


def test_a_host_does_not_reach_the_macvlans_on_its_own_card(tmp_path: Path) -> None:
    text = shipped_peers()["macvlan"].read_text()
    text = text.replace('client = "ctr-1:eth0"', 'client = "host:eth0"').replace(
        'eth0 = { kind = "veth", mtu', 'eth0 = { kind = "veth", addresses = ["192.0.2.9/24"], mtu'
    )
    with pytest.raises(
        ScenarioError, match=r"nothing behind host:eth0 has the address 192\.0\.2\.12"
    ):
        load_text(text, tmp_path)


def test_but_those_on_the_wire_of_the_card_do(tmp_path: Path) -> None:
    text = shipped_peers()["macvlan"].read_text()
    text = text.replace('client = "ctr-1:eth0"', 'client = "lan:eth0"')
    scenario = load_text(text, tmp_path).scenario
    assert written(scenario) == "lan:eth0 host:eth0 ctr-2:eth0"
    with live(scenario) as topology:
        ping(topology)


def test_macvlans_are_in_bridge_mode_and_have_addresses_of_their_own() -> None:
    require_program("ip")
    with build(shipped("macvlan").scenario) as topology:
        for number, host in enumerate(("ctr-1", "ctr-2"), start=1):
            [link] = ip(topology.netns(host), "-d", "link", "show", "eth0")
            assert link["linkinfo"]["info_kind"] == "macvlan"
            assert link["linkinfo"]["info_data"]["mode"] == "bridge"
            assert link["address"] == f"02:00:00:00:00:0{number}"


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (
            *("macvlan", 'parent = "host:eth0"', 'parent = "ctr-2:eth0"'),
            "hosts.ctr-1.devices.eth0.parent: ctr-2:eth0 is a macvlan; expected a veth",
        ),
        (
            *("macvlan", 'kind = "veth", mtu = "$mtu"', 'kind = "veth", mtu = 1400'),
            "hosts.ctr-1.devices.eth0.mtu: expected at most 1400, as host:eth0 has",
        ),
        (
            *("macvlan", "[hosts.host.devices]\n", "[hosts.host.devices]\n"
              'br0 = { kind = "bridge", ports = ["eth0"] }\n'),
            "host:eth0 is a port of host:br0",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    name: str, old: str, new: str, said: str, tmp_path: Path
) -> None:
    text = shipped_peers()[name].read_text()
    assert old in text
    with pytest.raises(ScenarioError, match=re.escape(said)):
        load_text(text.replace(old, new, 1), tmp_path)
