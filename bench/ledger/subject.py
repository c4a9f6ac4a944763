"""What is watched: the hosts of a path, and the processes that move its packets."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from bench.ledger.calls import DATA_CALLS
from bench.probes.base import Path
from bench.scenario.model import Pump


@dataclass(frozen=True)
class Process:
    """A process on the path.

    calls: the system calls by which an endpoint moves data; its other calls are the measuring
        tool's own (pacing, start-up) and not counted. None: of a forwarder, all of whose calls
        count.
    paces: it sleeps between packets; its context switches and wake-ups are the tool's own, too.
    pump: what the scenario says of it, if it is one. counters: reads what it counts.
    """

    name: str
    host: str
    pid: int
    calls: frozenset[str] | None = None
    paces: bool = False
    pump: Pump | None = None
    counters: Callable[[], dict[str, int]] | None = None

    @property
    def label(self) -> str:
        """Its name with its host, unless that is in there already."""
        return self.name if self.host in self.name else f"{self.host}: {self.name}"

    def threads(self) -> list[int]:
        """The ids of its threads; none once it is gone."""
        with suppress(OSError):
            return [int(name) for name in os.listdir(f"/proc/{self.pid}/task")]
        return []


@dataclass
class Subject:
    """A path with what is on it.

    hosts: namespace inode → host. devices: (host, interface index) → device.
    threads: thread id → process; grows while the load runs.
    """

    path: Path
    processes: Sequence[Process]
    hosts: Mapping[int, str]
    devices: Mapping[tuple[str, int], str]
    threads: dict[int, Process] = field(default_factory=dict)

    def learn_threads(self) -> None:
        """Note the threads that there are now."""
        for process in self.processes:
            self.threads.update(dict.fromkeys(process.threads(), process))


def subject_of(path: Path, endpoints: Sequence[Process]) -> Subject:
    """`path` with its forwarders and the endpoints of a load."""
    topology = path.topology
    hosts = {os.fstat(topology.netns(host)).st_ino: host for host in topology.scenario.hosts}
    devices = {
        (host, int(link["index"])): str(link.get("ifname"))
        for host in topology.scenario.hosts
        for link in topology.links(host)
    }
    specs = dict(zip((f.name for f in path.forwarders), topology.scenario.forwarders, strict=False))
    forwarders = [
        Process(
            forwarder.name,
            _host_of(forwarder.child.pid, hosts),
            forwarder.child.pid,
            pump=spec if isinstance(spec := specs[forwarder.name], Pump) else None,
            counters=forwarder.counters,
        )
        for forwarder in path.forwarders
    ]
    subject = Subject(path, [*endpoints, *forwarders], hosts, devices)
    subject.learn_threads()
    return subject


def _host_of(pid: int, hosts: Mapping[int, str]) -> str:
    return hosts[FilePath(f"/proc/{pid}/ns/net").stat().st_ino]


SOCKET_CALLS = frozenset(name for name in DATA_CALLS if name.startswith(("send", "recv")))
"""The calls by which our generator and sink move data; what else they read is the harness's."""
