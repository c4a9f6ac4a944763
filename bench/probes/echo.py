"""The echo server that a path is proved and its round-trip time measured with."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench import native, ports
from bench.endpoint import family_of, parse_endpoint, show_endpoint
from bench.errors import CannotMeasure
from bench.guests import Guest, Program
from bench.pingpong import NO_ECHO, PAYLOAD
from bench.probes.base import Path, server
from bench.process import Child, Send
from bench.scenario import listening_address, server_address

_START_TIMEOUT = 5.0


@contextmanager
def responder(path: Path, cpu: int | None = None) -> Iterator[tuple[Child | Program, str]]:
    """Run an echo server at the server endpoint, on one CPU if one is given; a guest has only one.

    Yields it and the "address:port" by which the client reaches it.
    """

    scenario = path.topology.scenario
    address, own = server_address(scenario), listening_address(scenario)

    def serve(send: Send) -> None:
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
            sock.bind((str(own), ports.ECHO))
            send({"ready": True})
            native.pong(sock.fileno(), os.eventfd(0))

    place = path.place(path.server.host)
    if isinstance(place, Guest):
        words = ["agent", "pong", str(own), str(ports.ECHO)]
        with place.execute("responder", words) as program:
            program.await_line("ready", _START_TIMEOUT)
            yield program, show_endpoint(address, ports.ECHO)
        return
    with server(path, "responder", serve) as child:
        child.receive(_START_TIMEOUT)
        yield child, show_endpoint(address, ports.ECHO)


@dataclass(frozen=True)
class RoundTrips:
    """Seconds of a round trip, each the mean of `loops` of them one after the other."""

    loops: int
    values: list[float]


def ping_in_guest(
    guest: Guest, endpoint: str, seconds: float, values: int, timeout: float
) -> RoundTrips:
    """Round-trip times by the guest's own clock, of about `seconds` each. Raises CannotMeasure."""
    address, port = parse_endpoint(endpoint)
    numbers = (PAYLOAD, seconds, values)
    words = ["agent", "ping", str(address), str(port), *map(str, numbers)]
    with guest.execute("ping-pong", words) as program:
        if program.wait(timeout) != 0:
            why = program.output().strip().splitlines()[-1:]
            raise CannotMeasure(f"{guest.host}: {NO_ECHO} {endpoint}: {' '.join(why)}")
        loops, *found = program.output().split()
    return RoundTrips(int(loops), [float(value) for value in found])


def quiet_cpu() -> int:
    """The CPU to bind to where there is to be one: not the first, which takes most interrupts."""
    return max(os.sched_getaffinity(0))
