"""Who counts: one entry of `OBSERVERS` each.

An observer is set up before the load and says so with an exception where it cannot. Counting begins
when all are ready and ends when the path is quiet, so each looks at the same packets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.ledger import devices, process, snmp, trace
from bench.ledger.devices import DeviceCounts
from bench.ledger.subject import Subject
from bench.ledger.trace import Traced


class Watch(Protocol):
    """A counting that is ready to begin."""

    def begin(self) -> None:
        """Count from here on."""

    def end(self) -> None:
        """Count up to here."""

    def counted(self) -> Any:
        """What was counted. Raises Unseen where that failed."""


Observer = Callable[[Subject], AbstractContextManager[Watch]]
"""Ready to count; raises Unseen where it cannot be."""


class _Difference:
    """Something that counts anyway, read before and after; `read` gives name → count."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read
        self._before: Any = None
        self._after: Any = None

    def begin(self) -> None:
        self._before = self._read()

    def end(self) -> None:
        self._after = self._read()

    def counted(self) -> Any:
        return minus(self._after, self._before)


def minus(after: Any, before: Any) -> Any:
    """`after` - `before`, key by key; what was not there before began at 0."""
    if isinstance(after, Mapping):
        return {key: minus(value, (before or {}).get(key)) for key, value in after.items()}
    return after - (before or 0)


def _differing(read: Callable[[Subject], Any]) -> Observer:
    @contextmanager
    def watch(subject: Subject) -> Iterator[Watch]:
        yield _Difference(lambda: read(subject))

    return watch


def _pump_counters(subject: Subject) -> dict[int, dict[str, int]]:
    return {p.pid: p.counters() for p in subject.processes if p.counters is not None}


OBSERVERS: dict[str, Observer] = {
    # The first begins first and ends last: what the others do to look is in its counts alone.
    "trace": trace.watching,
    "snmp": _differing(snmp.read),
    "devices": _differing(devices.read),
    "process": _differing(process.switches),
    "sleeps": _differing(process.sleeps),
    "pumps": _differing(_pump_counters),
}

UNOBTRUSIVE = {name: observer for name, observer in OBSERVERS.items() if name != "trace"}
"""Those that read what is counted anyway, so that times can be taken as well."""


@dataclass
class Seen:
    """What was counted, by observer; None: nothing, `reasons` says why.

    snmp: host → counter → count. devices: (host, device) → counts. process: thread id → context
    switches. pumps: process id → counter → count.
    """

    trace: Traced | None = None
    snmp: dict[str, dict[str, int]] | None = None
    devices: dict[tuple[str, str], DeviceCounts] | None = None
    process: dict[int, int] | None = None
    sleeps: dict[int, int] | None = None
    pumps: dict[int, dict[str, int]] | None = None
    reasons: dict[str, str] = field(default_factory=dict)
