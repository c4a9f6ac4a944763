"""split.c against the kernel: the same super-packet, cut by both, byte for byte."""

import ctypes
import random
from dataclasses import replace

import pytest
from segmentation import (
    ACK,
    CWR,
    DESTINATION,
    ECE,
    FIN,
    FINAL,
    HOP_BY_HOP,
    PSH,
    ROUTING,
    TCP,
    TIMESTAMPS,
    UDP,
    URG,
    Kernel,
    Super,
    cut_here,
    like,
)


def compare(library: ctypes.CDLL, kernel: Kernel, given: Super) -> None:
    theirs = kernel.cut(given.packet(64), given.virtio(), given.segments)
    ours = cut_here(library, given.packet(63), given.virtio())
    assert [segment.hex() for segment in ours] == [segment.hex() for segment in theirs]
    assert len(ours) == given.segments


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
        given = like(plain, dice, filler, least=1, flags=(0, FIN, PSH, CWR, ECE))
        compare(library, kernel, replace(given, options=dice.choice([b"", TIMESTAMPS])))
