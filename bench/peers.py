"""Our pump beside the programs of others, on one topology: who takes part, and how they compare.

Equal conditions are not promised, they are looked for: what takes part has the same hosts, devices,
addresses, MTUs, links and endpoints as the scenario that it is set beside, and nothing but the
forwarders differs; only the underlay may have room for what encryption adds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from bench import programs
from bench.devices.reading import devices
from bench.errors import UsageError
from bench.metrics import METRICS, worse_by
from bench.presets import NAMES as PRESETS
from bench.results import CellSummary, ResultSet, VariantRecord, summarise
from bench.scenario import Variant, find, shipped_peers, variants
from bench.scenario.model import Host, Program, Pump, Scenario

PROBES = ("tcp_goodput", "rtt", "packet_rate_64", "cpu")
"""Probes that a comparison is made of."""
COLUMNS = ("tcp_goodput", "rtt", "packet_rate_64", "cpu_per_byte")
"""Metrics that it shows."""
PROFILE = "peers"
CLEAR = "none"
"""Cipher of a program that does not encrypt."""


@dataclass(frozen=True)
class Entry:
    """One metric of one forwarder.

    ratio: how many times as good as the best of our pumps, above 1 is better whatever the metric;
        None where either was not measured. apart: whether the intervals of both do not overlap.
    """

    summary: CellSummary | None
    ratio: float | None
    apart: bool


@dataclass(frozen=True)
class Row:
    """One forwarder: its variant's name, whether it is ours, its cipher, and an entry a column."""

    name: str
    ours: bool
    cipher: str
    entries: tuple[Entry, ...]


def taking_part(topology: str, overrides: Sequence[str] = ()) -> dict[str, Variant]:
    """Variants of our pump on `topology` and of everybody else's programs on the same.

    Ours with each set of switches that has a name; others with each cipher they can do. Raises
    UsageError where nobody else has a scenario like it.
    """
    files = find([topology])
    presets = ",".join(PRESETS)
    [alone] = variants(files)
    if not any(isinstance(forwarder, Pump) for forwarder in alone.scenario.forwarders):
        raise UsageError(f"{topology}: has no pump to set others beside")
    ours = variants(files, [f"pump={presets}", *overrides])
    others = [
        variant
        for file in shipped_peers().values()
        for variant in _with_each_cipher(file, overrides)
        if _is_same(variant.scenario, ours[0].scenario)
    ]
    if not others:
        raise UsageError(f"{topology}: no program of others has a scenario on this topology")
    return {variant.name: variant for variant in (*ours, *others)}


