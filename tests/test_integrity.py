"""The integrity check finds nothing on sound paths, and what a hub in between does to them."""

import random
import socket
from collections.abc import Callable
from dataclasses import replace

import pytest
from files import shipped
from hub import harmful
from live import live

from bench import integrity, integrity_tcp, integrity_udp
from bench.integrity import IntegrityReport
from bench.integrity_tcp import Flow, TcpResult, exchange
from bench.integrity_udp import Case, UdpResult, cases
from bench.native.traffic import Pace, Received, Sent
from bench.probes.base import Path
from bench.topology import Arm

pytestmark = pytest.mark.slow

FEW = 128
"""Datagrams of a case: two messages of 64 segments."""


def check(path: Path) -> IntegrityReport:
    return integrity.check(path, datagrams=FEW, streams=2, stream_bytes=1 << 20, seed=1)


def of_case(report: IntegrityReport, wanted: Callable[[Case], bool]) -> list[UdpResult]:
    return [result for result in report.udp if wanted(result.case)]


# ---- sound paths ----------------------------------------------------------------------------


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("arm", list(Arm))
@pytest.mark.parametrize("name", ["veth", "vxlan"])
def test_nothing_is_wrong_with_the_kernels_own_paths(name: str, arm: Arm) -> None:
    with live(shipped(name).scenario, arm) as topology:
        report = check(Path(topology, name))
    assert report.problems() == []
    assert report.mtu == {"veth": 1500, "vxlan": 1450}[name]
    assert report.sent == FEW * len(report.udp)
    assert (report.lost, report.duplicates, report.corrupt, report.corrupt_bytes) == (0, 0, 0, 0)
    assert [(t.direction, t.received) for t in report.tcp] == [
        (direction, 1 << 20)
        for direction in {
            "veth": ("server to client", "client to server"),
            "vxlan": ("ctr-b to ctr-a", "ctr-a to ctr-b"),
        }[name]
        for _ in range(2)
    ]
    assert {t.nodelay for t in report.tcp} == {False, True}


