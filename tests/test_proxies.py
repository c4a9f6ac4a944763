"""Proxies, which containers without rights reach the world through: what they are, and are not."""

import re
import socket
from pathlib import Path

import pytest
from beside import installed
from cage import until
from capabilities import require
from files import PEERS, load_text, shipped
from test_paths import written

from bench import integrity, ports
from bench.capture import capture
from bench.errors import CannotMeasure, ScenarioError
from bench.forwarders import check, forwarding
from bench.ledger import Load, take, trace
from bench.probes import PROBES, prove
from bench.probes.flow import flowing, forth
from bench.process import FOLDER
from bench.scenario import Variant, find, shipped_peers, variants
from bench.topology import Topology, build, inside

pytestmark = pytest.mark.peers

PROXIED = [name for name in PEERS if shipped(name).scenario.proxied]
PROGRAMS = ("pasta", "slirp4netns")
MTUS = (1500, 65520)


def variant(name: str, mtu: int) -> Variant:
    [found] = variants(find([name]), [f"mtu={mtu}"])
    return found


# ---- which way -----------------------------------------------------------------------------------


PATHS = {
    "": "container:tap0 host:eth0 server:eth0",
    "-in": "client:eth0 host:eth0 container:tap0",
    "-pair": "ctr-a:tap0 host-a:eth0 host-b:eth0 ctr-b:tap0",
}


@pytest.mark.parametrize("name", PROXIED)
def test_the_path_goes_through_the_proxy_and_back_over_the_same_connections(name: str) -> None:
    scenario = shipped(name).scenario
    path = PATHS[name.removeprefix(scenario.forwarders[0].program)]  # type: ignore[union-attr]
    ends = scenario.endpoints.client, scenario.endpoints.server
    assert written(scenario, *ends) == path
    assert written(scenario, *reversed(ends)) == " ".join(reversed(path.split()))


@pytest.mark.parametrize("program", PROGRAMS)
def test_routers_go_between_the_hosts_of_two_proxies(program: str) -> None:
    installed(program)
    [routed] = variants(find([f"{program}-pair"]), ["hops=2"])
    with build(routed.scenario) as topology, forwarding(topology) as running:
        prove(topology, routed.name, running)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_server_sees_the_address_of_the_host_and_not_of_the_container(program: str) -> None:
    installed(program)
    with build(shipped(program).scenario) as topology, forwarding(topology):
        assert seen_by_server(topology, "container", "server", "192.0.2.2") == "192.0.2.1"


@pytest.mark.parametrize("program", PROGRAMS)
def test_who_calls_a_forwarded_port_is_seen_with_its_own_address(program: str) -> None:
    name = f"{program}-in"
    installed(name)
    with build(shipped(name).scenario) as topology, forwarding(topology):
        assert seen_by_server(topology, "client", "container", "192.0.2.1") == "192.0.2.2"


def seen_by_server(topology: Topology, client: str, server: str, address: str) -> str:
    """The address that a TCP connection from the one to the other seems to come from."""
    with inside(topology.netns(server)):
        listener = socket.create_server(("0.0.0.0", ports.GOODPUT))  # noqa: S104
    with listener:
        listener.settimeout(5)
        with inside(topology.netns(client)):
            calling = socket.create_connection((address, ports.GOODPUT), 5)
        calling.send(b"hello")  # pasta of 2023 tells the server of the end of a handshake by that
        with calling, listener.accept()[0] as called:
            return str(called.getpeername()[0])


# ---- measured as any other -----------------------------------------------------------------------


