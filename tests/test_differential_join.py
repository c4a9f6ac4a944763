"""coalesce.c against the kernel: what the one joins, the other cuts to the same packets again."""

import ctypes
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from segmentation import ACK, ECE, FIN, PSH, TCP, UDP, Kernel, Super, join_here, like

IDENTIFICATION, IP_CHECKSUM = slice(4, 6), slice(10, 12)


def carry(library: ctypes.CDLL, kernel: Kernel, packets: Sequence[bytes]) -> list[bytes]:
    """What comes out of the kernel when the packets go in joined."""
    return [
        packet
        for item in join_here(library, packets)
        for packet in kernel.cut(item.packet, item.virtio, item.packets)
    ]


def joined(library: ctypes.CDLL, packets: Sequence[bytes]) -> list[int]:
    """How many packets each item stands for."""
    return [item.packets for item in join_here(library, packets)]


def in_hex(packets: Sequence[bytes]) -> list[str]:
    return [packet.hex() for packet in packets]


def compare(library: ctypes.CDLL, kernel: Kernel, given: Super) -> None:
    """All of the flow is joined to one super-packet, and the kernel cuts it to the same packets."""
    singles = given.singles(64)
    assert joined(library, singles) == [given.segments]
    assert in_hex(carry(library, kernel, singles)) == in_hex(given.singles(63))


@pytest.mark.parametrize(
    ("size", "mss"), [(300, 100), (301, 100), (299, 100), (57, 19), (14480, 1448), (63712, 1448)]
)
def test_lengths(library: ctypes.CDLL, kernel: Kernel, plain: Super, size: int, mss: int) -> None:
    """The last packet as long as the others, one byte, one byte short; odd; nearly 64 KiB."""
    compare(library, kernel, replace(plain, size=size, mss=mss))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("flags", [PSH, FIN, PSH | FIN, ECE], ids=["psh", "fin", "psh_fin", "ece"])
def test_tcp_flags(library: ctypes.CDLL, kernel: Kernel, version: int, flags: int) -> None:
    """FIN and PSH of the last packet, and ECE of all, are there again."""
    compare(library, kernel, Super(version, TCP, size=250, mss=100, flags=ACK | flags))


@pytest.mark.parametrize("tos", [0, 1, 3, 0xFF])
def test_ecn(library: ctypes.CDLL, kernel: Kernel, plain: Super, tos: int) -> None:
    """Marks, and the rest of the traffic class, are there again."""
    compare(library, kernel, replace(plain, tos=tos))


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_ids_that_mean_something(library: ctypes.CDLL, kernel: Kernel, protocol: int) -> None:
    """Without don't-fragment an id is there again, also where it wraps or one is left out."""
    given = Super(4, protocol, 100, 100, dont_fragment=False)
    compare(library, kernel, replace(given, size=450))
    parts = [replace(given, identification=5 + i + i // 2, sequence=i * 100) for i in range(4)]
    singles = [part.complete(64) for part in parts]
    assert joined(library, singles) == [2, 2]
    expected = [part.complete(63) for part in parts]
    assert in_hex(carry(library, kernel, singles)) == in_hex(expected)


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_ids_without_meaning(library: ctypes.CDLL, kernel: Kernel, protocol: int) -> None:
    """With don't-fragment an id may change (RFC 6864), and nothing else does."""

    def without_id(packet: bytes) -> bytes:
        blank = bytearray(packet)
        blank[IDENTIFICATION] = blank[IP_CHECKSUM] = bytes(2)
        return bytes(blank)

    parts = [Super(4, protocol, 100, 100, identification=0, sequence=at) for at in (0, 100, 200)]
    singles = [part.complete(64) for part in parts]
    assert joined(library, singles) == [3]
    theirs = [without_id(packet) for packet in carry(library, kernel, singles)]
    assert in_hex(theirs) == in_hex([without_id(part.complete(63)) for part in parts])


def test_interleaved_flows(library: ctypes.CDLL, kernel: Kernel, plain: Super) -> None:
    """Each is joined with itself, and is itself again."""
    flows = [replace(plain, size=900, port=5201 + i, filler=i) for i in range(3)]
    singles = zip(*(flow.singles(64) for flow in flows), strict=True)
    interleaved = [packet for together in singles for packet in together]
    assert joined(library, interleaved) == [9, 9, 9]
    expected = [packet for flow in flows for packet in flow.singles(63)]
    assert in_hex(carry(library, kernel, interleaved)) == in_hex(expected)


def test_corrupt_packets(library: ctypes.CDLL, kernel: Kernel, plain: Super) -> None:
    """One whose payload broke on the way arrives as broken as it was, in its place."""
    given = replace(plain, size=700)

    def broken(packets: list[bytes]) -> list[bytes]:
        return [*packets[:3], packets[3][:-1] + bytes([packets[3][-1] ^ 1]), *packets[4:]]

    singles = broken(given.singles(64))
    assert joined(library, singles) == [3, 1, 3]
    assert in_hex(carry(library, kernel, singles)) == in_hex(broken(given.singles(63)))


def test_anything(library: ctypes.CDLL, kernel: Kernel, plain: Super) -> None:
    """Random lengths, flags, ids, sequence numbers and payloads."""
    dice = random.Random(repr(plain))
    for filler in range(40):
        given = like(plain, dice, filler, least=2, flags=(0, FIN, PSH, ECE))
        compare(library, kernel, given)
