"""Does a path deliver what was sent? Pseudo-random data through it, every byte of it checked.

Paths with segmentation offload do break, in kernels as in programs: a last segment that is as long
as the others, one that is shorter, one that is alone, an odd length at the end of a checksum, a
full MTU. So each of these is a case of its own, and what goes wrong is reported by the case.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from bench import integrity_tcp, integrity_udp, ports
from bench.errors import CannotMeasure
from bench.integrity_tcp import TcpResult
from bench.integrity_udp import UdpResult
from bench.probes.base import Path
from bench.probes.flow import Direction, forth

_IP_MTU, _IPV6_MTU = 14, 24  # linux/in.h, linux/in6.h


@dataclass(frozen=True)
class IntegrityReport:
    """What became of the data.

    seed: with which the same data can be sent again. mtu: of the path, in bytes.
    """

    seed: int
    mtu: int
    udp: tuple[UdpResult, ...]
    tcp: tuple[TcpResult, ...]

    @property
    def sent(self) -> int:
        """Datagrams sent."""
        return sum(result.sent.packets for result in self.udp)

    @property
    def lost(self) -> int:
        """Datagrams that did not arrive whole."""
        return sum(result.lost for result in self.udp)

    @property
    def duplicates(self) -> int:
        """Datagrams that arrived again."""
        return sum(result.duplicates for result in self.udp)

    @property
    def reordered(self) -> int:
        """Datagrams that arrived behind one that was sent later."""
        return sum(result.received.reordered for result in self.udp)

    @property
    def corrupt(self) -> int:
        """Datagrams that arrived and were not what was sent."""
        return sum(result.received.corrupt for result in self.udp)

    @property
    def corrupt_bytes(self) -> int:
        """Bytes of TCP streams that were not what was sent."""
        return sum(result.wrong for result in self.tcp)

    def problems(self) -> list[str]:
        """What is wrong, a line each; none if the path is sound."""
        results: list[UdpResult | TcpResult] = [*self.udp, *self.tcp]
        return [line for result in results for line in result.problems()]

    def skipped(self) -> list[str]:
        """What could not be tried here, and why, a line each."""
        return [line for result in self.udp for line in result.skipped()]


def check(
    path: Path,
    *,
    datagrams: int = 256,
    rate: float = 20000.0,
    gro: Sequence[bool] = (False, True),
    streams: int = 4,
    stream_bytes: int = 4 << 20,
    seed: int | None = None,
) -> IntegrityReport:
    """Send pseudo-random data through `path`, both ways, and check all that arrives.

    datagrams: of each UDP case; 0: no UDP. rate: of datagrams a second; at a modest one none should
        be lost. gro: whether the receiver takes coalesced datagrams, once for each.
    streams: parallel TCP connections, each with `stream_bytes` in both directions at the same
        time; 0: no TCP.
    seed: of the data; None: a random one.
    Raises CannotMeasure where an end cannot do its part; what the path does wrong is in the report.
    """
    if path.topology.scenario.proxied:
        raise CannotMeasure("integrity is checked both ways, but a proxy lets only one in")
    if seed is None:
        seed = random.getrandbits(63)
    there, back = _directions(path)
    mtu = min(_mtu(there), _mtu(back))
    udp = [
        result
        for direction in (there, back)
        for joined in gro
        if datagrams
        for result in integrity_udp.check(direction, mtu, joined, datagrams, rate, seed)
    ]
    tcp = integrity_tcp.check(path, streams, stream_bytes, seed) if streams else []
    return IntegrityReport(seed, mtu, tuple(udp), tuple(tcp))


def _directions(path: Path) -> tuple[Direction, Direction]:
    """From client to server, and back to the address that the client talks from."""
    there = forth(path)
    with _connected(there) as sock:
        address = str(sock.getsockname()[0])
    return there, Direction(path, there.receiver, there.sender, address)


def _mtu(direction: Direction) -> int:
    with _connected(direction) as sock:
        if sock.family == socket.AF_INET6:
            return sock.getsockopt(socket.IPPROTO_IPV6, _IPV6_MTU)
        return sock.getsockopt(socket.IPPROTO_IP, _IP_MTU)


def _connected(direction: Direction) -> socket.socket:
    """A UDP socket in the sender's namespace that is connected to the receiver's address."""
    address = direction.address
    try:
        sock = direction.open(direction.sender)
        sock.connect((address, ports.UNUSED))
    except OSError as error:
        raise CannotMeasure(f"{direction.sender}: {address}: {error.strerror}") from None
    return sock
