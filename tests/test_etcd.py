"""Routes from etcd: a lease takes effect while the pump runs, and costs nobody else a packet."""

import os
import signal
import threading
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from etcds import (
    ELSEWHERE,
    KEY,
    MORE,
    PORT,
    THERE,
    Steady,
    World,
    comes_true,
    etcd_processes,
    scenario,
    world,
)
from files import load_text, shipped, text_of

from bench.errors import MissingCapability, ScenarioError
from bench.etcd import server
from bench.etcd.client import Client, Compacted, EtcdError, Listing
from bench.etcd.follow import Follower
from bench.etcd.leases import CONFIG, PREFIX, config_of, value_of
from bench.forwarders import forwarding
from bench.native import Routes
from bench.probes import prove
from bench.scenario import find, parse_ref, variants
from bench.scenario.model import Scenario
from bench.scenario.paths import trace
from bench.topology import build

pytestmark = [pytest.mark.usefixtures("tuns"), pytest.mark.peers]

LEASE = value_of(IPv4Address(THERE))


@pytest.fixture
def net() -> Iterator[World]:
    with world() as net:
        yield net


def test_datagrams_cross_every_device_that_the_file_says(net: World) -> None:
    prove(net.topology, "flannel-udp", net.running)
    assert net.said() == []


# ---- leases come, move and go ---------------------------------------------------------------


def test_a_lease_that_appears_moves_and_goes_takes_effect_and_others_lose_nothing(
    net: World,
) -> None:
    assert net.is_unreachable()
    with Steady(net) as steady:
        while steady.sent < 100:
            net.etcd.put(KEY, LEASE)
            assert net.arrives()
            net.etcd.put(KEY, value_of(IPv4Address(ELSEWHERE)))
            assert net.arrives("host-b", ELSEWHERE, PORT)
            net.etcd.delete(KEY)
            assert net.is_unreachable()
    assert steady.lost == set()


def test_no_packet_is_lost_however_often_leases_change(net: World) -> None:
    with Steady(net) as steady:
        for round_ in range(100):
            for third in range(3, 9):
                key = f"{PREFIX}subnets/10.244.{third}.0-24"
                net.etcd.put(key, value_of(IPv4Address(f"192.0.2.{10 + round_}")))
        net.etcd.put(KEY, LEASE)
        assert net.arrives()
    assert steady.lost == set()


def test_a_lease_that_is_not_renewed_expires_and_the_sender_is_told(net: World) -> None:
    with Steady(net) as steady:
        net.etcd.put(KEY, LEASE, ttl=2)
        assert net.arrives()
        assert comes_true(lambda: KEY not in net.etcd.list_all(PREFIX).entries, 15)
        assert net.is_unreachable()
    assert steady.lost == set()


def test_a_renewal_changes_nothing(net: World) -> None:
    net.etcd.put(KEY, LEASE, ttl=2)
    assert net.arrives()
    net.etcd.put(KEY, LEASE, ttl=60)
    assert not comes_true(lambda: KEY not in net.etcd.list_all(PREFIX).entries, 5)
    assert net.arrives()


def test_another_port_in_the_configuration_is_another_endpoint_for_all(net: World) -> None:
    net.etcd.put(KEY, LEASE)
    network = MORE.supernet(new_prefix=16)
    net.etcd.put(CONFIG, config_of(network, 8286))
    assert net.arrives("host-b", THERE, 8286)
    net.etcd.put(CONFIG, config_of(network, PORT))
    assert net.arrives()


# ---- what is no lease -----------------------------------------------------------------------

