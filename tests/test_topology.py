"""A topology is what its scenario says, as ip(8), bridge(8), ethtool(8) and sysctl(8) see it."""

import json
from itertools import count
from pathlib import Path

import pytest
from capabilities import require_program, require_tun
from files import NAMES, load_text, shipped, star, three_hosts
from live import inside_run, ip, live, mean_packet, ping

from bench.devices import Bridge, Device, Tun, Vxlan
from bench.errors import CannotMeasure
from bench.scenario import Scenario, parse_ref, server_address
from bench.scenario.model import Host, speaks_ipv6
from bench.topology import Arm, build, facts, namespace

pytestmark = pytest.mark.usefixtures("namespaces")

OFFLOADS = (
    *("tx-tcp-segmentation", "tx-tcp6-segmentation"),
    *("tx-tcp-ecn-segmentation", "tx-tcp-mangleid-segmentation"),
    *("generic-segmentation-offload", "generic-receive-offload"),
)
"""Not `tcp-segmentation-offload`, which newer kernels and ethtools take to include AccECN's own
kind: only connections that negotiate AccECN use that, and the ioctl for the whole leaves it."""
BY_HAND = {
    "veth": "ip link add x type veth peer name y",
    "vxlan": "ip link add x type vxlan id 1 dstport 8472",
    "tun": "ip tuntap add dev x mode tun",
    "tap": "ip tuntap add dev x mode tap",
}


def scenario_of(name: str) -> Scenario:
    if shipped(name).scenario.forwarders:
        require_tun()
    return shipped(name).scenario


def offloads(netns: int, device: str) -> dict[str, str]:
    """What `ethtool -k` says of the features that make super-packets."""
    lines = inside_run(netns, "ethtool", "-k", device).splitlines()
    found = dict(line.strip().split(": ") for line in lines if ": " in line)
    return {feature: found[feature].split()[0] for feature in OFFLOADS}


def sysctl(netns: int, name: str) -> str:
    return inside_run(netns, "sysctl", "-n", name).strip()


@pytest.mark.parametrize("arm", list(Arm))
@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_comes_up_and_carries_packets_up_to_its_mtu(name: str, arm: Arm) -> None:
    scenario = scenario_of(name)
    mtu = scenario.device(parse_ref(scenario.endpoints.client)).mtu
    headers = 28 if server_address(scenario).version == 4 else 48
    with live(scenario, arm) as topology:
        ping(topology, count=3)
        ping(topology, size=mtu - headers)


@pytest.mark.parametrize("name", NAMES)
def test_devices_have_the_kind_mtu_and_mac_address_they_should(name: str) -> None:
    scenario = scenario_of(name)
    numbers = count(1)
    with build(scenario) as topology:
        for host, table in scenario.hosts.items():
            links = {link["ifname"]: link for link in ip(topology.netns(host), "-d", "link")}
            assert set(links) == {"lo", *table.devices}
            for device, asked in table.devices.items():
                link, number = links[device], next(numbers)
                kind = link["linkinfo"]
                assert link["mtu"] == asked.mtu
                assert "UP" in link["flags"]
                assert kind.get("info_data", {}).get("type", kind["info_kind"]) == (
                    type(asked).__name__.lower()
                )
                if not isinstance(asked, Tun):
                    assert link["address"] == f"02:00:00:00:00:{number:02x}"


@pytest.mark.parametrize("name", NAMES)
def test_hosts_have_the_addresses_ports_and_routes_they_should(name: str) -> None:
    scenario = scenario_of(name)
    with build(scenario) as topology:
        for host, table in scenario.hosts.items():
            netns = topology.netns(host)
            addresses = {entry["ifname"]: entry["addr_info"] for entry in ip(netns, "address")}
            masters = {link["ifname"]: link.get("master") for link in ip(netns, "link")}
            routes = [*ip(netns, "route"), *ip(netns, "-6", "route")]
            for device, asked in table.devices.items():
                found = [
                    f"{a['local']}/{a['prefixlen']}"
                    for a in addresses[device]
                    if not routes_for_others(table, asked) or a["scope"] != "link"
                ]
                assert found == asked.addresses, "and no other"
                if isinstance(asked, Bridge):
                    assert [port for port, up in masters.items() if up == device] == asked.ports
            for route in table.routes:
                [found_route] = [r for r in routes if r["dst"] == route.to]
                assert found_route.get("gateway") == route.via
                assert route.dev in (None, found_route["dev"])
                assert ("onlink" in found_route["flags"]) == route.onlink


