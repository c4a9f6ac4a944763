"""Kernel devices of every kind: what they refuse in a file, and what they do on the kernel."""

import re
import subprocess
from pathlib import Path

import msgspec
import pytest
from capabilities import require_program
from files import KERNEL, load_text, shipped
from live import entering, inside_run, ip, live, mean_packet, ping, require_kernel

from bench.devices import ipsec
from bench.errors import MissingCapability, ScenarioError
from bench.scenario import Scenario, parse_ref, shipped_peers, trace
from bench.topology import Arm, build, namespace
from bench.topology.namespaces import coming_back

pytestmark = pytest.mark.usefixtures("namespaces")


def written(scenario: Scenario) -> str:
    """The path from client to server."""
    ends = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
    return " ".join(str(hop.ref) for hop in trace(scenario, *ends))


TUNNEL = (
    "ctr-a:eth0 host-a:veth0 host-a:docker0 host-a:{0} host-a:eth0 "
    "host-b:eth0 host-b:{0} host-b:docker0 host-b:veth0 ctr-b:eth0"
)
PATHS = {
    "macvtap": "guest-1:eth0 host:tap1 host:tap2 guest-2:eth0",
    "macvlan": "ctr-1:eth0 ctr-2:eth0",
    "ipvlan": "ctr-1:eth0 ctr-2:eth0",
    "geneve": TUNNEL.format("geneve1"),
    "xfrm-transport": "client:eth0 server:eth0",
    "xfrm-tunnel": "ctr-a:eth0 host-a:veth0 host-a:docker0 host-a:eth0 "
    "host-b:eth0 host-b:docker0 host-b:veth0 ctr-b:eth0",
    "netkit": "client:eth0 server:eth0",
    "wireguard": "client:wg0 client:eth0 server:eth0 server:wg0",
    "ipip": TUNNEL.format("ipip1"),
    "macvlan-wire": "ctr-a:eth0 host-a:eth0 host-b:eth0 ctr-b:eth0",
}


@pytest.mark.parametrize("name", PATHS)
def test_the_path_is_the_one_of_the_drawing(name: str) -> None:
    assert written(shipped(name).scenario) == PATHS[name]


@pytest.mark.parametrize("arm", Arm)
@pytest.mark.parametrize("name", KERNEL)
def test_it_carries_packets_up_to_its_mtu(name: str, arm: Arm) -> None:
    scenario = shipped(name).scenario
    require_kernel(scenario)
    with live(scenario, arm) as topology:
        ping(topology, count=3)
        ping(topology, size=scenario.device(parse_ref(scenario.endpoints.client)).mtu - 28)


@pytest.mark.parametrize("name", ["macvlan", "macvlan-wire", "ipvlan"])
def test_super_packets_cross_in_the_native_arm_only_though_no_such_device_can_do_without(
    name: str,
) -> None:
    scenario = shipped(name).scenario
    require_kernel(scenario)
    with live(scenario) as topology:
        assert mean_packet(topology) > 2 * 1500
    with live(scenario, Arm.PARITY) as topology:
        # An ipvlan counts the link-layer header twice of what a neighbour sends.
        assert mean_packet(topology) <= 1500 + (28 if name == "ipvlan" else 14)


