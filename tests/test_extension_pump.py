"""The pump end to end: real tun and tap devices, real namespaces, real sockets."""

import errno
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from capabilities import require_program, require_tun
from overlay import (
    LEFT,
    LEFT_PUMP,
    NOWHERE,
    PORT,
    RIGHT,
    RIGHT_PUMP,
    Overlay,
    RunningPump,
    Side,
    inner_packet,
    overlay,
    relay,
    set_state,
)

from bench import native
from bench.native import PortKind
from bench.topology.namespaces import inside

IP_RECVERR, IP_RECVTTL = 11, 12  # the socket module has them only from Python 3.14 on
ECHO = 7
NET_UNREACHABLE, TIME_EXCEEDED = 3, 11
TRUST_ANYONE = 0


@pytest.fixture
def world() -> Iterator[Overlay]:
    require_tun()
    with overlay() as running:
        yield running


@pytest.fixture
def tuns() -> Iterator[Overlay]:
    require_tun()
    with relay(PortKind.TUN) as running:
        yield running


@pytest.fixture
def taps() -> Iterator[Overlay]:
    require_tun()
    with relay(PortKind.TAP) as running:
        yield running


def send_across(sender: Side, receiver: Side, payload: bytes = b"hello") -> int:
    """Send one datagram, check its payload, and return the TTL it arrived with."""
    with receiver.udp(ECHO) as server, sender.udp() as client:
        server.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        client.sendto(payload, (receiver.address, ECHO))
        data, control, _, peer = server.recvmsg(2048, 64)
        assert (data, peer) == (payload, client.getsockname())
    [(_, kind, value)] = control
    assert kind == socket.IP_TTL
    return int.from_bytes(value, "little" if struct.pack("=H", 1)[0] else "big")


def icmp_error(sender: Side, destination: str, ttl: int = 64) -> tuple[int, str]:
    """The ICMP type that a datagram to `destination` is answered by, and the router it is from."""
    with sender.udp() as client:
        client.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        client.sendto(b"lost", (destination, ECHO))
        with pytest.raises(OSError, match=r"unreachable|No route"):
            client.recv(2048)
        _, [(_, kind, error)], _, _ = client.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
    assert kind == IP_RECVERR
    # struct sock_extended_err, then the sockaddr_in of whoever sent the error
    icmp_type, offender = error[5], error[20:24]
    return icmp_type, socket.inet_ntoa(offender)


def test_a_datagram_crosses_the_overlay_and_loses_two_hops_in_each_direction(
    world: Overlay,
) -> None:
    assert send_across(world.left, world.right) == 64 - 2
    assert send_across(world.right, world.left) == 64 - 2


def test_the_counters_of_both_pumps_agree_with_each_other(world: Overlay) -> None:
    for _ in range(10):
        send_across(world.left, world.right, b"x" * 100)
    for pump in world.pumps:
        pump.stop()
        assert pump.balanced()
    left, right = (pump.counters.read() for pump in world.pumps)
    packets, size = 10, 20 + 8 + 100
    assert left["port0.rx_packets"] == left["port1.tx_packets"] == packets
    assert right["port1.rx_packets"] == right["port0.tx_packets"] == packets
    assert left["port0.rx_bytes"] == right["port0.tx_bytes"] == packets * size
    assert left["syscall.sendto"] == right["syscall.write"] == packets
    assert left["syscall.read"] == packets + left["eagain.read"]


def test_a_destination_without_a_route_is_reported_unreachable(world: Overlay) -> None:
    assert icmp_error(world.left, NOWHERE) == (NET_UNREACHABLE, LEFT_PUMP)
    assert world.pumps[0].counters.read()["drop.no_route"] == 1


def test_a_trace_of_the_overlay_shows_both_pumps(world: Overlay) -> None:
    assert icmp_error(world.left, RIGHT, ttl=1) == (TIME_EXCEEDED, LEFT_PUMP)
    assert icmp_error(world.left, RIGHT, ttl=2) == (TIME_EXCEEDED, RIGHT_PUMP)
    with pytest.raises(ConnectionRefusedError):  # TTL 3 arrives, at a port nobody listens on
        refused(world.left, ttl=3)
    for pump in world.pumps:
        pump.stop()
        assert pump.counters.read()["icmp.time_exceeded"] == 1
        assert pump.balanced()


def refused(sender: Side, ttl: int) -> None:
    with sender.udp() as client:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        client.connect((RIGHT, ECHO))
        client.send(b"anyone?")
        client.recv(2048)


