"""What a ping across a scenario looks like on each device of the path: one pcap file a device.

Frames are taken with packet sockets (packet(7)), which see both directions, and written in the
pcap format with nanosecond timestamps (draft-ietf-opsawg-pcap).
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import CannotMeasure, UsageError
from bench.scenario import DeviceRef, Scenario, parse_ref, server_address, trace
from bench.topology import Topology, inside

_ETH_P_ALL = 0x0003
_SO_TIMESTAMPNS = 35
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_MAGIC_NANOSECONDS = 0xA1B23C4D
_SNAPLEN = 262144
_LINKTYPE_ETHERNET, _LINKTYPE_RAW = 1, 101


@dataclass(frozen=True)
class _Echo:
    """How echo is spoken by a version of IP: RFC 792 and RFC 4443."""

    family: socket.AddressFamily
    protocol: int
    request: int
    reply: int


_ECHO = {
    4: _Echo(socket.AF_INET, socket.IPPROTO_ICMP, request=8, reply=0),
    6: _Echo(socket.AF_INET6, socket.IPPROTO_ICMPV6, request=128, reply=129),
}


@dataclass(frozen=True)
class Frame:
    """One captured frame; `time` is seconds and nanoseconds since the epoch."""

    time: tuple[int, int]
    data: bytes


@dataclass(frozen=True)
class Capture:
    """What one device saw, in order of arrival."""

    ref: DeviceRef
    linktype: int
    frames: Sequence[Frame]


def capture(topology: Topology, count: int, timeout: float) -> list[Capture]:
    """Ping `count` times from the client to the server; returns what each path device saw.

    Raises CannotMeasure when an echo reply does not come within `timeout` seconds.
    """
    scenario = topology.scenario
    if scenario.proxied:
        raise CannotMeasure("there is nothing to capture: a proxy on the way passes no pings on")
    ends = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
    with ExitStack() as stack:
        sockets = {
            hop.ref: stack.enter_context(_listen(topology, hop.ref))
            for hop in trace(scenario, *ends)
        }
        frames: dict[DeviceRef, list[Frame]] = {ref: [] for ref in sockets}
        for _ in _pings(topology, count, timeout):
            for ref, sock in sockets.items():  # before the next ones fill the sockets' buffers
                frames[ref] += _drain(sock)
        for ref, sock in sockets.items():
            if dropped := _dropped(sock):
                raise CannotMeasure(f"{ref}: {dropped} packets came too fast to be captured")
        return [Capture(ref, _linktype(scenario, ref), frames[ref]) for ref in sockets]


def write(captures: Sequence[Capture], folder: Path) -> list[Path]:
    """Write each capture to `folder`/HOST-DEVICE.pcap; returns the files. Raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for taken in captures:
            file = folder / f"{taken.ref.host}-{taken.ref.device}.pcap"
            file.write_bytes(_pcap(taken))
            files.append(file)
    except OSError as error:
        raise UsageError(f"-o {folder}: cannot be written: {error.strerror}") from None
    return files


@contextmanager
def _listen(topology: Topology, ref: DeviceRef) -> Iterator[socket.socket]:
    """A packet socket on a device, collecting what passes."""
    with inside(topology.netns(ref.host)):
        # Protocol 0 receives nothing until bind() says which device.
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            sock.bind((ref.device, _ETH_P_ALL))
        except OSError as error:
            raise CannotMeasure(f"{ref}: cannot be listened to: {error.strerror}") from None
        yield sock


def _dropped(sock: socket.socket) -> int:
    """How many packets the socket lost because nobody had read it (struct tpacket_stats)."""
    statistics = sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
    return int.from_bytes(statistics[4:], sys.byteorder)


def _drain(sock: socket.socket) -> Iterator[Frame]:
    while True:
        try:
            data, ancillary, _, _ = sock.recvmsg(_SNAPLEN, socket.CMSG_SPACE(16))
        except BlockingIOError:
            return
        stamps = [value for level, kind, value in ancillary if kind == _SO_TIMESTAMPNS]
        now = divmod(time.time_ns(), 10**9)
        yield Frame(struct.unpack("@ll", stamps[0]) if stamps else now, data)


def _linktype(scenario: Scenario, ref: DeviceRef) -> int:
    return _LINKTYPE_RAW if scenario.device(ref).ip_only else _LINKTYPE_ETHERNET


def _pcap(taken: Capture) -> bytes:
    parts = [struct.pack("=IHHiIII", _MAGIC_NANOSECONDS, 2, 4, 0, 0, _SNAPLEN, taken.linktype)]
    for frame in taken.frames:
        parts += [struct.pack("=IIII", *frame.time, len(frame.data), len(frame.data)), frame.data]
    return b"".join(parts)


def _pings(topology: Topology, count: int, timeout: float) -> Iterator[int]:
    """Send ICMP echo requests, yielding the number of each when its reply is here."""
    host = parse_ref(topology.scenario.endpoints.client).host
    target = server_address(topology.scenario)
    echo = _ECHO[target.version]
    with inside(topology.netns(host)):
        sock = socket.socket(echo.family, socket.SOCK_RAW, echo.protocol)
    with sock:
        sock.connect((str(target), 0))
        for sequence in range(1, count + 1):
            sock.send(_echo_request(echo, sequence))
            deadline = time.monotonic() + timeout
            while (remaining := deadline - time.monotonic()) > 0:
                sock.settimeout(remaining)
                try:
                    if _is_reply(echo, sock.recv(2048), sequence):
                        yield sequence
                        break
                except TimeoutError:
                    continue
            else:
                raise CannotMeasure(f"{host}: no echo reply from {target} within {timeout:g} s")


_IDENTIFIER = 0x766E  # "vn"


def _echo_request(echo: _Echo, sequence: int) -> bytes:
    payload = bytes(range(56))
    header = struct.pack("!BBHHH", echo.request, 0, 0, _IDENTIFIER, sequence)
    checksum = _checksum(header + payload)  # that of ICMPv6 is put in by the kernel
    return struct.pack("!BBHHH", echo.request, 0, checksum, _IDENTIFIER, sequence) + payload


def _is_reply(echo: _Echo, packet: bytes, sequence: int) -> bool:
    # Only a raw IPv4 socket returns the IP header as well.
    icmp = packet[(packet[0] & 0x0F) * 4 :] if echo.family == socket.AF_INET else packet
    kind, _, _, identifier, number = struct.unpack("!BBHHH", icmp[:8])
    return (kind, identifier, number) == (echo.reply, _IDENTIFIER, sequence)


def _checksum(data: bytes) -> int:
    """The Internet checksum of an even number of bytes (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
