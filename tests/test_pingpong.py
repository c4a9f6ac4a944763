"""How long a round trip takes, roughly, before it is measured."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from files import ROOT

from bench.pingpong import PAYLOAD, calibrated, connect
from bench.process import Send, spawn

AGENT = ROOT / "bench" / "_guest_agent"
STALL = 0.5
"""Seconds: of the 32 round trips that a calibration begins with, 16 ms each."""


@contextmanager
def responder_that_stalls_once() -> Iterator[str]:
    """The address of one that lets its first datagram wait."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def answer(_: Send) -> None:
            asked, whose = sock.recvfrom(2048)
            time.sleep(STALL)
            while True:
                sock.sendto(asked, whose)
                asked, whose = sock.recvfrom(2048)

        with spawn("responder", answer, keep=[sock.fileno()]):
            yield f"127.0.0.1:{sock.getsockname()[1]}"


def test_a_stall_does_not_count_as_round_trips() -> None:
    with responder_that_stalls_once() as address, connect(address) as sock:
        assert calibrated(sock.fileno(), PAYLOAD) < STALL / 32 / 3


def test_a_stall_in_a_guest_does_not_either() -> None:
    """Its program says how many round trips it takes for a second."""
    with responder_that_stalls_once() as address:
        words = (AGENT, "ping", *address.split(":"), str(PAYLOAD), "1", "0")
        loops = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert int(loops) > 3 * 32 / STALL
