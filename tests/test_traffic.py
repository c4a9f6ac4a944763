"""The generator and the sink seen from Python; what they count is tested in tests/csrc."""

import errno
import os
import socket
from dataclasses import fields, replace

import pytest

from bench._vnetbench import ffi
from bench.native import traffic
from bench.native.traffic import Received, Sent, Sink, Stream, Tally
from bench.process import Send, spawn

STREAM = Stream(seed=2**64 - 1, id=2**32 - 1, size=100, count=50, verify=True)
SINK = Sink(seed=2**64 - 1, id=2**32 - 1, size=100, idle_ms=20, verify=True)


def udp(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
    return sock


def test_the_names_here_are_those_of_the_c_structs() -> None:
    for kind, name in ((Sent, "vnb_sent"), (Received, "vnb_received"), (Sink, "vnb_sink")):
        members = [member for member, _ in ffi.typeof(f"struct {name}").fields]
        assert [field.name for field in fields(kind)] == members
    members = [member for member, _ in ffi.typeof("struct vnb_stream").fields]
    assert {*members} - {field.name for field in fields(Stream)} == {
        "destinations",
        "destination_count",
        "heard",
    }


def test_a_stream_arrives_and_both_sides_count_it() -> None:
    sent, received = Tally(Sent), Tally(Received)
    with udp() as to, udp() as sock:
        sock.connect(to.getsockname())
        traffic.send(sock.fileno(), STREAM, sent, os.eventfd(0))
        traffic.sink(to.fileno(), SINK, received, os.eventfd(0))
    assert (sent.read().packets, sent.read().bytes) == (50, 5000)
    assert (received.read().unique, received.read().corrupt, received.read().bytes) == (50, 0, 5000)
    assert sent.read().rate == pytest.approx(50 / sent.read().seconds)


def test_a_stream_may_go_to_many_destinations() -> None:
    with udp() as first, udp() as second, udp() as sock:
        destinations = [first.getsockname(), second.getsockname()]
        traffic.send(sock.fileno(), STREAM, Tally(Sent), os.eventfd(0), destinations)
        for to in (first, second):
            received = Tally(Received)
            traffic.sink(to.fileno(), SINK, received, os.eventfd(0))
            assert (received.read().unique, received.read().corrupt) == (25, 0)


def test_a_sink_may_take_its_datagrams_one_by_one() -> None:
    calls = []
    for batch in (0, 1):
        received = Tally(Received)
        with udp() as to, udp() as sock:
            sock.connect(to.getsockname())
            traffic.send(sock.fileno(), STREAM, Tally(Sent), os.eventfd(0))
            traffic.sink(to.fileno(), replace(SINK, batch=batch), received, os.eventfd(0))
        assert received.read().unique == 50
        calls.append(received.read().calls)
    assert calls == [1, 50]


def test_counts_are_seen_by_another_process() -> None:
    received = Tally(Received)
    with udp() as to, udp() as sock:
        sock.connect(to.getsockname())
        stop = os.eventfd(0)

        def receive(_: Send) -> dict[str, bool]:
            traffic.sink(to.fileno(), SINK, received, stop)
            return {"done": True}

        with spawn("sink", receive, keep=[to.fileno(), stop]) as child:
            traffic.send(sock.fileno(), STREAM, Tally(Sent), stop)
            child.receive(5)
        os.close(stop)
    assert received.read().unique == 50


def test_what_cannot_be_sent_is_an_error() -> None:
    with udp() as sock, pytest.raises(OSError, match="Invalid argument") as raised:
        traffic.send(sock.fileno(), Stream(1, 1, size=15), Tally(Sent), os.eventfd(0))
    assert raised.value.errno == errno.EINVAL
    with udp() as sock, pytest.raises(OSError, match="Invalid argument"):
        traffic.sink(sock.fileno(), Sink(1, 1, size=15), Tally(Received), os.eventfd(0))
