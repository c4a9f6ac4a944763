"""Tun and tap devices: what is opened, with which framing, offloads and queues."""

import errno
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from capabilities import require_program, require_tun
from overlay import configure_here

from bench import native
from bench.native import PortKind
from bench.topology.namespaces import inside, namespace

# linux/if_tun.h
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4 = 0x01, 0x02


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


# ---- offload --------------------------------------------------------------------------------

HEADER = 10
"""Bytes of struct virtio_net_hdr."""
TUNSETVNETHDRSZ, TUNSETVNETLE = 0x400454D8, 0x400454DC


def send_from_here(payload: bytes) -> None:
    """Send one datagram that leaves by dev0, whose network is 10.0.0.0/24."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(payload, ("10.0.0.2", 7))


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize("kind", [PortKind.TUN, PortKind.TAP])
def test_with_offload_the_device_takes_super_packets_of_both_families(kind: PortKind) -> None:
    require_program("ethtool")
    fd = native.tun_open("dev0", kind, offload=True)
    found = features()
    for feature in ("tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-tcp-ecn-segmentation"):
        assert f"{feature}: on" in found
    assert "tx-checksum-ip-generic: on" in found
    os.close(fd)


@pytest.mark.usefixtures("netns")
def test_with_offload_udp_super_packets_are_taken_where_the_kernel_can() -> None:
    require_program("ethtool")
    release = tuple(map(int, os.uname().release.split(".")[:2]))
    fd = native.tun_open("dev0", PortKind.TUN, offload=True)
    assert (f"tx-udp-segmentation: {'on' if release >= (6, 2) else 'off'}") in features()
    os.close(fd)


@pytest.mark.usefixtures("netns")
def test_with_offload_a_short_header_is_in_front_whatever_the_last_holder_had() -> None:
    ip("tuntap", "add", "dev0", "mode", "tun", "vnet_hdr")
    with open("/dev/net/tun", "r+b", buffering=0) as last_holder:
        flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR
        fcntl.ioctl(last_holder, TUNSETIFF, struct.pack("16sH22x", b"dev0", flags))
        fcntl.ioctl(last_holder, TUNSETVNETHDRSZ, struct.pack("i", 12))
        fcntl.ioctl(last_holder, TUNSETVNETLE, struct.pack("i", 1))
    fd = native.tun_open("dev0", PortKind.TUN, offload=True)
    configure_here("dev0", "10.0.0.1", 24)
    send_from_here(b"bare")
    packet = os.read(fd, 2048)
    while packet[HEADER] >> 4 == 6:  # what IPv6 sends when a device comes up
        packet = os.read(fd, 2048)
    assert (packet[HEADER], len(packet), packet[-4:]) == (0x45, HEADER + 32, b"bare")
    os.close(fd)


@pytest.mark.usefixtures("netns")
def test_offload_does_not_outlive_the_pump_that_had_it() -> None:
    require_program("ethtool")
    ip("tuntap", "add", "dev0", "mode", "tun")
    os.close(native.tun_open("dev0", PortKind.TUN, offload=True))
    os.close(native.tun_open("dev0", PortKind.TUN))
    assert "tcp-segmentation-offload: off" in features()
    assert "tx-udp-segmentation: off" in features()


# ---- queues ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize("offload", [False, True])
def test_a_device_with_queues_may_be_opened_several_times(offload: bool) -> None:
    fds = [native.tun_open("dev0", PortKind.TUN, offload=offload, queues=True) for _ in range(3)]
    configure_here("dev0", "10.0.0.1", 24)
    for number in range(64):  # many flows: each queue gets some
        send_from_here(bytes([number]))
    for fd in fds:
        os.set_blocking(fd, False)
        assert os.read(fd, 2048)
        os.close(fd)


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize(("made", "asked"), [("multi_queue", False), (None, True)])
def test_a_device_that_has_queues_or_not_stays_so(made: str | None, asked: bool) -> None:
    ip("tuntap", "add", "dev0", "mode", "tun", *([made] if made else []))
    with pytest.raises(OSError, match="dev0") as raised:
        native.tun_open("dev0", PortKind.TUN, queues=asked)
    assert raised.value.errno == errno.EMEDIUMTYPE


def a_macvtap(netns: int) -> int:
    """A macvtap called dev0 in the namespace, opened: what a test of two of them begins with."""
    with inside(netns):
        ip("link", "add", "lower", "type", "veth", "peer", "name", "other")
        ip("link", "set", "lower", "up")
        ip("link", "set", "other", "up")
        command = [
            "ip",
            "link",
            "add",
            "link",
            "lower",
            "name",
            "dev0",
            "type",
            "macvtap",
            "mode",
            "bridge",
        ]
        if subprocess.run(command, check=False).returncode:
            pytest.skip("this kernel has no macvtap devices")
        ip("link", "set", "dev0", "up")
        return native.tun_open("dev0", PortKind.TAP)


def sent(netns: int) -> int:
    """How many packets dev0 has sent."""
    with inside(netns):
        lines = Path("/proc/thread-self/net/dev").read_text().splitlines()
    return next(int(line.split()[10]) for line in lines if line.split()[0] == "dev0:")


def test_a_macvtap_is_opened_as_a_tap_and_only_in_its_own_namespace() -> None:
    """Two of one name and number: what is written to one, the other does not send."""
    require_tun()
    with namespace() as one, namespace() as other:
        fds = [a_macvtap(one), a_macvtap(other)]
        before = sent(one), sent(other)
        assert os.write(fds[0], b"\xff" * 6 + b"\x02" * 6 + b"\x88\xb5" + bytes(50)) == 64
        assert (sent(one), sent(other)) == (before[0] + 1, before[1])
        for fd in fds:
            assert not os.get_inheritable(fd)
            os.close(fd)


@pytest.mark.usefixtures("netns")
def test_a_device_that_is_no_tap_is_not_taken_for_a_macvtap() -> None:
    ip("link", "add", "dev0", "type", "veth", "peer", "name", "dev1")
    with pytest.raises(OSError, match="dev0") as raised:
        native.tun_open("dev0", PortKind.TAP)
    assert raised.value.errno == errno.EMEDIUMTYPE
