"""Taking a ledger: one load, everything counted, the counts turned into a `Ledger`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict

from bench.errors import CannotMeasure
from bench.ledger import trace
from bench.ledger.checks import check
from bench.ledger.evidence import Evidence
from bench.ledger.items import ITEMS, Item, Part, drops_by_reason
from bench.ledger.loads import Delivered, prepared, wait_until_quiet
from bench.ledger.model import Ledger, Load, Overhead, Unseen
from bench.ledger.observers import OBSERVERS, Observer, Seen
from bench.ledger.predict import expected
from bench.ledger.subject import subject_of
from bench.probes.base import Path
from bench.soaker import Account, soaking

_IDLE = 0.3
"""Seconds of each of the idle windows that tell what a load spends."""


def take(path: Path, load: Load, *, overhead: bool = True) -> Ledger:
    """Count everything that happens to the packets of `load` on `path`.

    overhead: send the load once more, before, without the tracer, to learn what tracing costs.
    Raises CannotMeasure where the load does not arrive.
    """
    reason = trace.missing() or ""
    if not overhead or reason:
        evidence = observe(path, load)
        return assemble(
            evidence, load, None, reason or evidence.seen.reasons.get("trace", "not asked for")
        )
    with soaking() as soaker:
        plain, traced = Account(soaker, _IDLE), Account(soaker, _IDLE)
        packets = _run(path, load, plain).packets
        evidence = observe(path, load, account=traced)
    if (why := evidence.seen.reasons.get("trace")) is not None:
        return assemble(evidence, load, None, why)
    try:
        found = _overhead(plain.used() / packets, traced.used() / evidence.delivered.packets)
    except CannotMeasure as error:
        return assemble(evidence, load, None, str(error))
    return assemble(evidence, load, found)


def observe(
    path: Path,
    load: Load,
    observers: dict[str, Observer] | None = None,
    account: Account | None = None,
) -> Evidence:
    """Send the load with everybody counting; `account` learns what the machine spends meanwhile."""
    seen = Seen()
    with prepared(path, load) as ready, ExitStack() as stack:
        subject = subject_of(path, ready.processes)
        watches = {}
        for name, observer in (observers or OBSERVERS).items():
            try:
                watches[name] = stack.enter_context(observer(subject))
            except Unseen as unseen:
                seen.reasons[name] = str(unseen)
        if account is not None:
            account.rest()
        for watch in watches.values():
            watch.begin()
        delivered = account.during(ready.run) if account is not None else ready.run()
        wait_until_quiet(path)
        for watch in reversed(watches.values()):
            watch.end()
        if account is not None:
            account.rest()
        for name, watch in watches.items():
            try:
                setattr(seen, name, watch.counted())
            except Unseen as unseen:
                seen.reasons[name] = str(unseen)
    return Evidence(subject, delivered, seen)


def _run(path: Path, load: Load, account: Account) -> Delivered:
    """Send the load when nobody looks; `account` learns what the machine spends on it."""
    with prepared(path, load) as ready:
        account.rest()
        delivered = account.during(ready.run)
        account.rest()
    return delivered


def _overhead(plain: float, traced: float) -> Overhead:
    """Compare what the machine spends on a packet without and with the tracer."""
    what = "CPU time of the whole machine, softirqs included"
    return Overhead(what=what, unit="s", plain=plain, traced=traced, ratio=traced / plain)


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
        missed_share=evidence.seen.trace.missed_share if evidence.seen.trace else None,
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
