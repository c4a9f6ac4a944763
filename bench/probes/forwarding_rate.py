"""`forwarding_rate_S`: what arrives of a flood of S-byte datagrams, by RFC 2285 (3.6.2).

A path that spends its time on packets it drops later carries less of a flood than it could, so this
is no packet rate to compare paths by: that has to be searched (`packet_rate.py`). But a search
takes many times as long, and what a change of a pump does to the work for a packet shows in a flood
as well: this is what `vnetbench ab` sees small changes with.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from bench.errors import CannotMeasure
from bench.metrics import FORWARDING_RATES
from bench.native.traffic import Received
from bench.probes.ahead import shared_cpu, shared_cpu_warnings
from bench.probes.base import Measurement, Path, Probe

_FEWEST = 100
"""Datagrams of a flood whose times say anything of a rate."""


def measure(size: int, path: Path, settings: Mapping[str, Any]) -> Measurement:
    """Flood `path` several times.

    settings: `seconds` of each flood, and `values`, how many there are. As many again are made for
    those during which the CPUs of sender and receiver were apart. Raises CannotMeasure.
    """
    # Imported here: the search uses other probes.
    from bench.search.model import APART, FLOOD, Options  # noqa: PLC0415
    from bench.search.tester import ready_for_trials  # noqa: PLC0415

    metric = FORWARDING_RATES[size]
    rates, trials = list[float](), []
    wanted, again = settings["values"], settings["values"]
    with ready_for_trials(path, size, Options()) as tester:
        tester.run(FLOOD, settings["seconds"])  # what is done for the first packets only
        while len(rates) < wanted:
            trials.append(tester.run(FLOOD, settings["seconds"]))
            arrived = tester.received.read()
            if arrived.unique < _FEWEST:
                raise CannotMeasure(f"{metric}: of a flood {arrived.unique} datagrams arrived")
            if trials[-1].apart > APART and again > 0:
                again -= 1
                trials[-1] = replace(trials[-1], discarded=True)
            else:
                rates.append(rate_of(arrived))
    return Measurement(
        {metric: rates},
        raw={metric: msgspec.json.encode(trials)},
        warnings=shared_cpu_warnings(path),
        conditions={"realtime": float(tester.realtime), **shared_cpu()},
    )


def rate_of(arrived: Received) -> float:
    """Datagrams a second, by when the first and the last were there, of at least two.

    What waits in queues when the sender ends arrives at the path's own rate, too.
    """
    return (arrived.unique - 1) / (arrived.last_ns - arrived.first_ns) * 1e9


PROBES = tuple(
    Probe(
        id=id_,
        metrics=(id_,),
        settings={
            "quick": {"seconds": 0.1, "values": 5},
            "standard": {"seconds": 0.2, "values": 10},
            "rigorous": {"seconds": 0.2, "values": 20},
        },
        measure=partial(measure, size),
        # A flood leaves much to be known as lost, which takes as long again.
        duration=lambda settings: 0.3 + 1.5 * settings["seconds"] * (settings["values"] + 1),
        missing=lambda: None,
        default=False,
    )
    for size, id_ in FORWARDING_RATES.items()
)
