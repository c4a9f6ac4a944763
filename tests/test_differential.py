"""split.c against the kernel: the same super-packet, cut by both, byte for byte.

The kernel is made to cut by routing super-packets from a tun with offload to a tun without. It
spends a hop, so what split.c cuts is the super-packet with one hop less.
"""

import ctypes
import os
import random
import select
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from capabilities import require, require_program, require_tun
from live import inside_run

from bench.native import PortKind, tun_open
from bench.topology.namespaces import inside, namespace

CSRC = Path(__file__).parent.parent / "csrc"

# linux/virtio_net.h
NEEDS_CSUM = 1
GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, GSO_ECN = 0, 1, 4, 5, 0x80

FIN, PSH, ACK, URG, ECE, CWR = 0x01, 0x08, 0x10, 0x20, 0x40, 0x80
HOP_BY_HOP, TCP, UDP, ROUTING, DESTINATION = 0, 6, 17, 43, 60
PATIENCE = 1.0

SOURCE = {4: ip_address("10.1.0.7").packed, 6: ip_address("fd01::7").packed}
TARGET = {4: ip_address("10.2.0.7").packed, 6: ip_address("fd02::7").packed}
FINAL = ip_address("fd03::9").packed
TIMESTAMPS = bytes.fromhex("0101080a0102030405060708")


def word_sum(data: bytes) -> int:
    """The Internet checksum's sum, by its definition."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@dataclass(frozen=True)
class Super:
    """A super-packet, field by field."""

    version: int
    protocol: int
    size: int
    mss: int
    flags: int = ACK
    tos: int = 2
    dont_fragment: bool = True
    identification: int = 0xFFFE
    sequence: int = 0xFFFFFF00
    options: bytes = TIMESTAMPS
    ip_options: bytes = b""
    extension: bytes = b""
    extension_protocol: int = HOP_BY_HOP
    final: bytes | None = None
    filler: int = 0
    content: bytes | None = None

    def packet(self, ttl: int) -> bytes:
        """The packet with the sum of the pseudo-header in its checksum field."""
        data = self.content or random.Random(self.filler).randbytes(self.size)
        if self.protocol == UDP:
            head = struct.pack("!HHHH", 5201, 40000, 8 + self.size, 0)
            field = 6
        else:
            words = (5 + len(self.options) // 4) << 12 | self.flags
            head = struct.pack("!HHIIHHHH", 5201, 40000, self.sequence, 77, words, 501, 0, 9)
            head, field = head + self.options, 16
        segment = head + data
        target = self.final or TARGET[self.version]
        pseudo = SOURCE[self.version] + target + struct.pack("!II", len(segment), self.protocol)
        check = struct.pack("!H", word_sum(pseudo))
        return self.ip_header(ttl, len(segment)) + segment[:field] + check + segment[field + 2 :]

    def ip_header(self, ttl: int, size: int) -> bytes:
        """The header in front of `size` bytes, with its checksum."""
        if self.version == 6:
            following = self.extension_protocol if self.extension else self.protocol
            length = len(self.extension) + size
            first = struct.pack("!IHBB", 6 << 28 | self.tos << 20 | 0x1234D, length, following, ttl)
            return first + SOURCE[6] + TARGET[6] + self.extension
        header = 20 + len(self.ip_options)
        first = struct.pack(
            "!BBHHHBB",
            0x40 | header // 4,
            self.tos,
            header + size,
            self.identification,
            0x4000 * self.dont_fragment,
            ttl,
            self.protocol,
        )
        rest = SOURCE[4] + TARGET[4] + self.ip_options
        check = ~word_sum(first + b"\0\0" + rest) & 0xFFFF
        return first + struct.pack("!H", check) + rest

    def virtio(self) -> bytes:
        """The virtio header that goes with it."""
        transport = len(self.ip_header(1, 0))
        if self.protocol == UDP:
            kind, field, header = GSO_UDP_L4, 6, 8
        else:
            kind = GSO_TCPV4 if self.version == 4 else GSO_TCPV6
            kind |= GSO_ECN if self.flags & CWR else 0
            field, header = 16, 20 + len(self.options)
        values = (NEEDS_CSUM, kind, transport + header, self.mss, transport, field)
        return struct.pack("=BBHHHH", *values)

    @property
    def segments(self) -> int:
        return -(-self.size // self.mss)


# ---- ours ---------------------------------------------------------------------------------------


class Packet(ctypes.Structure):
    """struct packet."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_uint32),
        ("offload", ctypes.c_uint8 * 10),
    )


