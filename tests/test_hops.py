"""Routers in the path: each is one more host that forwards every packet, both ways, and no more."""

import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
from capabilities import require_tun
from files import NAMES, load_text, shipped, text_of, three_hosts
from live import inside_run, live, packets, ping
from test_paths import COUNT, TWO_WAYS, agree, crossings, written

from bench.errors import ScenarioError
from bench.probes import prove
from bench.recipe import shell_commands
from bench.scenario import Scenario, Variant, find, parse_ref, server_address, variants
from bench.topology import Arm, Topology, inside

LINKED = ("veth", "host-gw", "vxlan", "tun-udp", "flannel-udp", "flannel-udp6")
WITHOUT = ("bridge", "tun-relay", "tap-bridge")
MOST = 16
IP_RECVTTL = 12  # linux/in.h; Python has no name for it

VETH6 = text_of("veth").replace("10.1.1.2/24", "fd00::2/64").replace("10.1.1.3/24", "fd00::3/64")
BOTH = VETH6.replace('"fd00::2/64"', '"10.1.1.2/24", "fd00::2/64"').replace(
    '"fd00::3/64"', '"fd00::3/64", "10.1.1.3/24"'
)


def ask(name: str, hops: int) -> Variant:
    [variant] = variants(find([name]), [f"hops={hops}"])
    return variant


def own(text: str, folder: Path, hops: int) -> Scenario:
    return load_text(text.replace("[parameters]", f"[parameters]\nhops = {hops}"), folder).scenario


def hop_names(scenario: Scenario) -> list[str]:
    return list(scenario.hosts)[len(scenario.hosts) - scenario.hops :]


def forwarded(topology: Topology, host: str) -> int:
    """Datagrams that `host` has forwarded, of both families, as the kernel counts them."""
    text = inside_run(topology.netns(host), "cat", "/proc/net/snmp", "/proc/net/snmp6")
    names, values = re.findall(r"^Ip: (.*)$", text, re.MULTILINE)
    ipv4 = dict(zip(names.split(), map(int, values.split()), strict=True))["ForwDatagrams"]
    ipv6 = re.search(r"^Ip6OutForwDatagrams\s+(\d+)$", text, re.MULTILINE)
    return ipv4 + (int(ipv6[1]) if ipv6 else 0)


def one_more_forwarding_host_each(scenario: Scenario) -> None:
    with live(scenario) as topology:
        ping(topology)  # so that ARP is done with
        before = {name: forwarded(topology, name) for name in scenario.hosts}
        ping(topology, COUNT)
        after = {name: forwarded(topology, name) for name in scenario.hosts}
        prove(topology, "hops")
    assert [after[name] - before[name] for name in hop_names(scenario)] == (
        [2 * COUNT] * scenario.hops
    )


# ---- what is made of a scenario -------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_without_hops_a_scenario_is_what_it_was(name: str) -> None:
    plain, asked = shipped(name), ask(name, 0)
    assert asked.scenario == plain.scenario
    assert asked.digest == plain.digest
    assert shell_commands(asked, Arm.NATIVE)[1:] == shell_commands(plain, Arm.NATIVE)[1:]
    assert not any(host.startswith("hop") for host in plain.scenario.hosts)
    assert (plain.name, asked.name) == (name, f"{name}[hops=0]")


def test_several_values_make_several_variants() -> None:
    found = variants(find(["host-gw"]), ["hops=0,1,2"])
    assert [v.name for v in found] == ["host-gw[hops=0]", "host-gw[hops=1]", "host-gw[hops=2]"]
    assert [len(v.scenario.hosts) for v in found] == [4, 5, 6]


@pytest.mark.parametrize("hops", [1, 2, MOST])
@pytest.mark.parametrize("name", LINKED)
def test_the_routers_are_on_the_path_in_both_directions(name: str, hops: int) -> None:
    scenario = ask(name, hops).scenario
    ends = scenario.endpoints.client, scenario.endpoints.server
    there, back = written(scenario, *ends).split(), written(scenario, *reversed(ends)).split()
    assert there == back[::-1]
    devices = [f"hop-{i}:{device}" for i in range(1, hops + 1) for device in ("eth0", "eth1")]
    first = there.index("hop-1:eth0")
    assert there[first : first + 2 * hops] == devices
    without = written(shipped(name).scenario, *ends).split()
    assert there[:first] + there[first + 2 * hops :] == without


@pytest.mark.parametrize("hops", [1, 3])
def test_each_piece_has_the_mtu_of_the_link(hops: int, tmp_path: Path) -> None:
    text = text_of("veth").replace('mtu = "$mtu"', "mtu = 9000", 1)
    scenario = own(text, tmp_path, hops)
    pieces = [[scenario.device(parse_ref(end)).mtu for end in link] for link in scenario.links]
    assert pieces == [[9000, 1500]] * (hops + 1)


def test_a_host_of_the_file_keeps_its_name_to_itself(tmp_path: Path) -> None:
    text = text_of("veth").replace("client", "hop-1").replace("hop-1 = ", "client = ")
    scenario = own(text, tmp_path, 2)
    assert list(scenario.hosts) == ["hop-1", "server", "hopx-1", "hopx-2"]


def test_the_routers_addresses_are_of_no_network_of_the_file(tmp_path: Path) -> None:
    taken = text_of("veth").replace("10.1.1.", "198.18.0.")
    scenario = own(taken, tmp_path, 1)
    addresses = [device.addresses for device in scenario.hosts["hop-1"].devices.values()]
    assert addresses == [["198.18.1.1/32"], ["198.18.1.2/32"]]