@pytest.mark.parametrize("mtu", MTUS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_segments_to_the_proxy_are_as_long_as_the_mtu_of_its_tap_allows(
    program: str, mtu: int
) -> None:
    installed(program)
    probe = PROBES["tcp_goodput"]
    with build(variant(program, mtu).scenario) as topology, forwarding(topology) as running:
        probe.measure(prove(topology, program, running), probe.settings["quick"])
        sent = topology.traffic(
            "container",
        )["tap0"]
    mean = sent.tx_bytes / sent.tx_packets
    assert mtu / 6 < mean < mtu + 14, "some are short: a window is full, a connection begins"


@pytest.mark.parametrize("probe", ["rtt", "tcp_goodput"])
@pytest.mark.parametrize("name", PROXIED)
def test_round_trips_and_goodput_are_measured_over_each(name: str, probe: str) -> None:
    installed(name)
    settings = PROBES[probe].settings["quick"]
    with build(shipped(name).scenario) as topology, forwarding(topology) as running:
        measured = PROBES[probe].measure(prove(topology, name, running), settings)
    assert all(value > 0 for value in measured.samples[probe])


@pytest.mark.parametrize("name", PROXIED)
def test_datagrams_of_one_flow_after_another_arrive_without_an_answer(name: str) -> None:
    """More flows than there are ports for them: the first port is used again."""
    installed(name)
    with build(shipped(name).scenario) as topology, forwarding(topology) as running:
        path = prove(topology, name, running)
        for _ in range(len(ports.FORWARDED_FLOWS) + 1):
            with flowing(forth(path), send_one, receive_one, connected="both") as flow:
                flow.begin()
                flow.send(1)
                flow.end()


def send_one(fd: int, _: int, __: dict[str, object]) -> None:
    socket.socket(fileno=fd).send(b"to the other side")


def receive_one(fd: int, _: int, __: dict[str, object]) -> None:
    sock = socket.socket(fileno=fd)
    sock.settimeout(4)
    if sock.recv(100) != b"to the other side":
        raise CannotMeasure("not what was sent")


@pytest.mark.parametrize("name", PROXIED)
def test_what_is_predicted_of_a_packet_is_what_happens(name: str) -> None:
    installed(name)
    require(trace.missing() is None, f"needs to trace: {trace.missing()}")
    with build(shipped(name).scenario) as topology, forwarding(topology) as running:
        ledger = take(prove(topology, name, running), Load(packets=2000), overhead=False)
    # pasta takes several datagrams with one call, if it comes too late for one.
    assert ledger.predicted.keys() >= {"copies", "traversals", "device_hops"}
    for item, predicted in ledger.predicted.items():
        assert ledger.per_packet[item] == pytest.approx(predicted, rel=0.05), item
    assert list(ledger.disagreements()) == []


# ---- what they are not ---------------------------------------------------------------------------


def test_what_a_proxy_cannot_do_is_said_in_one_line() -> None:
    installed("pasta")
    with build(shipped("pasta").scenario) as topology, forwarding(topology) as running:
        path = prove(topology, "pasta", running)
        with pytest.raises(CannotMeasure, match="a proxy on the way passes no pings on"):
            capture(topology, 1, 1)
        with pytest.raises(CannotMeasure, match="a proxy lets only one in"):
            integrity.check(path)


@pytest.mark.parametrize("name", ["pasta-in", "slirp4netns-in"])
def test_only_the_probes_ports_of_the_one_address_are_open(name: str) -> None:
    installed(name)
    with build(shipped(name).scenario) as topology, forwarding(topology):
        with inside(topology.netns("host")):
            open_there = [*sockets("tcp", "0A"), *sockets("udp", "07")]
        with inside(topology.netns("container")):
            assert sockets("tcp", "0A") == sockets("udp", "07") == []
    wanted = {("192.0.2.1", port) for port in (*ports.TCP, *ports.UDP)}
    assert wanted == set(open_there)


def sockets(protocol: str, state: str) -> list[tuple[str, int]]:
    """Address and port of the sockets of this namespace in a state, of both families."""
    found = []
    for suffix in ("", "6"):
        file = Path(f"/proc/thread-self/net/{protocol}{suffix}")
        for line in file.read_text().splitlines()[1:] if file.exists() else ():
            words = line.split()
            address, port = words[1].split(":")
            if words[3] == state:
                packed = bytes.fromhex(address)[::-1]
                text = socket.inet_ntoa(packed) if len(packed) == 4 else address
                found.append((text, int(port, 16)))
    return found


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("pasta", 'sockets = "host"\n', "", 'expected "address:port" of its socket'),
        ("pasta", 'sockets = "host"', 'sockets = "hots"', "there is no host hots"),
        ("pasta", 'sockets = "host"', 'sockets = "container"', "expected another host"),
        ("pasta-in", 'sockets = "host"\n', "", 'expected "address:port" of its socket'),
        ("pasta", 'kind = "tap"', 'kind = "tun"', "has a tap"),
        ("pasta", 'via = "10.0.2.2"', 'dev = "tap0"', 'needs a route to "default"'),
        (
            "pasta",
            'sockets = "host"',
            'sockets = "host"\npeers = ["192.0.2.2:1"]',
            "has no listen, routes or peers",
        ),
        ("pasta", 'program = "pasta"', 'program = "socat"', "its sockets where its device is"),
        ("pasta", 'eth0"\n\n[hosts.c', 'eth0"\naddress = "10.0.0.9"\n\n[hosts.c', "endpoints"),
        ("pasta-in", '\naddress = "192.0.2.1"', "", "no route to 10.0.2.100"),
        ("pasta-in", '\naddress = "192.0.2.1"', '\naddress = "fd00::1"', "of the family of"),
        ("pasta-in", 'forwards = "192.0.2.1"', "", "container is not behind it"),
        ("pasta-in", 'forwards = "192.0.2.1"', 'forwards = "192.0.2.2"', "no address of host"),
        ("slirp4netns", "10.0.2.100/24", "10.0.2.7/24", "expected the address 10.0.2.100"),
        ("slirp4netns", "mtu = 1500\nunder", "mtu = 65535\nunder", "no MTU above 65521"),
    ],
)
def test_a_proxy_that_makes_no_sense_is_refused(
    name: str, old: str, new: str, said: str, tmp_path: Path
) -> None:
    text = shipped_peers()[name].read_text()
    assert old in text
    with pytest.raises(ScenarioError, match=re.escape(said)):
        check(load_text(text.replace(old, new, 1), tmp_path))


def test_pasta_gives_up_what_it_need_not_do_and_sees_no_files() -> None:
    installed("pasta")
    with build(shipped("pasta").scenario) as topology, forwarding(topology) as [running]:
        status = Path(f"/proc/{running.child.pid}/status").read_text()
        sees = Path(f"/proc/{running.child.pid}/root")
        until(lambda: not (sees / "etc").exists(), "it is in its sandbox")
    found = re.search(r"CapEff:\s*([0-9a-f]+)", status)
    assert found
    assert int(found[1], 16).bit_count() <= len(["NET_BIND_SERVICE", "NET_ADMIN", "SYS_ADMIN"])
    assert not Path(FOLDER).exists()
