"""`rtt`: pyperf around a closed ping-pong loop in C.

pyperf's manager runs in the client's namespace, which its worker processes inherit; the responder
runs in the server's. Both ends are bound to one CPU: otherwise the scheduler decides, trial by
trial, whether a round trip contains two wake-ups of an idle CPU, which in a virtual machine cost
more than everything else on the path (docs/trust.md has the figures).
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from typing import Any

from bench.errors import CannotMeasure
from bench.guests import Guest
from bench.pingpong import NO_ECHO, PAYLOAD, calibrated, connect
from bench.probes.base import Measurement, Path, Probe, client
from bench.probes.echo import ping_in_guest, quiet_cpu, responder
from bench.process import Send, execute

_OVERHEAD = 20.0
"""Seconds granted for starting interpreters, beyond the time the loops take."""


def measure(path: Path, settings: Mapping[str, Any]) -> Measurement:
    """Measure the round-trip time of `path` with pyperf.

    settings: pyperf's `processes`, `values` and `warmups`, and `seconds` of each value.
    Raises CannotMeasure.
    """
    cpu = quiet_cpu()
    values = settings["processes"] * (settings["values"] + settings["warmups"])
    place = path.place(path.client.host)
    if isinstance(place, Guest):
        return _measure_in(place, path, settings)
    host, report = path.client.host, os.memfd_create("rtt", 0)
    with os.fdopen(report, "rb") as file, responder(path, cpu) as (_, address):
        loops = max(1, round(settings["seconds"] / _calibrate(path, address, cpu)))
        arguments = [
            # -P: nothing in the user's directory may stand in for a module of ours.
            *(sys.executable, "-P", "-m", "bench.pingpong.worker"),
            *("--server", address, "--name", path.name, "--report", f"/proc/self/fd/{report}"),
            *("--processes", str(settings["processes"]), "--values", str(settings["values"])),
            *("--warmups", str(settings["warmups"]), "--loops", str(loops), "--quiet"),
            *("--affinity", str(cpu)),
        ]
        netns = path.topology.netns(host)
        with execute(f"{host}: pyperf", arguments, netns=netns, keep=[report]) as manager:
            status = manager.wait(_OVERHEAD + 5 * values * settings["seconds"])
            if status != 0:
                why = _last_words(manager.output())
                raise CannotMeasure(f"{host}: pyperf exited with status {status}: {why}")
        text = file.read()
    return Measurement({"rtt": _values(text, host)}, pyperf=text)


def _measure_in(guest: Guest, path: Path, settings: Mapping[str, Any]) -> Measurement:
    """The same from within a guest, by its own clock: processes of a C program instead of Python's.

    The report is as pyperf would have written it.
    """
    import pyperf  # noqa: PLC0415

    warmups, count = settings["warmups"], settings["warmups"] + settings["values"]
    timeout = _OVERHEAD + 5 * count * settings["seconds"]
    runs = []
    with responder(path, quiet_cpu()) as (_, address):
        for _process in range(settings["processes"]):
            trips = ping_in_guest(guest, address, settings["seconds"], count, timeout)
            runs.append(
                pyperf.Run(
                    trips.values[warmups:],
                    warmups=[(trips.loops, value) for value in trips.values[:warmups]],
                    metadata={"name": path.name, "loops": trips.loops, "unit": "second"},
                    collect_metadata=False,
                )
            )
    benchmark, report = pyperf.Benchmark(runs), io.StringIO()
    benchmark.dump(report)
    return Measurement({"rtt": list(benchmark.get_values())}, pyperf=report.getvalue().encode())


def _last_words(output: str) -> str:
    """What the worker said; pyperf goes on to say in many lines that its worker failed."""
    lines = output.strip().splitlines() or ["it said nothing"]
    return next((line for line in lines if line.startswith(NO_ECHO)), lines[-1])


def _calibrate(path: Path, address: str, cpu: int) -> float:
    """Seconds of one round trip under the conditions of the measurement, roughly."""

    def ping(_: Send) -> dict[str, float]:
        os.sched_setaffinity(0, {cpu})
        with connect(address) as sock:
            try:
                return {"rtt": calibrated(sock.fileno(), PAYLOAD)}
            except OSError as error:
                raise CannotMeasure(f"{NO_ECHO} {address}: {error.strerror}") from None

    with client(path, "ping-pong", ping) as child:
        seconds: float = child.receive(_OVERHEAD)["rtt"]
    return seconds


def _values(text: bytes, host: str) -> list[float]:
    # Imported here because it costs as much as everything else together.
    import pyperf  # noqa: PLC0415

    try:
        return list(pyperf.Benchmark.loads(text.decode()).get_values())
    except ValueError as error:
        raise CannotMeasure(f"{host}: pyperf's report cannot be read: {error}") from None


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
        0.5
        + settings["processes"]
        * (0.3 + settings["seconds"] * (settings["values"] + settings["warmups"]))
    ),
    missing=lambda: None,
    guests=True,
)