class Split(ctypes.Structure):
    """struct split: what is for callers, and room for the rest."""

    _fields_ = (
        ("count", ctypes.c_uint),
        ("header_size", ctypes.c_uint16),
        ("rest", ctypes.c_uint64 * 16),
    )


class Piece(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """split.c and what it needs, by themselves."""
    require_program("cc")
    path = tmp_path_factory.mktemp("split") / "split.so"
    command = ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", f"-I{CSRC}"]
    subprocess.run([*command, CSRC / "split.c", CSRC / "checksum.c", "-o", path], check=True)
    return ctypes.CDLL(str(path))


def cut_here(library: ctypes.CDLL, packet: bytes, virtio: bytes) -> list[bytes]:
    """What split.c makes of it."""
    data = ctypes.create_string_buffer(packet, len(packet))
    offload = (ctypes.c_uint8 * 10).from_buffer_copy(virtio)
    packet_struct = Packet(ctypes.addressof(data), len(packet), offload)
    split, piece, segments = Split(), Piece(), []
    assert library.split_begin(ctypes.byref(split), ctypes.byref(packet_struct)) == 0
    header = ctypes.create_string_buffer(split.header_size)
    for index in range(split.count):
        library.split_segment(ctypes.byref(split), index, header, ctypes.byref(piece))
        segments.append(header.raw + ctypes.string_at(piece.base, piece.size))
    return segments


# ---- the kernel's -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kernel:
    """A router between a tun with offload and a tun without."""

    entrance: int
    exit: int

    def cut(self, packet: bytes, virtio: bytes, count: int) -> list[bytes]:
        """The next `count` packets that come out once `packet` went in, and any behind them.

        They come out before the write returns, or soon after where a kernel thread takes them.
        """
        os.write(self.entrance, virtio + packet)
        segments: list[bytes] = []
        while select.select([self.exit], [], [], PATIENCE if len(segments) < count else 0)[0]:
            segment = os.read(self.exit, 65536)
            at = (12, 16) if segment[0] >> 4 == 4 else (8, 24)
            if segment[slice(*at)] == SOURCE[segment[0] >> 4]:
                segments.append(segment)
        return segments


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """The router, in a namespace of its own."""
    require_tun()
    require_program("ip")
    with namespace() as netns:
        with inside(netns):
            entrance = tun_open("in", PortKind.TUN, offload=True)
            exit_ = tun_open("out", PortKind.TUN)
            for sysctl in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                Path("/proc/sys/net", sysctl).write_text("1")
        for number, device in ((1, "in"), (2, "out")):
            for words in (
                f"link set {device} mtu 9000 up",
                f"address add 10.{number}.0.1/16 dev {device}",
                f"address add fd0{number}::1/16 dev {device} nodad",
            ):
                inside_run(netns, "ip", *words.split())
        try:
            yield Kernel(entrance, exit_)
        finally:
            os.close(entrance)
            os.close(exit_)


def compare(library: ctypes.CDLL, kernel: Kernel, given: Super) -> None:
    theirs = kernel.cut(given.packet(64), given.virtio(), given.segments)
    ours = cut_here(library, given.packet(63), given.virtio())
    assert [segment.hex() for segment in ours] == [segment.hex() for segment in theirs]
    assert len(ours) == given.segments


KINDS = [(4, TCP), (6, TCP), (4, UDP), (6, UDP)]
NAMES = ["tcp4", "tcp6", "udp4", "udp6"]


@pytest.fixture(params=KINDS, ids=NAMES)
def plain(request: pytest.FixtureRequest, kernel: Kernel) -> Super:
    """Three segments, the last one short, of a kind that this kernel takes."""
    version, protocol = request.param
    given = Super(version, protocol, size=250, mss=100)
    try:
        kernel.cut(given.packet(64), given.virtio(), given.segments)
    except OSError as error:
        require(False, f"this kernel takes no such super-packets from a tun: {error}")
    return given


@pytest.mark.parametrize(
    ("size", "mss"),
    [(300, 100), (301, 100), (299, 100), (101, 100), (50, 100), (1, 100), (57, 19), (14480, 1448)],
)
def test_lengths(library: ctypes.CDLL, kernel: Kernel, plain: Super, size: int, mss: int) -> None:
    """The last segment as long as the others, one byte longer or shorter, one segment, odd."""
    compare(library, kernel, replace(plain, size=size, mss=mss))


def test_one_full_segment(library: ctypes.CDLL, kernel: Kernel, plain: Super) -> None:
    """It is no reason to cut. Kernels (6.18) drop it where it is TCP; none changes it."""
    given = replace(plain, size=100)
    theirs = kernel.cut(given.packet(64), given.virtio(), 1)
    assert theirs in ([], cut_here(library, given.packet(63), given.virtio()))


def test_the_longest(library: ctypes.CDLL, kernel: Kernel, plain: Super) -> None:
    """45 segments of what a 1500-byte MTU leaves: nearly 64 KiB."""
    compare(library, kernel, replace(plain, size=45 * 1428, mss=1428))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    "flags",
    [PSH, FIN, PSH | FIN, ECE, URG, CWR, CWR | ECE | PSH],
    ids=["psh", "fin", "psh_fin", "ece", "urg", "cwr", "cwr_ece_psh"],
)
def test_tcp_flags(library: ctypes.CDLL, kernel: Kernel, version: int, flags: int) -> None:
    """FIN and PSH end up on the last segment, CWR on the first, others on all."""
    compare(library, kernel, Super(version, TCP, size=250, mss=100, flags=ACK | flags))
    compare(library, kernel, Super(version, TCP, size=50, mss=100, flags=ACK | flags))


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_ipv4_options(library: ctypes.CDLL, kernel: Kernel, protocol: int) -> None:
    """Options and the don't-fragment bit are copied; the id counts up and wraps."""
    given = Super(4, protocol, size=250, mss=100, ip_options=bytes([1, 1, 1, 0]))
    compare(library, kernel, given)
    compare(library, kernel, replace(given, dont_fragment=False, ip_options=b""))


