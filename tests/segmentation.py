"""Segmentation twice: by split.c and coalesce.c, called from here, and by the kernel.

The kernel is made to cut by routing super-packets from a tun with offload to a tun without. It
takes one hop, so what is compared with it has one hop less. Packets are written field by field,
with sums by definition: nothing here is shared with what is tested.
"""

import ctypes
import os
import random
import select
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from live import inside_run

from bench.native import PortKind, tun_open
from bench.topology.namespaces import inside, namespace

CSRC = Path(__file__).parent.parent / "csrc"
COALESCE_IOV, ALL_KINDS = 129, 15  # coalesce.h

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
    port: int = 5201

    def payload(self) -> bytes:
        """What its segments carry."""
        return self.content or random.Random(self.filler).randbytes(self.size)

    def packet(self, ttl: int) -> bytes:
        """The packet with the sum of the pseudo-header in its checksum field."""
        data = self.payload()
        if self.protocol == UDP:
            head = struct.pack("!HHHH", self.port, 40000, 8 + self.size, 0)
            field = 6
        else:
            words = (5 + len(self.options) // 4) << 12 | self.flags
            ports = struct.pack("!HH", self.port, 40000)
            rest = struct.pack("!IIHHHH", self.sequence, 77, words, 501, 0, 9)
            head, field = ports + rest + self.options, 16
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

    def singles(self, ttl: int) -> list[bytes]:
        """The packets it stands for, written one by one as their sender would."""
        singles, payload = [], self.payload()
        for index, at in enumerate(range(0, self.size, self.mss)):
            last, content = at + self.mss >= self.size, payload[at : at + self.mss]
            single = replace(
                self,
                size=len(content),
                content=content,
                sequence=(self.sequence + at) % 2**32,
                identification=(self.identification + index) % 2**16,
                flags=self.flags & ~(0 if last else FIN | PSH) & ~(CWR if index else 0),
            )
            singles.append(single.complete(ttl))
        return singles

    def complete(self, ttl: int) -> bytes:
        """The packet with its checksum, as it is on a wire."""
        packet, start = self.packet(ttl), len(self.ip_header(ttl, 0))
        field = start + (6 if self.protocol == UDP else 16)
        check = ~word_sum(packet[start:]) & 0xFFFF
        if self.protocol == UDP and check == 0:
            check = 0xFFFF
        return packet[:field] + struct.pack("!H", check) + packet[field + 2 :]


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


class Coalesced(ctypes.Structure):
    """struct coalesced."""

    _fields_ = (
        ("offload", ctypes.c_uint8 * 10),
        ("packets", ctypes.c_uint),
        ("iov_count", ctypes.c_uint),
        ("size", ctypes.c_size_t),
    )


def like(
    plain: Super, dice: random.Random, filler: int, *, least: int, flags: Sequence[int]
) -> Super:
    """`plain` with random lengths (of segments, `least` or more), ids, flags and payload."""
    mss = dice.randint(least, 3000)
    return replace(
        plain,
        mss=mss,
        size=min(dice.randint(1, 60) * mss + dice.randint(1, 2), 60000),
        flags=ACK | dice.choice(flags),
        tos=dice.randint(0, 255),
        identification=dice.randint(0, 65535),
        sequence=dice.randint(0, 2**32 - 1),
        dont_fragment=dice.choice([False, True]),
        filler=filler,
    )


def build_library() -> ctypes.CDLL:
    """split.c and coalesce.c, and what they need, by themselves."""
    command = ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", f"-I{CSRC}"]
    sources = [CSRC / f"{name}.c" for name in ("split", "coalesce", "parsed", "checksum")]
    with TemporaryDirectory() as scratch:
        path = Path(scratch, "segmentation.so")
        subprocess.run([*command, *sources, "-o", path], check=True)
        library = ctypes.CDLL(str(path))
    library.coalesce_new.restype = ctypes.c_void_p
    library.coalesce_add.restype = library.coalesce_next.restype = ctypes.c_bool
    library.coalesce_add.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    library.coalesce_next.argtypes = [ctypes.c_void_p] * 3
    library.coalesce_free.argtypes = [ctypes.c_void_p]
    return library


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


@dataclass(frozen=True)
class Item:
    """What coalesce.c hands to a device: a packet or super-packet and its virtio header."""

    virtio: bytes
    packet: bytes
    packets: int


def join_here(library: ctypes.CDLL, packets: Sequence[bytes]) -> list[Item]:
    """What coalesce.c makes of them, all kinds being joined."""
    coalescer = library.coalesce_new(ALL_KINDS)
    assert coalescer
    buffers = [ctypes.create_string_buffer(packet, len(packet)) for packet in packets]
    for buffer in buffers:
        assert library.coalesce_add(coalescer, ctypes.addressof(buffer), len(buffer))
    item, pieces, items = Coalesced(), (Piece * COALESCE_IOV)(), []
    while library.coalesce_next(coalescer, ctypes.byref(item), pieces):
        parts = [ctypes.string_at(p.base, p.size) for p in pieces[: item.iov_count]]
        items.append(Item(bytes(item.offload), b"".join(parts), item.packets))
    library.coalesce_free(coalescer)
    return items


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


@contextmanager
def router() -> Iterator[Kernel]:
    """The router, in a namespace of its own."""
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
