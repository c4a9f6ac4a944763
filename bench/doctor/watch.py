"""A second or two in which the machine is watched while it has something to do.

An idle virtual processor has nothing that could be stolen from it, and an idle core no neighbour
that it could notice. So each of the CPUs that the ends of a path are bound to is kept busy for a
while, by a sender with the witness of `csrc/pace.h`, and a canary sings before and after that.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from bench import native
from bench.doctor.model import Watched
from bench.errors import CannotMeasure
from bench.native.traffic import HEADER, Pace, Sent, Stream, Tally, send
from bench.probes.ahead import ends
from bench.process import Send, spawn
from bench.quality import canary
from bench.quality.figures import figures
from bench.quality.snapshot import snapshot

COMPANY, SONG = "company", "song"
"""What may have a reason why it could not be measured."""
_SECONDS = 1.5
"""Seconds that watching takes at least: ticks are counted in hundredths."""
_LEARNING, _WITNESSING = 0.1, 0.25
"""Seconds in which the witness learns what is usual, and in which it testifies: once in each
millisecond."""
_RATE = 20_000.0
"""Datagrams a second: so many that a sender never sleeps."""
_TIMEOUT = 10.0

Measured = TypeVar("Measured")


def watch() -> Watched:
    """Keep the CPUs busy and look what happens to them. Needs the right to make namespaces."""
    reasons: dict[str, str] = {}

    def tried(what: str, measure: Callable[[], Measured]) -> Measured | None:
        try:
            return measure()
        except CannotMeasure as error:
            reasons[what] = str(error)
            return None

    before, begin = snapshot(), time.monotonic()
    songs = [tried(SONG, canary.sing)]
    shared, together = tried(COMPANY, _company) or ({}, None)
    songs.append(tried(SONG, canary.sing))
    time.sleep(max(0.0, _SECONDS - (time.monotonic() - begin)))
    after = snapshot()
    return Watched(
        before=before,
        after=after,
        figures=figures(before, after),
        shared=shared,
        together=together,
        songs=tuple(song for song in songs if song is not None),
        reasons=reasons,
    )


def _company() -> tuple[Mapping[int, float], float | None]:
    """For each of the CPUs of a path's ends how often somebody else was on its core; and for the
    last of them the same while we are on the first."""
    first, last = ends()
    shared, usual = {}, 0
    for cpu in dict.fromkeys((first, last)):
        shared[cpu], usual = _testify(cpu, 0)
    if first == last:
        return shared, None
    with spawn(f"busy on CPU {first}", lambda _: _spin(first)):
        together, _ = _testify(last, usual)
    return shared, together


def _testify(cpu: int, usual_ns: int) -> tuple[float, int]:
    """The share of slow samples on a CPU, and what is usual there, which 0 leaves to be learnt.

    Raises CannotMeasure.
    """

    def witness(_: Send) -> dict[str, Any]:
        os.sched_setaffinity(0, {cpu})
        native.unshare(native.CLONE_NEWNET)
        native.set_up("lo")
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
        ):
            there.bind(("127.0.0.1", 0))  # nobody takes what arrives: the kernel drops it
            here.connect(there.getsockname())
            usual = usual_ns or _pace(here, _LEARNING, 0).least_ns
            pace = _pace(here, _WITNESSING, usual)
        return {"slow": pace.slow, "samples": pace.samples, "usual": usual}

    with spawn(f"witness on CPU {cpu}", witness) as child:
        found = child.receive(_TIMEOUT)
    return found["slow"] / max(1, found["samples"]), found["usual"]


def _pace(sock: socket.socket, seconds: float, usual_ns: int) -> Pace:
    """What the witness of a sender says that fills its CPU for so long. Raises OSError."""
    sent = Tally(Sent)
    stream = Stream(0, 1, HEADER, rate=_RATE, seconds=seconds, pace_ns=usual_ns)
    send(sock.fileno(), stream, sent, os.eventfd(0))
    return sent.read().pace


def _spin(cpu: int) -> NoReturn:
    os.sched_setaffinity(0, {cpu})
    while True:
        pass