def test_a_kernel_without_a_kind_is_a_skip_that_names_it() -> None:
    by_hand = ["ip", "link", "add", "x", "type", "geneve", "id", "1", "remote", "192.0.2.1"]
    with namespace() as fresh:
        done = subprocess.run(
            entering(fresh, *by_hand), pass_fds=[fresh], check=False, capture_output=True
        )
    if done.returncode == 0:
        pytest.skip("this kernel has geneve devices")
    says = r"^this kernel has no geneve devices \(CONFIG_GENEVE\): Operation not supported$"
    with pytest.raises(MissingCapability, match=says), build(shipped("geneve").scenario):
        pass


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
            *("ipvlan", 'mode = "$mode"', 'mode = "l3"'),
            "hosts.ctr-1.devices.eth0.parent: ctr-2:eth0 is on host:eth0 as well, and of another",
        ),
        (
            *("geneve", 'peers = ["host-b:geneve1"]', "peers = []"),
            "hosts.host-a.devices.geneve1.peers: expected exactly one",
        ),
        (
            *("xfrm-tunnel", 'networks = ["10.244.1.0/24", "10.244.2.0/24"]', ""),
            'ipsec[0].networks: expected two prefixes with mode = "tunnel", else none',
        ),
        (
            *("macvtap", 'parent = "host:eth0", mtu', 'parent = "host:eth0", addresses = '
              '["10.9.0.7/24"], mtu'),
            "hosts.host.devices.tap1.addresses: expected none",
        ),
        (
            *("macvtap", 'parent = "host:eth0"', 'parent = "lan:eth0"'),
            "hosts.host.devices.tap1.parent: expected a device of host",
        ),
        (
            *("macvtap", 'devices = ["guest-2:eth0", "host:tap2"]', 'devices = ["guest-2:eth0"]'),
            "forwarders[1].devices: expected two tuns or two taps (one may be a macvtap)",
        ),
        (
            *("netkit", 'mode = "$mode"', 'mode = "l2"'),
            "links[0]: client:eth0 and server:eth0 are of two kinds, or modes",
        ),
        (
            *("wireguard", '"10.8.0.2/32" =', '"10.8.9.2/32" ='),
            "endpoints.server: client:wg0 cannot reach server:wg0: client:wg0 has no peer for",
        ),
        (
            *("wireguard", '"server:wg0" }', '"server:eth0" }'),
            'client.devices.wg0.routes."10.8.0.2/32": server:eth0 is a veth; expected a wireguard',
        ),
        (
            *("geneve", "vni = 1", "vni = 2"),
            "peers: host-b:geneve1 has vni 1, port 6081; expected 2 and 6081",
        ),
        (
            *("ipip", 'local = "192.0.2.1"', 'local = "192.0.2.9"'),
            "hosts.host-a.devices.ipip1.local: 192.0.2.9 is no address of host-a",
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


def test_ipsec_policies_are_what_ip_would_have_made_of_the_commands() -> None:
    """Without associations, so on every kernel that has policies."""
    require_program("ip")
    scenario = shipped("xfrm-tunnel").scenario
    policies = [step for step in ipsec.steps(scenario) if isinstance(step, ipsec.AddPolicy)]
    seen = []
    for by_hand in (False, True):
        with build(msgspec.structs.replace(scenario, ipsec=[])) as topology:
            host = topology.netns("host-a")
            for step in policies:
                if step.host == "host-a" and by_hand:
                    words = step.command().replace("ip -n host-a", "ip").split()
                    inside_run(host, *words)
                elif step.host == "host-a":
                    with coming_back():
                        step.apply(topology)
            text = inside_run(host, "ip", "-d", "xfrm", "policy")
            seen.append(re.sub(r"index \d+|add [-0-9]+ [:0-9]+ use .*", "", text))
    assert seen[0] == seen[1]
    assert seen[0].count("mode tunnel") == len(policies) / 2


def test_ipsec_encrypts_what_leaves_the_host(tmp_path: Path) -> None:
    scenario = shipped("xfrm-transport").scenario
    require_kernel(scenario)
    with live(scenario) as topology:
        ping(topology, count=3)
        for host in ("client", "server"):
            state = inside_run(topology.netns(host), "ip", "-s", "xfrm", "state")
            assert [int(n) for n in re.findall(r"(\d+)\(packets\)\n", state)].count(3) >= 1
            text = inside_run(topology.netns(host), "cat", "/proc/net/xfrm_stat")
            assert {line.split()[1] for line in text.splitlines()} == {"0"}


def test_keys_of_ipsec_are_no_part_of_any_command() -> None:
    text = "\n".join(step.command() for step in ipsec.steps(shipped("xfrm-transport").scenario))
    assert text.count("$KEY") == 4
    assert not re.search(r"0x[0-9a-f]{16}", text)
