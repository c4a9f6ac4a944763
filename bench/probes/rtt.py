"""`rtt`: pyperf around a closed ping-pong loop in C.

pyperf's manager runs in the client's namespace, which its worker processes inherit; the responder
runs in the server's. Both ends are bound to one CPU: otherwise the scheduler decides, trial by
trial, whether a round trip contains two wake-ups of an idle CPU, which in a virtual machine cost
more than everything else on the path (docs/method.md has the figures).
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bench import native
from bench.errors import CannotMeasure
from bench.probes.base import Measurement, Path, Probe, server
from bench.process import Child, Send, execute

PAYLOAD = 64
"""Bytes of UDP payload of each datagram."""
ROUND_TIMEOUT = 1.0
"""Seconds without an echo after which the datagram counts as lost and the trial as failed."""
NO_ECHO = "no echo from"
"""How a worker's last words begin."""
_PORT = 7007
_START_TIMEOUT = 5.0
_OVERHEAD = 20.0
"""Seconds granted for starting interpreters, beyond the time the loops take."""


@contextmanager
def responder(path: Path) -> Iterator[tuple[Child, str]]:
    """Run an echo server at the server endpoint; yields it and its "address:port"."""

    def serve(send: Send) -> None:
        os.sched_setaffinity(0, {_cpu()})
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((path.server_address, _PORT))
            send({"ready": True})
            native.pong(sock.fileno(), os.eventfd(0))

    with server(path, "responder", serve) as child:
        child.receive(_START_TIMEOUT)
        yield child, f"{path.server_address}:{_PORT}"


def measure(path: Path, settings: Mapping[str, Any]) -> Measurement:
    """Measure the round-trip time of `path` with pyperf.

    settings: pyperf's `processes`, `values` and `warmups`, and `seconds` of each value.
    Raises CannotMeasure.
    """
    loops = max(1, round(settings["seconds"] / path.rtt))
    rounds = settings["processes"] * (settings["values"] + settings["warmups"])
    report = os.memfd_create("rtt", 0)
    with os.fdopen(report, "rb") as file, responder(path) as (_, address):
        arguments = [
            *(sys.executable, "-m", "bench.probes.rtt_worker"),
            *("--server", address, "--name", path.name, "--report", f"/proc/self/fd/{report}"),
            *("--processes", str(settings["processes"]), "--values", str(settings["values"])),
            *("--warmups", str(settings["warmups"]), "--loops", str(loops), "--quiet"),
            *("--affinity", str(_cpu())),
        ]
        host = path.client.host
        netns = path.topology.netns(host)
        with execute(f"{host}: pyperf", arguments, netns=netns, keep=[report]) as manager:
            status = manager.wait(_OVERHEAD + 5 * rounds * settings["seconds"])
            if status != 0:
                why = _last_words(manager.output())
                raise CannotMeasure(f"{host}: pyperf exited with status {status}: {why}")
        text = file.read()
    return Measurement({"rtt": _values(text)}, pyperf=text)


def _last_words(output: str) -> str:
    """What the worker said; pyperf goes on to say in many lines that its worker failed."""
    lines = output.strip().splitlines() or ["it said nothing"]
    return next((line for line in lines if line.startswith(NO_ECHO)), lines[-1])


def _cpu() -> int:
    """The CPU of both ends: the last one, because the first takes most interrupts."""
    return max(os.sched_getaffinity(0))


def _values(text: bytes) -> list[float]:
    # Imported here because it costs as much as everything else together.
    import pyperf  # noqa: PLC0415

    return list(pyperf.Benchmark.loads(text.decode()).get_values())


PROBE = Probe(
    id="rtt",
    metrics=("rtt",),
    settings={
        "quick": {"processes": 1, "values": 5, "warmups": 1, "seconds": 0.05},
        "standard": {"processes": 2, "values": 10, "warmups": 1, "seconds": 0.1},
        "rigorous": {"processes": 3, "values": 20, "warmups": 1, "seconds": 0.1},
    },
    measure=measure,
    duration=lambda settings: (
        0.4
        + settings["processes"]
        * (0.3 + settings["seconds"] * (settings["values"] + settings["warmups"]))
    ),
    missing=lambda: None,
)