GARBAGE = [
    (KEY, b"", "is not JSON"),
    (KEY, b"\x00\xff\x1b[2J", "is not JSON"),
    (KEY, b"[" * 100_000, "is not JSON"),
    (KEY, b"[]", "is not a JSON object"),
    (KEY, b"{}", "PublicIP: a string is missing"),
    (KEY, b'{"PublicIP": 3221225986}', "PublicIP: a string is missing"),
    (KEY, b'{"PublicIP": "192.0.2.2.2"}', "PublicIP: Expected 4 octets"),
    (KEY, b'{"PublicIP": "0.0.0.0"}', "PublicIP: 0.0.0.0 is no host's address"),
    (KEY, b'{"PublicIP": "192.0.2.2", "BackendType": "vxlan"}', "BackendType is not udp"),
    (f"{PREFIX}subnets/10.244.3.0-99", LEASE, "'99' is not a valid netmask"),
    (f"{PREFIX}subnets/10.244.3.9-24", LEASE, "has host bits set"),
    (f"{PREFIX}subnets/0.0.0.0-0", LEASE, "is not within 10.244.0.0/16"),
    (f"{PREFIX}subnets/elsewhere", LEASE, "is no key of a lease, like"),
    (f"{PREFIX}subnets/\n\x1b[31m", LEASE, "is no key of a lease, like"),
    (f"{PREFIX}colour", b"blue", "is no key of a lease, like"),
    (CONFIG, b"blue", "is not JSON"),
    (CONFIG, b'{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}', "not of the type udp"),
    (CONFIG, b'{"Network": "10.244.0.0/16", "Backend": {"Port": 0}}', "Backend.Port is not a port"),
    (CONFIG, b'{"Network": 10}', "Network: a string is missing"),
]


def test_what_is_no_lease_is_one_line_and_changes_nothing(net: World) -> None:
    net.etcd.put(KEY, LEASE)
    assert net.arrives()
    with Steady(net) as steady:
        for number, (key, value, problem) in enumerate(GARBAGE, start=1):
            net.etcd.put(key, value)
            assert net.says(number), (key, value)
            line = net.said()[-1]
            assert line.startswith(f"vnetbench: pump: etcd: {key!r} = "), line
            assert problem in line
            assert line.endswith("; ignored")
            assert line.isprintable()
            assert len(line) < 500
        net.etcd.put(*GARBAGE[-1][:2])
        assert net.arrives()
    assert len(net.said()) == len(GARBAGE)
    assert steady.lost == set()


def test_a_subnet_is_taken_from_its_owner_by_a_sound_lease_after_an_unsound_one(net: World) -> None:
    net.etcd.put(KEY, b"{}")
    assert net.is_unreachable()
    net.etcd.put(KEY, LEASE)
    assert net.arrives()


# ---- etcd gone and back ---------------------------------------------------------------------


def test_the_routes_stay_when_etcd_is_killed_and_when_it_comes_back(
    net: World, tmp_path: Path
) -> None:
    net.etcd.put(KEY, LEASE)
    assert net.arrives()
    [first] = etcd_processes(net.topology)
    os.kill(first, signal.SIGKILL)
    assert net.says(1)
    assert net.said()[0].endswith("; the routes stay as they were")
    assert net.arrives()
    folder = str(tmp_path / "etcd")
    with server.serving(net.topology, folder) as second:
        # It came back empty: it knows no network, so it says nothing about leases.
        assert net.says(2)
        assert f"no {CONFIG}" in net.said()[1]
        assert net.arrives()
        net.etcd.put(KEY, value_of(IPv4Address(ELSEWHERE)))
        server.lease_all(net.etcd, net.topology.scenario)
        assert net.arrives("host-b", ELSEWHERE, PORT)
        os.kill(second.pid, signal.SIGKILL)
        assert second.wait(5) == -signal.SIGKILL
    assert net.arrives("host-b", ELSEWHERE, PORT)
    with server.serving(net.topology, folder):
        assert net.arrives("host-b", ELSEWHERE, PORT)
        net.etcd.put(KEY, LEASE)
        assert net.arrives()
    assert net.says(4)
    assert len(net.said()) == 4, "a line each time that it is gone, or is empty"


def test_etcd_goes_with_whoever_started_it() -> None:
    with world() as net:
        [process] = etcd_processes(net.topology)
    assert not Path(f"/proc/{process}").exists()


