"""Pumps on real tun and tap devices in unnamed namespaces, for the tests of the extension.

The overlay is the smallest one there is:

      left                                                     right
      10.244.1.1  flannel0 --- pump                 pump --- flannel0  10.244.2.1
                                |                     |
                            192.0.2.1  under === under  192.0.2.2

Both pumps run in threads of the test, each of which may look at every counter.
"""

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Self

from pyroute2 import IPRoute

from bench import native
from bench.native import Port, PortKind
from bench.presets import preset
from bench.topology.namespaces import inside, namespace

LEFT, RIGHT, NOWHERE = "10.244.1.1", "10.244.2.1", "10.244.3.1"
LEFT_PUMP, RIGHT_PUMP = "10.244.1.254", "10.244.2.254"
"""Where the pumps' ICMP errors come from: not the hosts' own addresses, see vnetbench.h."""
PORT = 8285
DEADLINE = 5.0


@dataclass
class RunningPump:
    """A pump in a thread; `result` is the error it ended with, if it has ended with one."""

    ports: tuple[Port, Port]
    router: native.Router | None = None
    icmp_source: IPv4Address | None = None
    settings: native.Settings = field(default_factory=lambda: preset("flannel"))
    counters: native.Counters = field(default_factory=native.Counters)
    result: OSError | None = None

    def __enter__(self) -> Self:
        self._stop = os.eventfd(0)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        os.close(self._stop)

    def stop(self) -> None:
        os.eventfd_write(self._stop, 1)
        self.wait()

    def wait(self) -> None:
        """Wait for the pump to end by itself."""
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "the pump does not end"

    def alive(self) -> bool:
        return self._thread.is_alive()

    def balanced(self) -> bool:
        """Whether everything that came in went out or was dropped for a reason."""
        counters = self.counters.read()

        def total(*ends: str) -> int:
            return sum(value for name, value in counters.items() if name.startswith(ends))

        came = total("port0.rx_packets", "port1.rx_packets", "icmp.")
        return came == total("port0.tx_packets", "port1.tx_packets", "drop.")

    def _run(self) -> None:
        try:
            native.pump_run(
                self.ports,
                self.router,
                self.counters,
                self._stop,
                settings=self.settings,
                buffer_size=1500,
                icmp_source4=self.icmp_source,
            )
        except OSError as error:
            self.result = error


@dataclass(frozen=True)
class Side:
    """One of two hosts: its namespace, its address, and the descriptor of its device."""

    netns: int
    address: str
    device: int

    def udp(self, port: int = 0) -> socket.socket:
        """A UDP socket on this side's address, with a deadline; the caller closes it."""
        with inside(self.netns):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((self.address, port))
        sock.settimeout(DEADLINE)
        return sock


@dataclass(frozen=True)
class Overlay:
    """Two sides and what joins them; one pump between two devices, or one on each side."""

    left: Side
    right: Side
    pumps: tuple[RunningPump, ...]


@contextmanager
def overlay(settings: native.Settings | None = None) -> Iterator[Overlay]:
    """The overlay of the drawing, running, with these switches."""
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(quiet_namespace()) for _ in range(2))
        with inside(ours), IPRoute() as ip:
            peer = {"ifname": "under", "net_ns_fd": theirs}
            ip.link("add", ifname="under", kind="veth", peer=peer)
        left = side(stack, ours, LEFT, 16, PortKind.TUN)
        right = side(stack, theirs, RIGHT, 16, PortKind.TUN)
        configure(ours, "under", "192.0.2.1", 24)
        configure(theirs, "under", "192.0.2.2", 24)
        pumps = (
            tunnel(stack, left, "192.0.2.1", {"10.244.2.0/24": "192.0.2.2"}, LEFT_PUMP, settings),
            tunnel(stack, right, "192.0.2.2", {"10.244.1.0/24": "192.0.2.1"}, RIGHT_PUMP, settings),
        )
        yield Overlay(left, right, pumps)


@contextmanager
def relay(kind: PortKind) -> Iterator[Overlay]:
    """Two sides joined by one pump that holds both devices."""
    with ExitStack() as stack:
        left, right = (
            side(stack, stack.enter_context(quiet_namespace()), address, 16, kind)
            for address in (LEFT, RIGHT)
        )
        ports = (Port(kind, left.device), Port(kind, right.device))
        source = IPv4Address(LEFT_PUMP) if kind is PortKind.TUN else None
        pump = stack.enter_context(RunningPump(ports, icmp_source=source))
        yield Overlay(left, right, (pump,))


@contextmanager
def quiet_namespace() -> Iterator[int]:
    """A namespace without IPv6, whose devices therefore send nothing of their own accord."""
    with namespace() as fd:
        with inside(fd):
            for devices in ("all", "default"):
                Path(f"/proc/sys/net/ipv6/conf/{devices}/disable_ipv6").write_text("1")
        yield fd


def side(stack: ExitStack, netns: int, address: str, prefix: int, kind: PortKind) -> Side:
    """Open flannel0 in `netns` and give it `address`."""
    with inside(netns):
        device = native.tun_open("flannel0", kind)
    stack.callback(os.close, device)
    configure(netns, "flannel0", address, prefix)
    return Side(netns, address, device)


def configure(netns: int, device: str, address: str, prefix: int) -> None:
    """Address the device and set it up."""
    with inside(netns):
        configure_here(device, address, prefix)


def configure_here(device: str, address: str, prefix: int) -> None:
    """The same in the namespace of the calling thread."""
    with IPRoute() as ip:
        [index] = ip.link_lookup(ifname=device)
        ip.addr("add", index=index, address=address, prefixlen=prefix)
        ip.link("set", index=index, state="up")


def set_state(netns: int, state: str) -> None:
    """Set flannel0 "up" or "down"."""
    with inside(netns), IPRoute() as ip:
        [index] = ip.link_lookup(ifname="flannel0")
        ip.link("set", index=index, state=state)


def tunnel(
    stack: ExitStack,
    end: Side,
    listen: str,
    routes: dict[str, str],
    icmp_source: str,
    settings: native.Settings | None = None,
) -> RunningPump:
    """Run a pump between the side's tun and a UDP socket on `listen`."""
    with inside(end.netns):
        sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.bind((listen, PORT))
    router = native.Router({IPv4Network(p): (IPv4Address(hop), PORT) for p, hop in routes.items()})
    ports = (Port(PortKind.TUN, end.device), Port(PortKind.UDP, sock.fileno()))
    pump = RunningPump(ports, router, IPv4Address(icmp_source), settings=settings or {})
    return stack.enter_context(pump)


def inner_packet(source: str, destination: str, port: int, payload: bytes) -> bytes:
    """A whole IPv4 packet around a UDP datagram from and to `port`."""
    size = 28 + len(payload)
    addresses = IPv4Address(source).packed + IPv4Address(destination).packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses
    total = sum(struct.unpack("!10H", head))
    check = ~(total + (total >> 16)) & 0xFFFF
    udp = struct.pack("!4H", port, port, 8 + len(payload), 0)
    return head[:10] + struct.pack("!H", check) + head[12:] + udp + payload
