"""The client's half of a ping-pong: the datagram, the socket, and how long a round trip takes.

Every trial starts programs of its own that do this (`worker.py`), so what is imported here is part
of what a trial costs: nothing of the probes, nor of what they build paths with.
"""

from __future__ import annotations

import socket

from bench import native
from bench.endpoint import family_of, parse_endpoint

PAYLOAD = 64
"""Bytes of UDP payload of each datagram."""
ROUND_TIMEOUT = 1.0
"""Seconds without an echo after which a datagram counts as lost."""
NO_ECHO = "no echo from"
"""How a program that got no echo begins its last words."""
_CALIBRATION = 0.02
"""Seconds that the round trips at the end of a calibration take at least, without stalls."""


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
    rounds, last, least = 16, 0.0, 0.0
    while rounds * least < _CALIBRATION:
        rounds *= 2
        before, last = last, native.ping(fd, size, rounds, ROUND_TIMEOUT) / rounds
        least = min(before, last)  # of two: a stall shall not pass for round trips
    return least