class Compacting(Client):
    """After its first list, everything changes and the changes are forgotten."""

    once = False

    def list_all(self, prefix: str) -> Listing:
        found = super().list_all(prefix)
        if not self.once:
            self.once = True
            self.put(KEY, LEASE)
            self.put(CONFIG, config_of(MORE.supernet(new_prefix=16), PORT))
            self.compact(super().list_all(prefix).revision)
        return found


def test_a_watch_that_a_compaction_overtakes_lists_again() -> None:
    seen: list[Routes] = []
    with build(scenario()) as topology, server.serving(topology):
        client = server.client_of(topology)
        server.lease_all(client, topology.scenario)
        compacting = Compacting(client.address, netns=topology.netns("etcd"))
        follower = Follower(compacting, IPv4Address("192.0.2.1"), seen.append, print)
        threading.Thread(target=follower.run, daemon=True).start()
        assert comes_true(lambda: len(seen) >= 2, 10)
        with pytest.raises(Compacted):
            next(client.watch(PREFIX, 2))
    assert MORE not in seen[0]
    assert seen[1][MORE] == (IPv4Address(THERE), PORT)


def test_whoever_is_no_etcd_is_an_error_in_a_line(net: World) -> None:
    stranger = Client(IPv4Address("127.0.0.1"), 2380, net.topology.netns("etcd"))
    for ask in (lambda: stranger.list_all(PREFIX), lambda: next(stranger.watch(PREFIX, 1))):
        with pytest.raises(EtcdError, match=r"^etcd 127\.0\.0\.1:2380: status 404: "):
            ask()
    nobody = Client(IPv4Address("127.0.0.1"), 1, net.topology.netns("etcd"))
    with pytest.raises(EtcdError, match=r"^etcd 127\.0\.0\.1:1: Connection refused$"):
        nobody.list_all(PREFIX)


# ---- in a scenario --------------------------------------------------------------------------


def test_the_path_is_the_same_as_with_static_routes() -> None:
    static, followed = shipped("flannel-udp").scenario, scenario()
    assert links_of(followed) - links_of(static) == {
        ("host-a:ctl0", "etcd:ctl0-0"),
        ("host-b:ctl0", "etcd:ctl0-1"),
    }
    assert path_of(followed) == path_of(static)


def links_of(scenario: Scenario) -> set[tuple[str, str]]:
    return set(scenario.links)


def path_of(scenario: Scenario) -> list[str]:
    ends = scenario.endpoints
    return [str(hop.ref) for hop in trace(scenario, parse_ref(ends.client), parse_ref(ends.server))]


def test_it_goes_with_routers_in_the_path() -> None:
    [variant] = variants(find(["flannel-udp"]), ["routes=etcd", "hops=1"])
    assert "etcd" in variant.scenario.hosts
    with build(variant.scenario) as topology, forwarding(topology) as running:
        prove(topology, variant.name, running)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"192.0.2.2:8285": "192.0.2.2:8286"}, "the port is the same for all"),
        ({"host-a": "etcd"}, "the name of the host etcd is needed for etcd's own"),
        ({"flannel0": "ctl0"}, "the name of host-a:ctl0 is needed"),
        ({"192.0.2.": "198.51.100."}, "198.51.100.0/24 is needed for the wires to etcd"),
    ],
)
def test_a_scenario_that_leaves_etcd_no_room_is_refused(
    changes: dict[str, str], says: str, tmp_path: Path
) -> None:
    text = text_of("flannel-udp").replace('routes = "static"', 'routes = "etcd"')
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(ScenarioError) as caught:
        load_text(text, tmp_path)
    assert says in str(caught.value)


def test_leases_are_for_ipv4_only(tmp_path: Path) -> None:
    text = text_of("flannel-udp6").replace("listen =", 'routes_from = "etcd"\nlisten =')
    with pytest.raises(ScenarioError, match="for IPv4 only"):
        load_text(text, tmp_path)


def test_where_etcd_is_not_installed_it_is_a_skip_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = scenario()
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        build(found) as topology,
        pytest.raises(MissingCapability, match="etcd is not installed; `make peers`"),
        forwarding(topology),
    ):
        pass