@pytest.mark.parametrize("options", [0, 1, 3, 10])
def test_tcp_options(library: ctypes.CDLL, kernel: Kernel, options: int) -> None:
    """No options, and as many as fit."""
    padding = bytes([1, 1, 1, 1]) * options
    compare(library, kernel, Super(4, TCP, size=250, mss=100, options=padding))
    compare(library, kernel, Super(6, TCP, size=250, mss=100, options=padding))


@pytest.mark.parametrize("protocol", [TCP, UDP])
@pytest.mark.parametrize("first", [HOP_BY_HOP, DESTINATION])
def test_padding_headers(library: ctypes.CDLL, kernel: Kernel, protocol: int, first: int) -> None:
    """Hop-by-hop and destination options that do nothing are copied."""
    header = bytes([protocol, 0, 1, 4, 0, 0, 0, 0])
    given = Super(6, protocol, size=250, mss=100, extension=header, extension_protocol=first)
    compare(library, kernel, given)


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_routing_header(library: ctypes.CDLL, kernel: Kernel, protocol: int) -> None:
    """Behind one, the checksum covers the final destination, not the one in the IP header."""
    header = bytes([protocol, 2, 4, 1, 0, 0, 0, 0]) + FINAL
    given = Super(6, protocol, size=250, mss=100, extension=header, extension_protocol=ROUTING)
    compare(library, kernel, replace(given, final=FINAL))


@pytest.mark.parametrize("version", [4, 6])
def test_zero_checksum(library: ctypes.CDLL, kernel: Kernel, version: int) -> None:
    """A UDP checksum that comes out as zero is sent as 0xffff."""
    given = Super(version, UDP, size=6, mss=2, content=bytes(6))
    missing = cut_here(library, given.packet(63), given.virtio())[0][-4:-2]
    given = replace(given, content=missing + bytes(4))
    assert cut_here(library, given.packet(63), given.virtio())[0][-4:-2] == b"\xff\xff"
    compare(library, kernel, given)


def test_anything(library: ctypes.CDLL, kernel: Kernel, plain: Super) -> None:
    """Random lengths, flags, ids, sequence numbers and payloads."""
    dice = random.Random(repr(plain))
    for filler in range(60):
        mss = dice.randint(1, 3000)
        given = replace(
            plain,
            mss=mss,
            size=min(dice.randint(1, 60) * mss + dice.randint(1, 2), 60000),
            flags=ACK | dice.choice([0, FIN, PSH, CWR, ECE]),
            tos=dice.randint(0, 255),
            identification=dice.randint(0, 65535),
            sequence=dice.randint(0, 2**32 - 1),
            options=dice.choice([b"", TIMESTAMPS]),
            dont_fragment=dice.choice([False, True]),
            filler=filler,
        )
        compare(library, kernel, given)
