"""The C extension seen from Python: routes, devices, ping. Pumps: test_extension_pump.py."""

import errno
import fcntl
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from bench._vnetbench import lib
from capabilities import require_program, require_root_namespaces, require_tun
from hypothesis import given
from hypothesis import strategies as st
from overlay import configure_here

from bench import native
from bench.native import Address, Network, PortKind, Routes
from bench.topology.namespaces import inside, namespace

# linux/if_tun.h
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4 = 0x01, 0x02


# Few bits in few places make prefixes nest and touch; any address at all is drawn as well.
def addresses(version: int) -> st.SearchStrategy[Address]:
    bits = 32 if version == 4 else 128
    return st.one_of(
        st.builds(
            lambda a, b: a << bits - 4 | b,
            st.integers(0, 15),
            st.integers(0, 15),
        ),
        st.integers(0, 2**bits - 1),
    ).map(IPv4Address if version == 4 else IPv6Address)


def networks(version: int) -> st.SearchStrategy[Network]:
    kind = IPv4Network if version == 4 else IPv6Network
    return st.builds(
        lambda address, length: kind((int(address), length), strict=False),
        addresses(version),
        st.integers(0, 32 if version == 4 else 128),
    )


any_address = st.one_of(addresses(4), addresses(6))
peers = st.tuples(any_address, st.integers(1, 65535))
tables = st.dictionaries(st.one_of(networks(4), networks(6)), peers, max_size=40)


def expected_peer(routes: Routes, address: Address) -> tuple[Address, int] | None:
    """What ipaddress calls the longest match."""
    matches = [p for p in routes if p.version == address.version and address in p]
    return routes[max(matches, key=lambda p: p.prefixlen)] if matches else None


def edges(routes: Routes) -> list[Address]:
    return [address for p in routes for address in (p.network_address, p.broadcast_address)]


@given(routes=tables, asked=st.lists(any_address, max_size=20))
def test_a_router_finds_the_owner_of_the_longest_matching_prefix(
    routes: Routes, asked: list[Address]
) -> None:
    router = native.Router(routes)
    for address in asked + edges(routes):
        assert router.find(address) == expected_peer(routes, address), address


@given(before=tables, after=tables)
def test_replaced_routes_are_forgotten(before: Routes, after: Routes) -> None:
    router = native.Router(before)
    router.replace(after)
    for address in edges(before) + edges(after):
        assert router.find(address) == expected_peer(after, address), address


def test_every_counter_has_a_name_of_its_own() -> None:
    names = list(native.Counters().read())
    assert len(set(names)) == len(names) == lib.vnb_counter_count()


def test_ping_and_pong_measure_a_round_trip_over_the_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        stop = os.eventfd(0)
        thread = threading.Thread(target=native.pong, args=(server.fileno(), stop))
        thread.start()
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.connect(server.getsockname())
                client.settimeout(1)  # makes it non-blocking, which must not matter
                assert 0 < native.ping(client.fileno(), 64, 100, 5.0) < 5.0
        finally:
            os.eventfd_write(stop, 1)
            thread.join(5)
            os.close(stop)
        assert not thread.is_alive()


def test_ping_to_a_closed_port_is_refused_not_timed_out() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", 9))
        with pytest.raises(ConnectionRefusedError):
            native.ping(client.fileno(), 64, 1, 5.0)


@pytest.fixture
def netns() -> Iterator[None]:
    """A fresh namespace that the test runs in."""
    require_tun()
    with namespace() as fd, inside(fd):
        yield


def devices() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize("kind", [PortKind.TUN, PortKind.TAP])
def test_a_device_goes_with_its_last_descriptor(kind: PortKind) -> None:
    fd = native.tun_open("dev0", kind)
    assert "dev0" in devices()
    assert not os.get_inheritable(fd)
    os.close(fd)
    assert "dev0" not in devices()


@pytest.mark.usefixtures("netns")
def test_a_device_that_somebody_holds_is_busy() -> None:
    fd = native.tun_open("dev0", PortKind.TUN)
    with pytest.raises(OSError, match="dev0") as raised:
        native.tun_open("dev0", PortKind.TUN)
    assert raised.value.errno == errno.EBUSY
    os.close(fd)


def ip(*arguments: str) -> None:
    require_program("ip")
    subprocess.run(["ip", *arguments], check=True)


@pytest.mark.usefixtures("netns")
def test_a_free_persistent_device_is_attached_to_and_left_behind() -> None:
    ip("tuntap", "add", "dev0", "mode", "tun")
    os.close(native.tun_open("dev0", PortKind.TUN))
    assert "dev0" in devices()


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize("framing", ["pi", "vnet_hdr"])
def test_packets_are_bare_whatever_the_last_holder_had_in_front_of_them(framing: str) -> None:
    ip("tuntap", "add", "dev0", "mode", "tun", framing)
    fd = native.tun_open("dev0", PortKind.TUN)
    configure_here("dev0", "10.0.0.1", 24)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"bare", ("10.0.0.2", 7))
    packet = os.read(fd, 2048)
    while packet[0] >> 4 == 6:  # what IPv6 sends when a device comes up
        packet = os.read(fd, 2048)
    assert (packet[0], len(packet), packet[-4:]) == (0x45, 32, b"bare")
    os.close(fd)


@pytest.mark.usefixtures("netns")
def test_segmentation_offload_does_not_outlive_its_user() -> None:
    require_program("ethtool")
    ip("tuntap", "add", "dev0", "mode", "tun", "vnet_hdr")
    with open("/dev/net/tun", "r+b", buffering=0) as last_holder:
        flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR
        fcntl.ioctl(last_holder, TUNSETIFF, struct.pack("16sH22x", b"dev0", flags))
        fcntl.ioctl(last_holder, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)
        assert "tcp-segmentation-offload: on" in features()
    os.close(native.tun_open("dev0", PortKind.TUN))
    assert "tcp-segmentation-offload: off" in features()


def features() -> str:
    command = ["ethtool", "-k", "dev0"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize(
    "arguments",
    [
        ("tuntap", "add", "dev0", "mode", "tap"),
        ("tuntap", "add", "dev0", "mode", "tun", "multi_queue"),
        ("link", "add", "dev0", "type", "veth", "peer", "name", "dev1"),
    ],
    ids=["tap", "multi-queue", "veth"],
)
def test_a_device_of_another_kind_is_refused(arguments: tuple[str, ...]) -> None:
    ip(*arguments)
    with pytest.raises(OSError, match="dev0") as raised:
        native.tun_open("dev0", PortKind.TUN)
    assert raised.value.errno == errno.EMEDIUMTYPE


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "tun%d", "sixteen_letters_"])
def test_what_is_no_device_name_is_invalid(name: str) -> None:
    with pytest.raises(OSError, match=r".*") as raised:
        native.tun_open(name, PortKind.TUN)
    assert raised.value.errno == errno.EINVAL


def test_unshare_and_setns_move_only_the_calling_thread() -> None:
    require_root_namespaces()
    here = os.stat("/proc/self/ns/net")
    with namespace() as fd, inside(fd):
        assert os.stat("/proc/thread-self/ns/net").st_ino == os.fstat(fd).st_ino != here.st_ino
    assert os.stat("/proc/thread-self/ns/net").st_ino == here.st_ino
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        native.setns(-1)
