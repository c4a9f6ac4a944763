"""flannel-udp with its routes from a real etcd, and traffic counted to the last datagram."""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Self

from capabilities import require
from live import inside_run

from bench.etcd import server
from bench.etcd.client import Client
from bench.etcd.leases import key_of
from bench.forwarders import Running, forwarding
from bench.scenario import find, variants
from bench.scenario.control import HOST
from bench.scenario.model import Scenario
from bench.topology import Topology, build, inside

MORE = IPv4Network("10.244.3.0/24")
"""A subnet that nobody has leased at first; host-b has it behind its bridge."""
INSIDE, KEY = "10.244.3.1", key_of(MORE)
THERE, ELSEWHERE = "192.0.2.2", "192.0.2.3"
"""Addresses of host-b: its pump listens on the first."""
PORT = 8285
AT_ONCE = 1.0
"""Seconds within which a lease takes effect."""
_STEP = 0.01
_PACE = 0.002
_IP_RECVERR = 11  # the socket module has it only from Python 3.14 on


def scenario() -> Scenario:
    """flannel-udp[routes=etcd], where etcd is installed."""
    require(server.missing() is None, str(server.missing()))
    [variant] = variants(find(["flannel-udp"]), ["routes=etcd"])
    return variant.scenario


@dataclass(frozen=True)
class World:
    """The scenario, up and forwarding, and a client of its etcd."""

    topology: Topology
    etcd: Client
    running: list[Running]

    def socket(self, host: str, address: str, port: int = 0) -> socket.socket:
        with inside(self.topology.netns(host)):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address, port))
        sock.settimeout(5)
        return sock

    def said(self) -> list[str]:
        """The lines that the pump of host-a has printed."""
        return self.running[0].child.output().splitlines()

    def says(self, lines: int) -> bool:
        """Whether it has printed so many lines within AT_ONCE."""
        return comes_true(lambda: len(self.said()) >= lines)

    def arrives(self, host: str = "host-b", address: str = INSIDE, port: int = 7) -> bool:
        """Whether a datagram to INSIDE comes to `address`:`port` of `host` within AT_ONCE.

        Where that is not INSIDE itself, it comes as a pump sends it: an IP packet.
        """
        with self.socket("ctr-a", "10.244.1.2") as sender, self.socket(host, address, port) as sink:
            sink.settimeout(_STEP)
            deadline = time.monotonic() + AT_ONCE
            while time.monotonic() < deadline:
                try:
                    sender.sendto(b"are you there?", (INSIDE, 7))
                    if sink.recv(2048).endswith(b"are you there?"):
                        return True
                except OSError:  # not yet, or not any more
                    pass
        return False

    def is_unreachable(self) -> bool:
        """Whether who sends to INSIDE is told, within AT_ONCE, that no route leads there."""
        with self.socket("ctr-a", "10.244.1.2") as sender:
            sender.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            deadline = time.monotonic() + AT_ONCE
            sender.settimeout(_STEP)
            while time.monotonic() < deadline:
                try:
                    sender.sendto(b"are you there?", (INSIDE, 7))
                    sender.recv(2048)
                except TimeoutError:
                    pass
                except OSError:
                    _, [(_, _, error)], _, _ = sender.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
                    # struct sock_extended_err: origin, type, code
                    return error[4:7] == bytes([2, 3, 0])
        return False


@contextmanager
def world() -> Iterator[World]:
    """flannel-udp[routes=etcd]; host-b has INSIDE and ELSEWHERE besides."""
    with build(scenario()) as topology, forwarding(topology) as running:
        host = topology.netns("host-b")
        inside_run(host, "ip", "address", "add", f"{INSIDE}/24", "dev", "docker0")
        inside_run(host, "ip", "address", "add", f"{ELSEWHERE}/24", "dev", "eth0")
        yield World(topology, server.client_of(topology), running)


class Steady:
    """Numbered datagrams from ctr-a to ctr-b, a subnet whose lease stays, all the while."""

    def __init__(self, world: World) -> None:
        self._sender = world.socket("ctr-a", "10.244.1.2")
        self._sink = world.socket("ctr-b", "10.244.2.2", 9)
        self._sink.settimeout(_STEP)
        self._last, self._over = threading.Event(), threading.Event()
        self._sending = threading.Thread(target=self._send)
        self._receiving = threading.Thread(target=self._receive)
        self._received = set[int]()
        self.sent, self.lost = 0, set[int]()

    def __enter__(self) -> Self:
        self._receiving.start()
        self._sending.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._last.set()
        self._sending.join()
        comes_true(lambda: len(self._received) == self.sent, 5)
        self._over.set()
        self._receiving.join()
        self.lost = set(range(self.sent)) - self._received
        self._sender.close()
        self._sink.close()

    def _send(self) -> None:
        while not self._last.is_set():
            self._sender.sendto(struct.pack("!I", self.sent), ("10.244.2.2", 9))
            self.sent += 1
            time.sleep(_PACE)

    def _receive(self) -> None:
        """All the while: the sink's buffer holds no more than some seconds of it."""
        while not self._over.is_set():
            with suppress(TimeoutError):
                self._received.add(struct.unpack("!I", self._sink.recv(4))[0])


def etcd_processes(topology: Topology) -> list[int]:
    """The etcd processes in the namespace of etcd's host."""
    mine, found = os.fstat(topology.netns(HOST)).st_ino, []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text() == "etcd\n":
                found += [int(entry.name)] * ((entry / "ns/net").stat().st_ino == mine)
        except OSError:  # it is gone
            pass
    return found


def comes_true(condition: Callable[[], bool], seconds: float = AT_ONCE) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_STEP)
    return True
