"""`serial` and `stream`: the time of a packet, with counts of what happened to it meanwhile.

The counts are those that nobody has to be watched for (`bench/ledger/counts.py`), so they are of
the very packets that were timed. A packet is `PAYLOAD` bytes that arrived: the paths' MTUs differ,
and so would the work of a full packet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from bench.errors import CannotMeasure
from bench.probes import tcp_goodput
from bench.probes.base import Measurement, Path, Probe

PAYLOAD = 1400
"""Bytes; that many every path carries in one packet."""


class Priced(msgspec.Struct, frozen=True):
    """What a trial keeps besides its samples.

    packets: that arrived, of PAYLOAD bytes. counts: cause → how many of it each of them had.
    """

    packets: float
    counts: dict[str, float]


def _measure(path: Path, settings: Mapping[str, Any], probe: str, metric: str) -> Measurement:
    # Imported here: the ledger itself uses other probes.
    from bench.ledger import Load, counts, observe  # noqa: PLC0415
    from bench.ledger.model import Unseen  # noqa: PLC0415
    from bench.ledger.observers import UNOBTRUSIVE  # noqa: PLC0415

    evidence = observe(path, Load(**settings), UNOBTRUSIVE)
    delivered = evidence.delivered
    scale = PAYLOAD / delivered.segment
    try:
        each = {cause: count * scale for cause, count in counts(evidence).items()}
    except Unseen as unseen:
        raise CannotMeasure(f"{probe}: {unseen}") from None
    found = Priced(delivered.packets / scale, each)
    times = [seconds * scale for seconds in delivered.times]
    return Measurement({metric: times}, {probe: msgspec.json.encode(found)})


def _probe(
    id_: str, metric: str, settings: Mapping[str, Any], missing: Callable[[], str | None]
) -> Probe:
    return Probe(
        id=id_,
        metrics=(metric,),
        settings=dict.fromkeys(("quick", "standard", "rigorous"), settings),
        measure=lambda path, settings: _measure(path, settings, id_, metric),
        duration=lambda settings: 0.4 + settings["seconds"] * settings.get("values", 1),
        missing=missing,
        default=False,
    )


SERIAL = _probe(
    "serial",
    "packet_time",
    {"kind": "echo", "size": PAYLOAD, "seconds": 0.02, "values": 8},
    lambda: None,
)
STREAM = _probe("stream", "stream_time", {"kind": "tcp", "seconds": 1}, tcp_goodput.PROBE.missing)