@pytest.mark.usefixtures("namespaces")
def test_every_way_to_send_and_receive_is_really_taken() -> None:
    with live(shipped("veth").scenario) as topology:
        report = check(Path(topology, "veth"))
    assert report.skipped() == []
    assert {result.direction for result in report.udp} == {"client to server", "server to client"}
    assert {result.gro for result in report.udp} == {False, True}
    for result in report.udp:
        several = result.case.segments > 1
        assert bool(result.received.coalesced) == (several and result.gro), str(result)
        size, segments, last = result.case.size, max(1, result.case.segments), result.case.last
        if FEW % segments == 0:
            short = (size - last) * (FEW // segments) if last else 0
            assert result.sent.bytes == result.received.bytes == FEW * size - short


def test_the_cases_hold_every_awkward_size() -> None:
    sizes = {case.size for case in cases(1500, 28)}
    assert {16, 17, 1471, 1472, 3001} <= sizes
    for size in (17, 1471, 1472):
        ways = [case for case in cases(1500, 28) if case.size == size]
        assert Case(size) in ways
        assert Case(size, 1) in ways
        assert any(case.segments > 1 and not case.last for case in ways)
    assert any(0 < case.last < case.size for case in cases(1500, 28) if case.size == 1472)
    assert max(c.size * max(1, c.segments) for c in cases(1500, 28)) <= 65507
    assert max(case.size for case in cases(576, 28) if case.segments) == 548


# ---- what a hub can do ----------------------------------------------------------------------


@pytest.mark.usefixtures("namespaces")
def test_a_hub_that_does_no_harm_is_a_sound_path() -> None:
    with harmful("none", 1) as path:
        assert check(path).problems() == []


@pytest.mark.usefixtures("namespaces")
def test_a_wrong_bit_is_found_in_datagrams_and_in_streams() -> None:
    with harmful("flip", 20) as path:
        report = check(path)
    spoilt = of_case(report, lambda case: case == Case(1472))
    assert len(spoilt) == 4
    for result in spoilt:
        assert FEW // 20 <= result.received.corrupt <= FEW // 20 + 1
        assert result.lost == result.received.corrupt
        assert (result.received.corrupt_size, result.received.corrupt_offset) == (1472, 1471)
    assert sum(r.received.corrupt for r in of_case(report, lambda case: case.segments > 1)) > 0
    assert report.corrupt_bytes > 0
    assert report.duplicates == report.reordered == 0
    said = report.problems()
    pattern = "udp ctr-1 to ctr-2: 1472 bytes: "
    [line] = [line for line in said if line.startswith(pattern) and "corrupt" in line]
    assert "of 128 datagrams corrupt: the first is number" in line
    assert line.endswith("of 1472 bytes, wrong from byte 1471 on")
    assert any(line.startswith("tcp ") and "bytes corrupt, the first at" in line for line in said)


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize(
    ("fault", "count", "word"),
    [
        ("drop", lambda result: result.lost, "lost"),
        ("repeat", lambda result: result.duplicates, "more than once"),
        ("swap", lambda result: result.received.reordered, "reordered"),
    ],
)
def test_what_happens_to_datagrams_is_told_apart(
    fault: str, count: Callable[[UdpResult], int], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity_udp, "cases", lambda *_: [Case(1001)])
    with harmful(fault, 20) as path:
        report = check(path)
    assert len(report.udp) == 4
    for result in report.udp:
        assert FEW // 20 - 1 <= count(result) <= FEW // 20 + 1, str(result)
    assert report.corrupt == report.corrupt_bytes == 0
    said = [line for line in report.problems() if "1001 bytes" in line]
    assert said
    assert [line for line in said if word not in line] == []


# ---- reports --------------------------------------------------------------------------------

PACE = Pace(0, 0, 0)
SENT = Sent(100, 6400, 10, 0, 0, 0, 1, PACE, PACE)
RECEIVED = Received(100, 6400, 10, 0, 100, 0, 0, 0, 0, 0, 100, 0, 0, 1, 2, 0, 0, 0, PACE, 0)


def test_a_device_that_cannot_segment_is_a_skip_and_any_other_error_a_problem() -> None:
    result = UdpResult("a to b", Case(64, 8), False, SENT, RECEIVED, "Input/output error", 5)
    assert (result.problems(), len(result.skipped())) == ([], 1)
    plain = replace(result, case=Case(64))
    assert (len(plain.problems()), plain.skipped()) == (1, [])
    assert plain.problems() == ["udp a to b: 64 bytes: Input/output error"]


def test_each_thing_that_is_wrong_has_a_line() -> None:
    def said(**wrong: int) -> list[str]:
        return UdpResult("a to b", Case(64), True, SENT, replace(RECEIVED, **wrong)).problems()

    assert said() == []
    begin = "udp a to b: 64 bytes, UDP_GRO: "
    assert said(unique=98, drops=1) == [
        f"{begin}2 of 100 datagrams lost, 1 of them at the receiving socket"
    ]
    assert said(strange=1) == [f"{begin}1 datagrams arrived more than once"]
    assert said(duplicates=1, reordered=3) == [
        f"{begin}1 datagrams arrived more than once",
        f"{begin}3 of 100 datagrams reordered",
    ]
    assert len(said(late=1)) == 1


# ---- streams --------------------------------------------------------------------------------


def receive(sent: bytes, expected: bytes) -> TcpResult:
    """What one end says that is to receive `expected` and is sent something else."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        [result] = exchange([Flow(ours, 0, "a to b", b"", expected)], random.Random(1))
    return TcpResult(**result)


def test_a_stream_is_held_against_what_was_sent() -> None:
    data = random.Random(1).randbytes(50_000)
    assert receive(data, data).problems() == []
    spoilt = bytearray(data)
    spoilt[30_000] ^= 1
    spoilt[30_001] ^= 1
    spoilt[49_999] ^= 1
    name = "tcp a to b: stream 0: "
    assert receive(bytes(spoilt), data).problems() == [
        f"{name}3 of 50000 bytes corrupt, the first at 30000"
    ]
    assert receive(data[:-1], data).problems() == [f"{name}ended after 49999 of 50000 bytes"]
    assert receive(data + b"x", data).problems() == [f"{name}1 bytes more than were sent"]
    missing = receive(data[:100] + data[200:], data)
    assert missing.first_wrong is not None
    assert 100 <= missing.first_wrong < 110


def test_a_stream_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity_tcp, "_STALL", 0.1)
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"abc")
        [result] = exchange([Flow(ours, 0, "a to b", b"", b"abcd")], random.Random(1))
    assert TcpResult(**result).problems() == [
        "tcp a to b: stream 0: nothing moved for 0.1 s after 3 of 4 bytes"
    ]