def rows(results: ResultSet) -> list[Row]:
    """The table of a comparison, the pumps first."""
    arm = results.run.asked.arms[0]
    found = {(s.variant, s.metric): s for s in summarise(results) if s.arm == arm}
    records = results.run.variants
    ours = [name for name, record in records.items() if "pump" in record.parameters]
    best = {metric: _best([found.get((name, metric)) for name in ours]) for metric in COLUMNS}
    return [
        Row(
            name,
            name in ours,
            _cipher(records[name], arm),
            tuple(_entry(found.get((name, metric)), best[metric]) for metric in COLUMNS),
        )
        for name in records
    ]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What `vnetbench peers --json` prints.

    results: the result set's folder. columns: the metrics of `entries`. ahead: sentences.
    failures: what was not measured, each reason of a variant once.
    """

    format: int = 1
    results: str
    status: str
    topology: str
    arm: str
    blocks: int
    columns: tuple[str, ...]
    rows: list[Row]
    ahead: list[str]
    failures: list[NotMeasured]
    warnings: tuple[str, ...]


class NotMeasured(msgspec.Struct, frozen=True):
    """A variant of which something was not measured. missing: as the machine lacks something."""

    variant: str
    reason: str
    missing: bool


def document(results: ResultSet) -> Document:
    """The table of a comparison as one document."""
    run, table = results.run, rows(results)
    failures = [NotMeasured(f.variant, f.reason, f.missing) for f in run.failures]
    return Document(
        results=str(results.path),
        status=run.status,
        topology=run.asked.scenarios[0],
        arm=run.asked.arms[0],
        blocks=run.asked.blocks,
        columns=COLUMNS,
        rows=table,
        ahead=list(ahead(table)),
        failures=list(dict.fromkeys(failures)),
        warnings=run.warnings,
    )


def ahead(table: Sequence[Row]) -> Iterator[str]:
    """Where a program that does not encrypt either is ahead of the best of our pumps."""
    for row in table:
        if row.ours or row.cipher != CLEAR:
            continue
        for metric, entry in zip(COLUMNS, row.entries, strict=True):
            if entry.ratio is not None and entry.ratio > 1:
                sure = "" if entry.apart else ", within the spread of both"
                yield f"{row.name}: {METRICS[metric].title} {entry.ratio:.2f} times as good{sure}"


def _with_each_cipher(file: Path, overrides: Sequence[str]) -> list[Variant]:
    [variant] = variants([file])
    known = [text for text in overrides if text.partition("=")[0] in variant.parameters]
    names = dict.fromkeys(
        forwarder.program
        for forwarder in variant.scenario.forwarders
        if isinstance(forwarder, Program) and forwarder.program in programs.names()
    )
    ciphers = [value for name in names for value in programs.tool(name).options.get("cipher", ())]
    if ciphers and "cipher" in variant.parameters:
        known.append(f"cipher={','.join(map(str, ciphers))}")
    return variants([file], known)


def _is_same(one: Scenario, ours: Scenario) -> bool:
    """Whether nothing but the forwarders differs, or the room that `one` has for encryption.

    A device whose MTU is above our path's smallest limits nobody: the tunnel decides how large
    packets are, and what is sent outside of it fits. It may have a larger one.
    """
    smallest = min(device.mtu for _, device in devices(ours))
    return (_fitted(one, ours, smallest), one.links, one.endpoints) == (
        ours.hosts,
        ours.links,
        ours.endpoints,
    )


def _fitted(one: Scenario, ours: Scenario, smallest: int) -> dict[str, Host]:
    """The hosts of `one`, with our MTUs where theirs are larger and ours limit nothing."""
    fitted = {}
    for name, host in one.hosts.items():
        own = ours.hosts[name].devices if name in ours.hosts else {}
        fitted[name] = replace(
            host,
            devices={
                key: replace(device, mtu=own[key].mtu)
                if key in own and device.mtu > own[key].mtu > smallest
                else device
                for key, device in host.devices.items()
            },
        )
    return fitted


def _cipher(record: VariantRecord, arm: str) -> str:
    """What a variant was found to encrypt with; "?" where it was never up."""
    running: Mapping[str, Mapping[str, str]] = record.facts.get(arm, {}).get("pumps", {})
    ciphers = dict.fromkeys(facts.get("cipher", CLEAR) for facts in running.values())
    return " ".join(ciphers) or "?"


def _best(summaries: Sequence[CellSummary | None]) -> CellSummary | None:
    there = [summary for summary in summaries if summary is not None and summary.median]
    return min(there, key=lambda s: worse_by(s.metric, there[0].median, s.median), default=None)


def _entry(summary: CellSummary | None, best: CellSummary | None) -> Entry:
    if summary is None or best is None or not summary.median:
        return Entry(summary, None, apart=False)
    ratio = math.exp(-worse_by(summary.metric, best.median, summary.median))
    (low, high), (other_low, other_high) = _span(summary), _span(best)
    return Entry(summary, ratio, apart=low > other_high or high < other_low)


def _span(summary: CellSummary) -> tuple[float, float]:
    """Its 95 % interval; lowest and highest block where there are too few for that."""
    if summary.low is None or summary.high is None:
        return summary.min, summary.max
    return summary.low, summary.high
