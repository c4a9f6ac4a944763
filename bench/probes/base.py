"""What a probe is: one way to measure a path, once, on a freshly built topology."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from bench.errors import CannotMeasure
from bench.forwarders import Running
from bench.process import Child, spawn
from bench.scenario import DeviceRef, parse_ref, server_address
from bench.topology import Topology, inside


@dataclass(frozen=True)
class Measurement:
    """What one trial gave.

    samples: metric id → raw values, in the metric's unit.
    raw: file name within the result set → the tool's own output.
    pyperf: for metrics that pyperf measured, its JSON (one benchmark), to be merged into rtt.json.
    warnings: what whoever reads the figures should know, each a line.
    conditions: what its figures hold for; what later trials go by (`Path.known`).
    disturbances: what only the probe can know of them, by their ids in `bench.quality.rule`.
    """

    samples: Mapping[str, list[float]]
    raw: Mapping[str, bytes] = field(default_factory=dict)
    pyperf: bytes | None = None
    warnings: tuple[str, ...] = ()
    conditions: Mapping[str, float] = field(default_factory=dict)
    disturbances: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Path:
    """A path that is known to carry packets.

    name: of the variant and arm, for the tools' own records.
    forwarders: the programs that move packets on it; nothing of theirs is known to be running
        where whoever proved the path did not say.
    known: the conditions that were found before, for this variant and arm.
    """

    topology: Topology
    name: str
    forwarders: Sequence[Running] = ()
    known: Mapping[str, float] = field(default_factory=dict)

    @property
    def client(self) -> DeviceRef:
        """The client endpoint."""
        return parse_ref(self.topology.scenario.endpoints.client)

    @property
    def server(self) -> DeviceRef:
        """The server endpoint."""
        return parse_ref(self.topology.scenario.endpoints.server)

    @property
    def server_address(self) -> str:
        """The address the client talks to."""
        return str(server_address(self.topology.scenario))


@dataclass(frozen=True)
class Probe:
    """One entry in the table of probes.

    metrics: ids of the metrics its samples are of.
    settings: profile name → what `measure` is given; plain data, recorded with the results.
    duration: seconds a trial takes with some settings, for the first estimate of time left.
    missing: why this machine cannot run the probe, or None.
    load: finds what its trials go by, before the first of them; None: they go by nothing.
    default: whether a run that names no probe has it.
    """

    id: str
    metrics: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Any]]
    measure: Callable[[Path, Mapping[str, Any]], Measurement]
    duration: Callable[[Mapping[str, Any]], float]
    missing: Callable[[], str | None]
    default: bool = True
    load: Callable[[Path, Mapping[str, Any]], Measurement] | None = None


def client(
    path: Path, name: str, task: Callable[..., Any], keep: Sequence[int] = ()
) -> AbstractContextManager[Child]:
    """Run `task`, which uses the descriptors `keep`, in the client's namespace."""
    host = path.client.host
    return spawn(f"{host}: {name}", task, netns=path.topology.netns(host), keep=keep)


def server(
    path: Path, name: str, task: Callable[..., Any], keep: Sequence[int] = ()
) -> AbstractContextManager[Child]:
    """Run `task`, which uses the descriptors `keep`, in the server's namespace."""
    host = path.server.host
    return spawn(f"{host}: {name}", task, netns=path.topology.netns(host), keep=keep)


def wait_for_listener(netns: int, child: Child, port: int, timeout: float) -> None:
    """Wait until a TCP socket listens on `port` in `netns`, the namespace `child` runs in.

    The kernel announces no such event, so this looks again until it is so. Raises CannotMeasure
    when the child dies first or time runs out.
    """
    deadline = time.monotonic() + timeout
    while not _listens(netns, port):
        if not child.alive():
            child.receive(0)  # raises, with what the child had to say
        if time.monotonic() > deadline:
            raise CannotMeasure(f"{child.name}: does not listen on port {port} after {timeout:g} s")
        time.sleep(0.001)


def _listens(netns: int, port: int) -> bool:
    """Whether /proc/net/tcp or tcp6 inside the namespace has a socket in state LISTEN (0A).

    Not /proc/<pid>/net of the child: until it has entered the namespace, that is ours.
    """
    suffix = f":{port:04X}"
    rows: list[list[str]] = []
    with inside(netns):
        for file in map(FilePath, ("/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6")):
            if file.exists():  # a kernel may be without IPv6
                rows += [line.split() for line in file.read_text().splitlines()[1:]]
    return any(row[1].endswith(suffix) and row[3] == "0A" for row in rows)