# ---- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITHOUT)
def test_a_scenario_without_such_a_link_refuses_them_in_one_line(name: str) -> None:
    with pytest.raises(ScenarioError, match="no place for routers: expected a veth pair") as caught:
        ask(name, 1)
    assert caught.value.key == "parameters.hops"
    assert str(caught.value).isprintable()


def test_a_link_that_is_crossed_one_way_only_is_none(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no place for routers"):
        own(TWO_WAYS.replace("\n[hosts.client]", "\n[parameters]\n\n[hosts.client]"), tmp_path, 1)


def test_routes_that_would_send_packets_back_are_refused(tmp_path: Path) -> None:
    default = '\n[hosts.{0}]\nroutes = [{{ to = "default", via = "{1}" }}]\n[hosts.{0}.devices]'
    text = text_of("veth")
    for host, gateway in (("client", "10.1.1.3"), ("server", "10.1.1.2")):
        text = text.replace(f"\n[hosts.{host}.devices]", default.format(host, gateway))
    with pytest.raises(ScenarioError, match="between client:eth0 and server:eth0 do not work"):
        own(text, tmp_path, 1)


def test_a_block_in_use_everywhere_is_refused(tmp_path: Path) -> None:
    text = (
        text_of("veth")
        .replace("10.1.1.2/24", "198.18.1.2/15")
        .replace("10.1.1.3/24", "198.18.1.3/15")
    )
    with pytest.raises(
        ScenarioError, match=r"no addresses for routers: 198\.18\.0\.0/15 is in use"
    ):
        own(text, tmp_path, 1)


def test_the_last_block_is_left_to_the_devices_of_pumps(tmp_path: Path) -> None:
    others = ip_network("198.18.0.0/15").address_exclude(ip_network("198.19.255.0/24"))
    routes = ", ".join(f'{{ to = "{network}", via = "10.1.1.3" }}' for network in others)
    client = "[hosts.client.devices]"
    text = text_of("veth").replace(client, f"[hosts.client]\nroutes = [{routes}]\n{client}")
    with pytest.raises(ScenarioError, match="no addresses for routers"):
        own(text, tmp_path, 1)


@pytest.mark.parametrize("hops", [-1, MOST + 1])
def test_a_number_out_of_range_is_refused(hops: int) -> None:
    with pytest.raises(ScenarioError, match=r"hops: Expected `int`"):
        ask("veth", hops)


# ---- what packets do ------------------------------------------------------------------------


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("hops", [1, 3])
@pytest.mark.parametrize("name", LINKED)
def test_each_hop_forwards_every_packet_of_both_directions_once(name: str, hops: int) -> None:
    scenario = ask(name, hops).scenario
    if scenario.forwarders:
        require_tun()
    one_more_forwarding_host_each(scenario)


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("text", [VETH6, BOTH, three_hosts()], ids=["ipv6", "both", "three hosts"])
def test_so_it_is_with_files_of_other_shapes(text: str, tmp_path: Path) -> None:
    one_more_forwarding_host_each(own(text, tmp_path, 2))


@pytest.mark.usefixtures("namespaces")
def test_the_most_hops_there_may_be_carry_packets() -> None:
    one_more_forwarding_host_each(ask("host-gw", MOST).scenario)


@pytest.mark.usefixtures("namespaces")
def test_both_families_of_a_link_cross_the_routers(tmp_path: Path) -> None:
    scenario = own(BOTH, tmp_path, 2)
    with live(scenario) as topology, udp_at(topology, "server", "10.1.1.3") as receive:
        ping(topology)  # IPv6
        assert receive("client") == 64 - 2


@pytest.mark.usefixtures("namespaces")
def test_exactly_the_devices_of_the_path_count_the_packets() -> None:
    scenario = ask("vxlan", 2).scenario
    ends = scenario.endpoints.client, scenario.endpoints.server
    path = crossings(written(scenario, *ends))
    with live(scenario) as topology:
        ping(topology)
        before = packets(topology)
        ping(topology, COUNT)
        after = packets(topology)
    agree({ref: after[ref] - count for ref, count in before.items()}, path + path)


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize(("name", "routers"), [("veth", 0), ("host-gw", 2)])
def test_a_packet_arrives_with_a_ttl_that_is_k_smaller(name: str, routers: int) -> None:
    for hops in (0, 1, 3):
        scenario = ask(name, hops).scenario
        client, server = (
            parse_ref(end).host for end in (scenario.endpoints.client, scenario.endpoints.server)
        )
        address = str(server_address(scenario))
        with live(scenario) as topology, udp_at(topology, server, address) as ttl_from:
            assert ttl_from(client) == 64 - routers - hops


@contextmanager
def udp_at(topology: Topology, host: str, address: str) -> Iterator[Callable[[str], int]]:
    """A receiver on `host`; yields what sends it a datagram from a host and returns its TTL."""
    with udp(topology, host) as sock:
        sock.bind((address, 0))
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        sock.settimeout(5)

        def ttl_from(sender: str) -> int:
            with udp(topology, sender) as out:
                out.sendto(b"?", sock.getsockname())
            _, [(_, _, ttl)], _, _ = sock.recvmsg(16, 64)
            return int.from_bytes(ttl, sys.byteorder)

        yield ttl_from


def udp(topology: Topology, host: str) -> socket.socket:
    with inside(topology.netns(host)):
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
