"""What is sent over a path is waited for as long as it makes sense, and no longer."""

import gc
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath

import pytest
from files import shipped
from live import live

from bench.errors import CannotMeasure
from bench.native import traffic
from bench.native.traffic import Received, Sent, Sink, Stream, Tally
from bench.probes.base import Path
from bench.probes.flow import Connected, Direction, Flow, Order, flowing, forth, settle
from bench.process import Child, Send, spawn

# ---- when all that will arrive has arrived --------------------------------------------------


def tallies(sent: int, **received: int) -> tuple[Tally[Sent], Tally[Received]]:
    """Of a sender that is done, and of a receiver so far."""
    ours, theirs = Tally(Sent), Tally(Received)
    ours.pointer.packets = sent
    for name, count in received.items():
        setattr(theirs.pointer, name, count)
    return ours, theirs


@contextmanager
def receiving(tally: Tally[Received], every: float, unique: int) -> Iterator[Child]:
    """A receiver that counts a datagram after each pause; the first `unique` of them are new."""

    def task(_: Send) -> None:
        while True:
            time.sleep(every)
            tally.pointer.packets += 1
            tally.pointer.unique += tally.pointer.unique < unique

    with spawn("receiver", task) as child:
        yield child


def seconds_of(*what: Tally[Sent] | Tally[Received], **how: object) -> float:
    begin = time.monotonic()
    settle(*what, **how)  # type: ignore[arg-type]
    return time.monotonic() - begin


def test_nothing_is_waited_for_that_is_there_sound_or_not() -> None:
    assert seconds_of(*tallies(10, packets=10, unique=8, corrupt=2), quiet=5.0) < 1


def test_what_comes_slowly_is_waited_for_to_the_last() -> None:
    sent, received = tallies(10)
    with receiving(received, 0.02, unique=10):
        took = seconds_of(sent, received, quiet=1.0)
    assert received.read().unique == 10
    assert took >= 0.18


def test_what_does_not_come_is_given_up_when_the_count_has_stood_still() -> None:
    assert 0.2 < seconds_of(*tallies(10, packets=9, unique=9), quiet=0.2, patience=5.0) < 2


def test_a_time_in_which_nobody_could_run_is_no_silence() -> None:
    """Both are stopped, as where a hypervisor gives their CPUs to others; the waiter runs first."""
    sent, received = tallies(20)

    def wait(send: Send) -> None:
        waiting = False

        def dropped(_: int) -> bool:
            nonlocal waiting
            if not waiting:
                send({"waiting": True})
            waiting = True
            return False

        settle(sent, received, quiet=1.0, dropped=dropped)
        send({"unique": received.read().unique})

    with receiving(received, 0.1, unique=20) as receiver, spawn("waiter", wait) as waiter:
        assert waiter.receive(5) == {"waiting": True}
        os.kill(receiver.pid, signal.SIGSTOP)
        time.sleep(0.05)
        os.kill(waiter.pid, signal.SIGSTOP)
        time.sleep(1.5)
        assert received.read().unique < 20
        os.kill(waiter.pid, signal.SIGCONT)
        time.sleep(0.05)
        os.kill(receiver.pid, signal.SIGCONT)
        assert waiter.receive(10) == {"unique": 20}


def test_a_path_that_repeats_itself_for_ever_does_not_keep_us() -> None:
    sent, received = tallies(10)
    with receiving(received, 0.001, unique=9):
        assert 0.3 < seconds_of(sent, received, quiet=2.0, patience=0.3) < 1.5


@pytest.mark.parametrize(("known", "least", "most"), [(1, 0.0, 1.0), (0, 1.5, 5.0)])
def test_what_is_known_to_be_dropped_is_not_waited_for(
    known: int, least: float, most: float
) -> None:
    sent, received = tallies(10, packets=9, unique=9)
    took = seconds_of(sent, received, quiet=1.5, dropped=lambda missing: missing <= known)
    assert least <= took < most


# ---- sender and receiver --------------------------------------------------------------------

SENT, RECEIVED = Tally(Sent), Tally(Received)
"""Of the last order."""


def give(fd: int, stop: int, order: Order) -> Order:
    stream = Stream(1, order["id"], 64, count=order["count"], rate=5000.0)
    traffic.send(fd, stream, SENT, stop, [(to, order["port"]) for to in order["turns"]])
    return {"said": order["id"]}


