"""`ledger`: what is done for each packet, counted in a pass of its own; see `bench.ledger`.

Counts need no repetition as times do, so this is not among the probes of a run that names none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from bench.errors import CannotMeasure
from bench.probes.base import Measurement, Path, Probe

if TYPE_CHECKING:
    from bench.ledger import Ledger

_CALLS = ("useful_calls", "vain_calls", "other_calls")
_METRICS: dict[str, tuple[str, ...]] = {
    "syscalls": _CALLS,
    "working_calls": ("working_calls",),
    "copies": ("copies",),
    "copied_bytes": ("copied_bytes",),
    "memory_copies": ("memory_copies",),
    "traversals": ("traversals",),
    "wakeups": ("wakeups",),
    "segments_per_skb": ("segments_per_skb",),
}
"""Metric → the items of the ledger that it is the sum of."""
_LOSS = 0.01
"""Share of the datagrams that may be lost: they cost something and arrive nowhere."""


def measure(path: Path, settings: Mapping[str, Any]) -> Measurement:
    """Take a ledger of `path`.

    settings: the fields of a `bench.ledger.Load`. Raises CannotMeasure, also where two ways of
    counting the same thing disagree or where packets are lost. How much the tracer missed is told
    as a disturbance: a trial of which it missed too much is repeated as any that was disturbed.
    """
    # Imported here: the ledger itself uses other probes.
    from bench.ledger import Load, take  # noqa: PLC0415

    ledger = take(path, Load(**settings), overhead=False)
    if not ledger.sound:
        raise CannotMeasure(
            f"ledger: counts of the same thing disagree: {'; '.join(ledger.disagreements())}"
        )
    if ledger.sent is not None and ledger.delivered < (1 - _LOSS) * ledger.sent:
        lost = ledger.sent - round(ledger.delivered)
        raise CannotMeasure(
            f"ledger: {lost} of {ledger.sent} datagrams were lost, so the counts are not a "
            "packet's; the machine may be too busy"
        )
    return Measurement(
        _samples(ledger),
        raw={"ledger": msgspec.json.encode(ledger)},
        disturbances={"missed": ledger.missed_share},
    )


def _samples(ledger: Ledger) -> dict[str, list[float]]:
    """What was observed of each metric."""
    samples = {}
    for metric, items in _METRICS.items():
        values = [ledger.per_packet[item] for item in items]
        observed = [value for value in values if value is not None]
        if len(observed) == len(values):
            samples[metric] = [sum(observed)]
    return samples


PROBE = Probe(
    id="ledger",
    metrics=tuple(_METRICS),
    settings={
        # A millisecond between two packets: a program that is late for one still meets it alone.
        "quick": {"kind": "udp", "packets": 2_000, "size": 64, "rate": 1_000.0},
        "standard": {"kind": "udp", "packets": 5_000, "size": 64, "rate": 1_000.0},
        "rigorous": {"kind": "udp", "packets": 10_000, "size": 64, "rate": 1_000.0},
    },
    measure=measure,
    duration=lambda settings: 3.0 + settings.get("packets", 0) / settings.get("rate", 1),
    missing=lambda: None,
    default=False,
)
