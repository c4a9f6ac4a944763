"""`packet_rate_S`: the highest rates of S-byte datagrams that a path carries, by RFC 9971.

A search takes many times as long as other trials, so these are not among the probes of a run that
names none.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from bench.errors import CannotMeasure
from bench.metrics import PACKET_RATES
from bench.probes.ahead import shared_cpu, shared_cpu_warnings
from bench.probes.base import Measurement, Path, Probe

_PROFILES: dict[str, dict[str, Any]] = {
    "quick": {
        "first": 0.125,
        "final": 0.125,
        "duration_sum": 0.375,
        "width": 0.03,
        "preceding": 1,
        "stability": 3,
        "time_limit": 15.0,
    },
    "standard": {
        "first": 0.125,
        "final": 0.25,
        "duration_sum": 1.25,
        "width": 0.01,
        "preceding": 2,
        "stability": 4,
        "time_limit": 35.0,
    },
    "rigorous": {
        "first": 0.125,
        "final": 0.25,
        "duration_sum": 1.75,
        "width": 0.005,
        "preceding": 2,
        "stability": 8,
        "time_limit": 38.0,
    },
}
_SECONDS = {0.375: 7.0, 1.25: 20.0, 1.75: 27.0}
"""Sum of trials at a load → seconds of a search, roughly."""


def measure(size: int, path: Path, settings: Mapping[str, Any]) -> Measurement:
    """Search the packet rates of `path`.

    settings: fields of `bench.search.Options`. Raises CannotMeasure.
    """
    # Imported here: the search uses other probes.
    from bench.search import Options, search_rates  # noqa: PLC0415

    metrics = PACKET_RATES[size]
    options = Options(**settings, goals=tuple(metrics))
    result = search_rates(path, size, options)
    samples = {
        metrics[found.goal]: [found.rate] for found in result.found if found.rate is not None
    }
    if not samples:
        raise CannotMeasure(f"packet_rate_{size}: {'; '.join(result.warnings())}")
    return Measurement(
        samples,
        raw={f"packet_rate_{size}": msgspec.json.encode(result)},
        warnings=(
            *shared_cpu_warnings(path),
            *(f"{path.name}: {warning}" for warning in result.warnings()),
        ),
        # Ends that go before all else on their CPUs carry twice as much on a fast path.
        conditions={"realtime": float(result.realtime), **shared_cpu()},
    )


PROBES = tuple(
    Probe(
        id=f"packet_rate_{size}",
        metrics=tuple(metrics.values()),
        settings=_PROFILES,
        measure=partial(measure, size),
        duration=lambda settings: _SECONDS.get(settings.get("duration_sum", 0), 20.0),
        missing=lambda: None,
        default=False,
    )
    for size, metrics in PACKET_RATES.items()
)
