"""What a probe is: one way to measure a path, once, on a freshly built topology."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from bench.errors import CannotMeasure, MissingCapability
from bench.forwarders import Running
from bench.guests import Guest, Program
from bench.process import Child, execute, spawn
from bench.scenario import (
    DeviceRef,
    Scenario,
    listening_address,
    parse_ref,
    server_address,
)
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

    def place(self, host: str) -> int | Guest:
        """Where programs of a host run: the descriptor of its namespace, or a guest."""
        guests = self.topology.guests
        return guests[host] if host in guests else self.topology.netns(host)

    @property
    def server_address(self) -> str:
        """The address the client talks to."""
        return str(server_address(self.topology.scenario))

    @property
    def listening_address(self) -> str:
        """The address the server listens at; another one where ports are forwarded to it."""
        return str(listening_address(self.topology.scenario))


@dataclass(frozen=True)
class Probe:
    """One entry in the table of probes.

    metrics: ids of the metrics its samples are of.
    settings: profile name → what `measure` is given; plain data, recorded with the results.
    duration: seconds a trial takes with some settings, for the first estimate of time left.
    missing: why this machine cannot run the probe, or None.
    load: finds what its trials go by, before the first of them; None: they go by nothing.
    default: whether a run that names no probe has it.
    guests: whether an end of the path may be a guest.
    """

    id: str
    metrics: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Any]]
    measure: Callable[[Path, Mapping[str, Any]], Measurement]
    duration: Callable[[Mapping[str, Any]], float]
    missing: Callable[[], str | None]
    default: bool = True
    load: Callable[[Path, Mapping[str, Any]], Measurement] | None = None
    guests: bool = False


def refuse_guests(probe: Probe, scenario: Scenario) -> None:
    """Raise MissingCapability where an end is a guest and the probe cannot run inside one."""
    ends = (parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server))
    if not probe.guests and any(scenario.hosts[end.host].is_guest for end in ends):
        raise MissingCapability(f"{probe.id} cannot run inside a guest")


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


def execute_at(
    path: Path, host: str, name: str, words: Sequence[str], keep: Sequence[int] = ()
) -> AbstractContextManager[Child | Program]:
    """Run the program `words` on a host of the path, a namespace or a guest.

    keep: descriptors it inherits; a guest has none of ours.
    """
    place = path.place(host)
    if isinstance(place, Guest):
        return place.execute(name, words)
    return execute(f"{host}: {name}", words, netns=place, keep=keep)


def wait_for_listener(
    place: int | Guest, child: Child | Program, port: int, timeout: float
) -> None:
    """Wait until a TCP socket listens on `port` at `place`, where `child` runs.

    The kernel announces no such event, so this looks again until it is so. Raises CannotMeasure
    when the child dies first or time runs out.
    """
    deadline = time.monotonic() + timeout
    while not _listens(place, port):
        if not child.alive():
            child.receive(0)  # raises, with what the child had to say
        if time.monotonic() > deadline:
            raise CannotMeasure(f"{child.name}: does not listen on port {port} after {timeout:g} s")
        time.sleep(0.001)


def _listens(place: int | Guest, port: int) -> bool:
    """Whether one of the kernel's tables of TCP sockets there has one in state LISTEN (0A)."""
    suffix = f":{port:04X}"
    rows = [line.split() for table in _tcp_sockets(place) for line in table.splitlines()[1:]]
    return any(row[1].endswith(suffix) and row[3] == "0A" for row in rows)


def _tcp_sockets(place: int | Guest) -> list[str]:
    """The tables of IPv4 and IPv6.

    Not /proc/<pid>/net of a child: until it has entered the namespace, that is ours.
    """
    if isinstance(place, Guest):
        return [place.read("/proc/net/tcp"), place.read("/proc/net/tcp6")]
    files = map(FilePath, ("/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"))
    with inside(place):
        return [file.read_text() for file in files if file.exists()]  # IPv6 may be missing
