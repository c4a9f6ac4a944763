"""The echo server that a path is proved and its round-trip time measured with."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from bench import native
from bench.endpoint import family_of, parse_endpoint, show_endpoint
from bench.probes.base import Path, server
from bench.process import Child, Send
from bench.scenario import server_address

PAYLOAD = 64
"""Bytes of UDP payload of each datagram."""
ROUND_TIMEOUT = 1.0
"""Seconds without an echo after which a datagram counts as lost."""
NO_ECHO = "no echo from"
"""How a program that got no echo begins its last words."""
_CALIBRATION = 0.02
"""Seconds that the round trips at the end of a calibration take at least."""
_PORT = 7007
_START_TIMEOUT = 5.0


@contextmanager
def responder(path: Path, cpu: int | None = None) -> Iterator[tuple[Child, str]]:
    """Run an echo server at the server endpoint, on one CPU if one is given.

    Yields it and its "address:port".
    """

    address = server_address(path.topology.scenario)

    def serve(send: Send) -> None:
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
            sock.bind((str(address), _PORT))
            send({"ready": True})
            native.pong(sock.fileno(), os.eventfd(0))

    with server(path, "responder", serve) as child:
        child.receive(_START_TIMEOUT)
        yield child, show_endpoint(address, _PORT)


def connect(endpoint: str) -> socket.socket:
    """A UDP socket connected to "address:port" in this process's namespace. Raises OSError."""
    address, port = parse_endpoint(endpoint)
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    try:
        sock.connect((str(address), port))
    except OSError:
        sock.close()
        raise
    return sock


def calibrated(fd: int, size: int) -> float:
    """Seconds of a round trip of `size` bytes, roughly; warms the path up. Raises OSError."""
    rounds, seconds = 16, 0.0
    while seconds < _CALIBRATION:
        rounds *= 2
        seconds = native.ping(fd, size, rounds, ROUND_TIMEOUT)
    return seconds / rounds


def quiet_cpu() -> int:
    """The CPU to bind to where there is to be one: not the first, which takes most interrupts."""
    return max(os.sched_getaffinity(0))
