"""The loads that a ledger is taken under: one entry of `LOADS` each."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from bench import native, ports
from bench.errors import CannotMeasure
from bench.ledger.calls import DATA_CALLS
from bench.ledger.model import Load
from bench.ledger.subject import SOCKET_CALLS, Process
from bench.native import traffic
from bench.native.traffic import Received, Sent, Sink, Stream, Tally
from bench.pingpong import ROUND_TIMEOUT, calibrated, connect
from bench.probes import tcp_goodput
from bench.probes.base import Path, client, wait_for_listener
from bench.probes.echo import quiet_cpu, responder
from bench.probes.flow import Order, flowing, forth, settle
from bench.process import Child, Send

_BUFFER = 4 << 20
_START_TIMEOUT = 5.0
_MARGIN = 10.0
_QUIET = 0.03
"""Seconds without a packet on any device after which a path is quiet."""


@dataclass(frozen=True)
class Delivered:
    """What a load sent and what arrived of it.

    segment: bytes of payload of a packet. sent and received: of the load "udp".
    times: seconds that a packet took, in several measurements of equal length.
    """

    packets: float
    bytes: int
    segment: int
    sent: Sent | None = None
    received: Received | None = None
    times: tuple[float, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A load that waits for the word: its processes are there and do nothing yet.

    run: gives the word; returns when all has arrived.
    """

    processes: Sequence[Process]
    run: Callable[[], Delivered]


@contextmanager
def prepared(path: Path, load: Load) -> Iterator[Prepared]:
    """Prepare `load` on `path`; on leaving, its processes are ended. Raises CannotMeasure."""
    with LOADS[load.kind](path, load) as ready:
        yield ready


def wait_until_quiet(path: Path) -> None:
    """Wait until no device counts any more, or a while has passed: the counts then tell."""
    topology, deadline = path.topology, time.monotonic() + 2

    def counts() -> list[object]:
        return [topology.traffic(host) for host in topology.scenario.hosts]

    before = counts()
    while time.monotonic() < deadline:
        time.sleep(_QUIET)
        now = counts()
        if now == before:
            return
        before = now


# ---- datagrams ----------------------------------------------------------------------------------


@contextmanager
def _udp(path: Path, load: Load) -> Iterator[Prepared]:
    """Datagrams at a rate, one system call each at both ends.

    The generator sleeps in between, so that what the machine spends is spent on datagrams.
    """
    seed, stream_id = random.getrandbits(63), random.getrandbits(32)
    sent, received = Tally(Sent), Tally(Received)
    here, there = path.client.host, path.server.host

    def receive(fd: int, stop: int, _: Order) -> None:
        traffic.sink(fd, Sink(seed, stream_id, load.size, _BUFFER, batch=1), received, stop)

    def send(fd: int, stop: int, _: Order) -> None:
        stream = Stream(
            seed,
            stream_id,
            load.size,
            batch=load.batch,
            count=load.packets,
            rate=load.rate,
            sleeps=True,
        )
        traffic.send(fd, stream, sent, stop)

    with flowing(forth(path), send, receive) as flow:
        flow.begin()

        def run() -> Delivered:
            flow.send(load.packets / (load.rate or 1e4))
            settle(sent, received)
            count = received.read().unique
            if count == 0:
                raise CannotMeasure(f"{there}: nothing of the load arrived")
            return Delivered(count, count * load.size, load.size, sent.read(), received.read())

        processes = [
            Process("generator", here, flow.sender.child.pid, SOCKET_CALLS, paces=True),
            Process("sink", there, flow.receiver.child.pid, SOCKET_CALLS),
        ]
        yield Prepared(processes, run)


# ---- a saturating TCP stream --------------------------------------------------------------------


@contextmanager
def _tcp(path: Path, load: Load) -> Iterator[Prepared]:
    """One stream as the goodput probe makes it, from its first packet to its last."""
    test = tcp_goodput.TcpTest(0, round(load.seconds), 1, path.topology.scenario.congestion_control)
    tool = tcp_goodput.chosen()
    waiting, go = os.pipe()
    with (
        os.fdopen(waiting, "rb"),
        os.fdopen(go, "wb", buffering=0) as word,
        tool.serve(path) as serving,
        tool.sending(path, test, waiting) as sending,
    ):
        netns = path.topology.netns(path.server.host)
        wait_for_listener(netns, serving, ports.GOODPUT, _START_TIMEOUT)

        def run() -> Delivered:
            word.write(b"\n")
            return _report(tool.report(sending, test), path, test)

        assert isinstance(serving, Child)  # noqa: S101 - guests were refused
        assert isinstance(sending, Child)  # noqa: S101
        processes = [
            Process("iperf3 client", path.client.host, sending.pid, DATA_CALLS),
            Process("iperf3 server", path.server.host, serving.pid, DATA_CALLS),
        ]
        yield Prepared(processes, run)


def _report(text: str, path: Path, test: tcp_goodput.TcpTest) -> Delivered:
    tcp_goodput.goodput(text, path, test)  # raises where the report says that it went wrong
    report = json.loads(text)
    size, segment = report["end"]["sum_received"]["bytes"], report["start"]["tcp_mss_default"]
    seconds = report["end"]["sum_received"]["seconds"]
    return Delivered(size / segment, size, segment, times=(seconds * segment / size,))


# ---- one datagram at a time ---------------------------------------------------------------------


@contextmanager
def _echo(path: Path, load: Load) -> Iterator[Prepared]:
    """One datagram, back and forth, with everything that moves it on one CPU.

    Nothing waits in a queue, nothing runs beside anything else and no CPU has to be woken up, so
    the time of a packet is the sum of what is done for it.
    """
    cpu = quiet_cpu()
    go, stop = os.eventfd(0), os.eventfd(0)

    def ask(report: Send) -> None:
        os.sched_setaffinity(0, {cpu})
        with connect(address) as sock:
            rounds = max(1, round(load.seconds / calibrated(sock.fileno(), load.size)))
            report({"ready": True})
            os.eventfd_read(go)
            times = [
                native.ping(sock.fileno(), load.size, rounds, ROUND_TIMEOUT) / rounds / 2
                for _ in range(load.values)
            ]
        report({"times": times, "rounds": rounds})
        os.eventfd_read(stop)  # it stays, to be looked at

    here, there = path.client.host, path.server.host
    place(path, cpu)
    try:
        with (
            responder(path, cpu) as (answering, address),
            client(path, "client", ask, [go, stop]) as asking,
        ):
            asking.receive(_MARGIN)

            def run() -> Delivered:
                os.eventfd_write(go, 1)
                told = asking.receive(load.seconds * load.values * 5 + _MARGIN)
                packets = 2 * told["rounds"] * load.values
                times = tuple(told["times"])
                return Delivered(packets, packets * load.size, load.size, times=times)

            assert isinstance(answering, Child)  # noqa: S101 - guests were refused
            processes = [
                Process("client", here, asking.pid, SOCKET_CALLS),
                Process("responder", there, answering.pid, SOCKET_CALLS),
            ]
            yield Prepared(processes, run)
    finally:
        os.close(go)
        os.close(stop)


def place(path: Path, cpu: int, ends: Sequence[Process] = ()) -> None:
    """Have all threads of the path's forwarders, and of `ends`, run on one CPU."""
    for pid in [*(forwarder.child.pid for forwarder in path.forwarders), *(p.pid for p in ends)]:
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {cpu})


LOADS: dict[str, Callable[[Path, Load], AbstractContextManager[Prepared]]] = {
    "udp": _udp,
    "tcp": _tcp,
    "echo": _echo,
}
