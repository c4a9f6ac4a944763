"""`serial` and `stream`: the time of a packet, with counts of what happened to it meanwhile.

The counts are those that nobody has to be watched for (`bench/ledger/counts.py`), so they are of
the very packets that were timed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bench.errors import CannotMeasure
from bench.ledger import Load, observe
from bench.ledger.counts import counts
from bench.ledger.model import Unseen
from bench.ledger.observers import OBSERVERS
from bench.probes.base import Measurement, Path, Probe
from bench.probes.tcp_goodput import PROBE as GOODPUT

_UNOBTRUSIVE = {name: observer for name, observer in OBSERVERS.items() if name != "trace"}


class Priced(msgspec.Struct, frozen=True):
    """What a trial keeps besides its samples.

    packets: that arrived; of TCP: segments. segment: bytes of payload of one. counts: cause → how
    many of it each of them had.
    """

    packets: float
    segment: int
    counts: dict[str, float]


def _probe(id_: str, metric: str, kind: str, settings: Mapping[str, Any], missing: Any) -> Probe:
    def measure(path: Path, settings: Mapping[str, Any]) -> Measurement:
        load = Load(kind=kind, **settings)
        evidence, _ = observe(path, load, _UNOBTRUSIVE)
        delivered = evidence.delivered
        try:
            found = Priced(delivered.packets, delivered.segment, counts(evidence))
        except Unseen as unseen:
            raise CannotMeasure(f"{id_}: {unseen}") from None
        return Measurement({metric: list(delivered.times)}, {id_: msgspec.json.encode(found)})

    return Probe(
        id=id_,
        metrics=(metric,),
        settings=dict.fromkeys(("quick", "standard", "rigorous"), settings),
        measure=measure,
        duration=lambda settings: 0.4 + settings["seconds"] * settings.get("values", 1),
        missing=missing,
        default=False,
    )


SERIAL = _probe(
    "serial",
    "packet_time",
    "echo",
    {"size": 1400, "seconds": 0.03, "values": 5},
    lambda: None,
)
STREAM = _probe("stream", "segment_time", "tcp", {"seconds": 1}, GOODPUT.missing)