def routes_for_others(host: Host, device: Device) -> bool:
    """Whether the device asks IPv6 neighbours on behalf of others, from a link-local address."""
    return host.forwarding and speaks_ipv6(device) and not isinstance(device, Tun)


def test_a_bridge_learns_but_speaks_no_spanning_tree() -> None:
    with build(scenario_of("bridge")) as topology:
        netns = topology.netns("host")
        [bridge] = ip(netns, "-d", "link", "show", "type", "bridge")
        ports = ip(netns, "-d", "link", "show", "master", "docker0")
    assert bridge["linkinfo"]["info_data"]["stp_state"] == 0
    assert bridge["linkinfo"]["info_data"]["mcast_snooping"] == 0
    for port in ports:
        assert port["linkinfo"]["info_slave_data"]["state"] == "forwarding"
        assert port["linkinfo"]["info_slave_data"]["learning"]


def test_a_vxlan_device_is_set_up_as_flannel_does() -> None:
    scenario = scenario_of("vxlan")
    with build(scenario) as topology:
        for host, other in (("host-a", "host-b"), ("host-b", "host-a")):
            netns = topology.netns(host)
            asked, remote = (scenario.hosts[h].devices["flannel.1"] for h in (host, other))
            assert isinstance(asked, Vxlan)
            assert isinstance(remote, Vxlan)
            [link] = ip(netns, "-d", "link", "show", "flannel.1")
            [peer] = ip(topology.netns(other), "link", "show", "flannel.1")
            data = link["linkinfo"]["info_data"]
            assert (data["id"], data["port"], data["local"]) == (1, 8472, asked.local)
            assert data["learning"] is False
            [neighbour] = ip(netns, "neighbour", "show", "dev", "flannel.1")
            assert neighbour["dst"] == remote.addresses[0].partition("/")[0]
            assert neighbour["lladdr"] == peer["address"]
            assert neighbour["state"] == ["PERMANENT"]
            table = json.loads(inside_run(netns, "bridge", "-j", "fdb", "show", "dev", "flannel.1"))
            assert [(e["mac"], e["dst"]) for e in table] == [(peer["address"], remote.local)]


@pytest.mark.parametrize("name", NAMES)
def test_sysctls_are_set_whatever_the_machine_has(name: str) -> None:
    scenario = scenario_of(name)
    with build(scenario) as topology:
        for host, table in scenario.hosts.items():
            netns = topology.netns(host)
            assert sysctl(netns, "net.ipv4.tcp_rmem").split() == ["4096", "131072", "6291456"]
            assert sysctl(netns, "net.ipv4.tcp_wmem").split() == ["4096", "16384", "4194304"]
            ipv6 = any(map(speaks_ipv6, table.devices.values()))
            assert sysctl(netns, "net.ipv6.conf.all.disable_ipv6") == str(int(not ipv6))
            assert sysctl(netns, "net.ipv6.conf.default.disable_ipv6") == "1"
            assert sysctl(netns, "net.ipv4.ip_forward") == str(int(table.forwarding))
            for device in ("all", *table.devices):
                name_in_sysctl = device.replace(".", "/")
                assert sysctl(netns, f"net.ipv4.conf.{name_in_sysctl}.rp_filter") == "0"
            for device, asked in table.devices.items():
                name_in_sysctl = device.replace(".", "/")
                off = sysctl(netns, f"net.ipv6.conf.{name_in_sysctl}.disable_ipv6") == "1"
                assert off != speaks_ipv6(asked), device


def test_a_hosts_own_sysctls_win(tmp_path: Path) -> None:
    asked = '"net.ipv4.tcp_sack" = 0, "net.ipv4.tcp_rmem" = "4096 65536 1000000"'
    text = three_hosts().replace("forwarding = true", f"forwarding = true\nsysctls = {{ {asked} }}")
    with build(load_text(text, tmp_path).scenario) as topology:
        assert sysctl(topology.netns("router"), "net.ipv4.tcp_sack") == "0"
        assert sysctl(topology.netns("router"), "net.ipv4.tcp_rmem").split()[1] == "65536"
        assert sysctl(topology.netns("client"), "net.ipv4.tcp_sack") == "1"


