"""Taking a ledger: one load, everything counted, the counts turned into a `Ledger`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict

from bench.ledger import trace
from bench.ledger.checks import check
from bench.ledger.evidence import Evidence
from bench.ledger.items import ITEMS, Item, Part, drops_by_reason
from bench.ledger.loads import Delivered, prepared
from bench.ledger.model import Ledger, Load, Overhead, Unseen
from bench.ledger.observers import OBSERVERS, Observer, Seen
from bench.ledger.predict import expected
from bench.ledger.process import cpu_seconds
from bench.ledger.subject import Subject, subject_of
from bench.probes.base import Path

_PACING = "generator"
"""The process that spins between datagrams, whatever they cost."""


def take(path: Path, load: Load, *, overhead: bool = True) -> Ledger:
    """Count everything that happens to the packets of `load` on `path`.

    overhead: send the load once more, before, without the tracer, to learn what tracing costs.
    Raises CannotMeasure where the load does not arrive.
    """
    plain, reason = None, trace.missing() or ""
    if overhead and not reason:
        plain = cost(path, load)
    evidence, traced = observe(path, load)
    found, why = None, reason or evidence.seen.reasons.get("trace", "not asked for")
    if plain is not None and evidence.seen.trace is not None:
        found, why = _overhead(plain, traced), ""
    return assemble(evidence, load, found, why)


def observe(
    path: Path, load: Load, observers: dict[str, Observer] | None = None
) -> tuple[Evidence, float]:
    """Send the load with everybody counting. Returns that, and the `cost` of a packet meanwhile."""
    seen = Seen()
    with prepared(path, load) as ready, ExitStack() as stack:
        subject = subject_of(path, ready.processes)
        watches = {}
        for name, observer in (observers or OBSERVERS).items():
            try:
                watches[name] = stack.enter_context(observer(subject))
            except Unseen as unseen:
                seen.reasons[name] = str(unseen)
        for watch in watches.values():
            watch.begin()
        delivered, spent = _spending(subject, ready.run)
        for watch in reversed(watches.values()):
            watch.end()
        for name, watch in watches.items():
            try:
                setattr(seen, name, watch.counted())
            except Unseen as unseen:
                seen.reasons[name] = str(unseen)
    return Evidence(subject, delivered, seen), spent / delivered.packets


def cost(path: Path, load: Load) -> float:
    """What `load` costs per packet when nobody looks: see `_spending`."""
    with prepared(path, load) as ready:
        delivered, spent = _spending(subject_of(path, ready.processes), ready.run)
    return spent / delivered.packets


def _spending(subject: Subject, run: Callable[[], Delivered]) -> tuple[Delivered, float]:
    """Run; returns also the CPU seconds of the processes on the path, but for the pacing one."""
    processes = [p for p in subject.processes if p.name != _PACING]
    before = cpu_seconds(processes)
    delivered = run()
    return delivered, cpu_seconds(processes) - before


def _overhead(plain: float, traced: float) -> Overhead:
    """Compare a load's cost without and with the tracer."""
    what = "CPU time of the processes on the path but the generator"
    return Overhead(
        what=what, unit="s", plain=plain, traced=traced, ratio=traced / plain if plain else 0.0
    )


def assemble(
    evidence: Evidence, load: Load, overhead: Overhead | None = None, why: str = ""
) -> Ledger:
    """Turn counts into a ledger."""
    delivered, path = evidence.delivered, evidence.subject.path
    checks = check(evidence)
    lines = {item.id: _Line(item, evidence) for item in ITEMS.values()}
    return Ledger(
        name=path.name,
        load=asdict(load),
        sent=delivered.sent.packets if delivered.sent else None,
        delivered=delivered.packets,
        bytes=delivered.bytes,
        segment=delivered.segment,
        per_packet={id_: line.per(delivered.packets) for id_, line in lines.items()},
        per_byte={id_: line.per(delivered.bytes) for id_, line in lines.items()},
        totals={id_: line.total() for id_, line in lines.items()},
        reasons={id_: line.reason for id_, line in lines.items() if line.reason},
        sources={id_: line.source for id_, line in lines.items() if not line.reason},
        by_host={id_: line.by(lambda p: p.host) for id_, line in lines.items() if line.parts},
        by_process={id_: line.by(_label) for id_, line in lines.items() if line.parts},
        drops=drops_by_reason(evidence),
        predicted=expected(path.topology.scenario, load),
        checks=checks,
        sound=all(done.agree is not False for done in checks),
        unobserved=evidence.seen.reasons,
        events=evidence.seen.trace.events if evidence.seen.trace else 0,
        missed=evidence.seen.trace.missed if evidence.seen.trace else 0,
        overhead=overhead,
        overhead_reason=why,
    )


def _label(part: Part) -> str | None:
    return part.process.label if part.process else None


class _Line:
    """One item of a ledger, with its parts or the reason why there are none."""

    def __init__(self, item: Item, evidence: Evidence) -> None:
        self._item, self._packets = item, evidence.delivered.packets
        self.parts: list[Part] = []
        self.reason = ""
        try:
            self.parts = list(item.count(evidence))
        except Unseen as unseen:
            self.reason = str(unseen) or "not observed"
        self.source = ", ".join(dict.fromkeys(part.source for part in self.parts))

    def total(self) -> float | None:
        """The sum of all parts, or what the item has instead of one."""
        return None if self.reason else _sum(self._item, self.parts, 1)

    def per(self, units: float) -> float | None:
        """The total divided by `units`."""
        return None if self.reason else _sum(self._item, self.parts, units)

    def by(self, key: Callable[[Part], str | None]) -> dict[str, float]:
        """Per packet, for all parts that have a `key`."""
        groups: defaultdict[str, list[Part]] = defaultdict(list)
        for part in self.parts:
            name = key(part)
            if name is not None:
                groups[name].append(part)
        return {name: _sum(self._item, parts, self._packets) for name, parts in groups.items()}


def _sum(item: Item, parts: list[Part], units: float) -> float:
    count = sum(part.count for part in parts)
    if not item.ratio:
        return count / units
    weight = sum(part.weight for part in parts)
    return count / weight if weight else 0.0