def take(fd: int, stop: int, order: Order) -> None:
    traffic.sink(fd, Sink(1, order["id"], 64), RECEIVED, stop)


@pytest.fixture(name="direction")
def _direction(namespaces: None) -> Iterator[Direction]:
    with live(shipped("veth").scenario) as topology:
        yield forth(Path(topology, "veth"))


def carry_out(flow: Flow, number: int, count: int, turns: tuple[str, ...] = ()) -> Order:
    for tally in (SENT, RECEIVED):
        tally.clear()
    flow.begin(id=number)
    told = flow.send(0.1, id=number, count=count, turns=turns, port=flow.port)
    settle(SENT, RECEIVED)
    flow.end()
    return told


@pytest.mark.parametrize("connected", ["sender", "both", "neither"])
def test_what_is_ordered_is_sent_and_received_time_after_time(
    direction: Direction, connected: Connected
) -> None:
    turns = (direction.address,) if connected == "neither" else ()
    with flowing(direction, give, take, connected=connected) as flow:
        for number, count in enumerate((10, 300)):
            assert carry_out(flow, number, count, turns) == {"said": number}
            assert SENT.read().packets == RECEIVED.read().unique == count
        assert flow.drops() == 0


@pytest.mark.parametrize(("connected", "strangers"), [("sender", 1), ("both", 0)])
def test_a_receiver_that_is_connected_hears_its_sender_alone(
    direction: Direction, connected: Connected, strangers: int
) -> None:
    with flowing(direction, give, take, connected=connected) as flow:
        RECEIVED.clear()
        flow.begin(id=1)
        with direction.open(direction.sender) as stranger:
            stranger.sendto(b"hello", (direction.address, flow.port))
        SENT.clear()
        flow.send(0.1, id=1, count=10, turns=(), port=flow.port)
        settle(SENT, RECEIVED)
        flow.end()
    assert RECEIVED.read().packets == 10 + strangers


def test_a_receiver_that_dies_is_named_and_not_what_the_sender_made_of_it(
    direction: Direction,
) -> None:
    with flowing(direction, give, take) as flow:
        flow.begin(id=1)
        os.kill(flow.receiver.child.pid, signal.SIGKILL)
        flow.receiver.child.wait(5)
        with pytest.raises(CannotMeasure, match=r"^server: receiver: killed by signal 9$"):
            flow.send(0.1, id=1, count=100, turns=(), port=flow.port)


def test_a_sender_that_cannot_send_says_why(direction: Direction) -> None:
    with (
        flowing(direction, give, take, connected="neither") as flow,
        pytest.raises(CannotMeasure, match=r"^client: sender: Network is unreachable$"),
    ):
        carry_out(flow, 1, 10, ("192.0.2.1",))


def test_an_address_that_is_none_of_the_receiver_is_refused_in_a_line(
    direction: Direction,
) -> None:
    wrong = Direction(direction.path, direction.sender, direction.receiver, "192.0.2.1")
    text = r"^client to server, 192.0.2.1: Cannot assign requested address$"
    with pytest.raises(CannotMeasure, match=text), flowing(wrong, give, take):
        pass


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGKILL, CannotMeasure)]
)
def test_nothing_is_left_of_a_flow_that_is_interrupted_or_broken(
    direction: Direction, number: int, error: type[BaseException]
) -> None:
    pids = list[int]()

    def begin_and_break() -> None:
        with flowing(direction, give, take, ahead=True) as flow:
            pids.extend(end.child.pid for end in (flow.sender, flow.receiver))
            flow.begin(id=1)
            if number == signal.SIGINT:
                os.kill(os.getpid(), number)
            else:
                os.kill(flow.receiver.child.pid, number)
                flow.receiver.child.wait(5)
            flow.send(0.1, id=1, count=100, turns=(), port=flow.port)

    gc.collect()  # lest what earlier tests left be closed between the two lists
    before = os.listdir("/proc/self/fd")
    with pytest.raises(error):
        begin_and_break()
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert len(pids) == 2
    assert not any(FilePath(f"/proc/{pid}").exists() for pid in pids)