def test_a_sysctl_that_does_not_exist_is_a_clear_error(tmp_path: Path) -> None:
    text = three_hosts().replace("forwarding = true", 'sysctls = { "net.ipv4.no_such" = 1 }\n'
                                 "forwarding = true")  # fmt: skip
    scenario = load_text(text, tmp_path).scenario
    with pytest.raises(CannotMeasure, match=r"router: .*net\.ipv4\.no_such=1.*"), build(scenario):
        pass


@pytest.mark.parametrize("name", NAMES)
def test_parity_has_segmentation_and_receive_offload_off_on_every_device(name: str) -> None:
    require_program("ethtool")
    scenario = scenario_of(name)
    with live(scenario, Arm.PARITY) as topology:
        for host, table in scenario.hosts.items():
            for device in table.devices:
                found = offloads(topology.netns(host), device)
                assert found == dict.fromkeys(OFFLOADS, "off"), f"{host}:{device}"


@pytest.mark.parametrize("name", NAMES)
def test_native_leaves_each_device_as_the_kernel_makes_it(name: str) -> None:
    require_program("ethtool")
    scenario = scenario_of(name)
    with live(scenario) as topology:
        for host, table in scenario.hosts.items():
            for device, asked in table.devices.items():
                if isinstance(asked, Bridge):
                    continue  # its features follow those of its ports
                with namespace() as fresh:
                    inside_run(fresh, *BY_HAND[type(asked).__name__.lower()].split())
                    by_hand = offloads(fresh, "x")
                assert offloads(topology.netns(host), device) == by_hand, f"{host}:{device}"


@pytest.mark.parametrize("name", ["veth", "bridge", "host-gw", "vxlan"])
def test_tcp_crosses_in_super_packets_in_the_native_arm_only(name: str) -> None:
    scenario = scenario_of(name)
    mtu = scenario.device(parse_ref(scenario.endpoints.server)).mtu
    with live(scenario) as topology:
        assert mean_packet(topology) > 2 * mtu
    with live(scenario, Arm.PARITY) as topology:
        assert mean_packet(topology) <= mtu + 14


def test_the_recorded_facts_agree_with_ethtool_and_sysctl() -> None:
    require_program("ethtool")
    with build(scenario_of("vxlan"), Arm.PARITY) as topology:
        found = facts(topology)
        netns = topology.netns("host-a")
        device = found["host-a"]["devices"]["flannel.1"]
        assert device["mtu"] == 1450
        assert not device["offloads"]["tcp-segmentation-offload"]
        assert not device["offloads"]["generic-segmentation-offload"]
        assert offloads(netns, "flannel.1") == dict.fromkeys(OFFLOADS, "off")
    with build(scenario_of("vxlan")) as topology:
        device = facts(topology)["host-a"]["devices"]["flannel.1"]
        by_ethtool = offloads(topology.netns("host-a"), "flannel.1")
        for feature in ("generic-segmentation-offload", "generic-receive-offload"):
            assert device["offloads"][feature] == (by_ethtool[feature] == "on")
        for name, value in found["host-a"]["sysctls"].items():
            if value is not None:
                assert value == sysctl(netns, name)


def test_sixty_four_hosts_on_one_bridge_come_up(tmp_path: Path) -> None:
    scenario = load_text(star(64), tmp_path).scenario
    with build(scenario) as topology:
        ping(topology)
        assert len(ip(topology.netns("sw"), "link", "show", "master", "br0")) == 64


def test_the_documented_scenario_of_three_hosts_carries_packets(tmp_path: Path) -> None:
    with live(load_text(three_hosts(), tmp_path).scenario) as topology:
        ping(topology)


def test_the_same_scenario_can_be_up_twice_at_once() -> None:
    with build(scenario_of("veth")) as one, build(scenario_of("veth")) as other:
        ping(one)
        ping(other)


def test_a_step_the_kernel_refuses_is_a_clear_error_that_names_host_and_command(
    tmp_path: Path,
) -> None:
    twice = 'via = "10.1.1.1" }, { to = "0.0.0.0/0", via = "10.1.1.1" }]'
    text = three_hosts().replace('via = "10.1.1.1" }]', twice)
    scenario = load_text(text, tmp_path).scenario
    says = r"client: cannot ip -n client route add 0\.0\.0\.0/0 via 10\.1\.1\.1: File exists"
    with pytest.raises(CannotMeasure, match=says), build(scenario):
        pass
