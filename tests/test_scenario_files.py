"""The scenario files that come with vnetbench, and the one its documentation teaches to write."""

from pathlib import Path

import pytest
from files import NAMES, shipped, star, text_of, three_hosts

from bench.errors import UsageError
from bench.scenario import find, load, parse_ref, server_address, trace

LADDER = (
    *("veth", "bridge", "host-gw", "vxlan"),
    *("tun-relay", "tun-udp", "flannel-udp", "tap-bridge", "flannel-udp6"),
)


def test_the_shipped_scenarios_are_the_rungs_of_the_ladder_in_order() -> None:
    assert NAMES == LADDER
    assert [shipped(name).scenario.rung for name in NAMES] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [path.stem for path in find([])] == list(LADDER)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_scenario_says_what_it_is_and_shows_it(name: str) -> None:
    variant = shipped(name)
    scenario = variant.scenario
    assert variant.name == variant.base == name
    assert 0 < len(scenario.title) <= 100
    assert "\n" not in scenario.title
    assert [host for host in scenario.hosts if host not in scenario.drawing] == []
    for end in (scenario.endpoints.client, scenario.endpoints.server):
        for address in scenario.device(parse_ref(end)).addresses:
            assert address.partition("/")[0] in scenario.drawing


def test_veth_has_the_addresses_that_the_project_promises() -> None:
    scenario = shipped("veth").scenario
    ends = scenario.endpoints.client, scenario.endpoints.server
    assert [scenario.device(parse_ref(end)).addresses for end in ends] == [
        ["10.1.1.2/24"],
        ["10.1.1.3/24"],
    ]


def test_flannels_udp_mode_has_flannels_port_and_mtu() -> None:
    scenario = shipped("flannel-udp").scenario
    assert [pump.listen for pump in scenario.forwarders] == ["192.0.2.1:8285", "192.0.2.2:8285"]
    assert scenario.device(parse_ref("host-a:flannel0")).mtu == 1472
    assert scenario.device(parse_ref("host-a:eth0")).mtu == 1500


def test_the_scenario_of_the_documentation_loads_and_has_the_path_it_says(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(three_hosts())
    scenario = load(file).scenario
    ends = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
    path = " → ".join(str(hop.ref) for hop in trace(scenario, *ends))
    assert path == "client:eth0 → router:eth0 → router:eth1 → server:eth0"
    assert str(server_address(scenario)) == "10.2.2.2"


def test_a_file_of_ones_own_is_found_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(text_of("veth"))
    assert find([str(file), "veth"])[0] == file
    assert load(file).name == "my"


def test_a_name_that_is_no_scenario_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r'"vteh".*veth, bridge'):
        find(["vteh"])


def test_a_variant_knows_the_file_it_is_from() -> None:
    one, other = shipped("veth"), shipped("bridge")
    assert len(one.digest) == 64
    assert one.digest != other.digest
    assert one.digest == shipped("veth").digest
    assert one.parameters == {"congestion_control": "cubic", "streams": 1, "hops": 0, "mtu": 1500}


def test_sixty_four_hosts_on_a_bridge_are_a_file_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "star.toml"
    file.write_text(star(64))
    assert len(load(file).scenario.hosts) == 65