def test_anything_but_an_ip_packet_never_reaches_the_tun(tuns: None) -> None:
    whole = inner_packet(LEFT, RIGHT, ECHO, b"whole")
    broken = [b"", b"E", whole[:19], whole[:-1], whole + b"!", b"\x60" + whole[1:], b"\0" * 1400]
    with overlay({"trust": TRUST_ANYONE}) as world:
        assert from_stranger(world, [*broken, b"\x45" * 5000, whole]) == b"whole"
        counters = stopped(world.pumps[1])
    assert counters["port0.tx_packets"] == 1
    assert counters["drop.truncated"] == 1
    assert counters["drop.malformed"] + counters["drop.not_ip"] == len(broken)


@pytest.mark.parametrize(
    ("trust", "source", "counter"),
    [
        ("peers", LEFT, "drop.unknown_peer"),
        ("sources", LEFT, "drop.unknown_peer"),
        ("sources", NOWHERE, "drop.unknown_peer"),
    ],
)
def test_a_strangers_datagrams_are_dropped_and_counted(
    tuns: None, trust: str, source: str, counter: str
) -> None:
    values = native.switches()["trust"].values
    assert values is not None
    with overlay({"trust": values.index(trust)}) as world:
        assert from_stranger(world, [inner_packet(source, RIGHT, ECHO, b"forged")] * 3) is None
        counters = stopped(world.pumps[1])
    assert counters[counter] == counters["port1.rx_packets"] == 3
    assert counters["port0.tx_packets"] == 0


def from_stranger(world: Overlay, datagrams: list[bytes]) -> bytes | None:
    """What the right side's server gets of what a stranger on the left sends to its pump."""
    with inside(world.left.netns):
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with stranger, world.right.udp(ECHO) as server:
        server.settimeout(1)
        for datagram in datagrams:
            stranger.sendto(datagram, ("192.0.2.2", PORT))
        try:
            return server.recv(2048)
        except TimeoutError:
            return None


def stopped(pump: RunningPump) -> dict[str, int]:
    """The counters of a pump at rest."""
    pump.stop()
    return pump.counters.read()


def test_a_pump_stops_within_a_second_under_load(world: Overlay) -> None:
    over = threading.Event()

    def flood() -> None:
        with world.left.udp() as client:
            while not over.is_set():
                client.sendto(b"x" * 1000, (RIGHT, ECHO))

    thread = threading.Thread(target=flood)
    with world.right.udp(ECHO) as server:
        thread.start()
        try:
            for _ in range(100):
                server.recv(2048)
            begin = time.monotonic()
            for pump in world.pumps:
                pump.stop()
            took = time.monotonic() - begin
        finally:
            over.set()
            thread.join()
    assert took < 1.0
    assert all(pump.result is None and pump.balanced() for pump in world.pumps)


def test_a_device_that_is_down_costs_packets_but_neither_the_pump_nor_a_processor(
    world: Overlay,
) -> None:
    pump = world.pumps[1]
    set_state(world.right.netns, "down")
    with world.left.udp() as client:
        client.sendto(b"lost", (RIGHT, ECHO))
    wait_for(lambda: pump.counters.read()["drop.device_down"] == 1)
    before = pump.counters.read()
    time.sleep(0.1)  # what is observed is that nothing happens
    after = pump.counters.read()
    assert after["syscall.poll"] - before["syscall.poll"] <= 1
    assert after["syscall.read"] - before["syscall.read"] <= 1
    assert pump.alive()

    set_state(world.right.netns, "up")
    assert send_across(world.left, world.right) == 64 - 2


def test_a_device_that_is_deleted_ends_its_pump_with_an_error(world: Overlay) -> None:
    require_program("ip")
    with inside(world.left.netns):
        subprocess.run(["ip", "link", "delete", "flannel0"], check=True)
    world.pumps[0].wait()
    assert world.pumps[0].result is not None
    assert world.pumps[0].result.errno == errno.EBADFD


def test_a_relay_between_two_tuns_takes_one_hop(tuns: Overlay) -> None:
    assert send_across(tuns.left, tuns.right) == 64 - 1
    assert send_across(tuns.right, tuns.left) == 64 - 1
    assert icmp_error(tuns.left, RIGHT, ttl=1) == (TIME_EXCEEDED, LEFT_PUMP)
    assert icmp_error(tuns.right, LEFT, ttl=1) == (TIME_EXCEEDED, LEFT_PUMP)


def test_a_relay_between_two_taps_is_a_cable(taps: Overlay) -> None:
    assert send_across(taps.left, taps.right) == 64
    assert send_across(taps.right, taps.left) == 64
    [pump] = taps.pumps
    pump.stop()
    assert pump.balanced()
    # Two datagrams, and at least the ARP request and reply that made them possible.
    assert pump.counters.read()["port0.rx_packets"] >= 2


def wait_for(condition: Callable[[], bool], timeout: float = 5.0) -> None:
    """Poll a counter, which is memory and has no event to wait for."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.001)
