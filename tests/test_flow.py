"""What is sent over a path is waited for as long as it makes sense, and no longer."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.native.traffic import Received, Sent, Tally
from bench.probes.flow import settle
from bench.process import Send, spawn

# ---- when all that will arrive has arrived --------------------------------------------------


def tallies(sent: int, **received: int) -> tuple[Tally[Sent], Tally[Received]]:
    """Of a sender that is done, and of a receiver so far."""
    ours, theirs = Tally(Sent), Tally(Received)
    ours.pointer.packets = sent
    for name, count in received.items():
        setattr(theirs.pointer, name, count)
    return ours, theirs


@contextmanager
def receiving(tally: Tally[Received], every: float, unique: int) -> Iterator[None]:
    """A receiver that counts a datagram after each pause; the first `unique` of them are new."""

    def task(_: Send) -> None:
        while True:
            time.sleep(every)
            tally.pointer.packets += 1
            tally.pointer.unique += tally.pointer.unique < unique

    with spawn("receiver", task):
        yield


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
