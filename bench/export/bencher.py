"""Bencher's metric format: benchmark → measure → value and, where there are, its bounds.

A variant in an arm is a benchmark, a metric is a measure: `bencher run --adapter json --file …`.
"""

from __future__ import annotations

import msgspec

from bench.results import ResultSet, summarise


def export(results: ResultSet) -> str:
    """The whole set as one JSON object."""
    benchmarks: dict[str, dict[str, dict[str, float]]] = {}
    for cell in summarise(results):
        metric = {"value": cell.median}
        if cell.low is not None and cell.high is not None:
            metric |= {"lower_value": cell.low, "upper_value": cell.high}
        benchmarks.setdefault(f"{cell.variant}/{cell.arm}", {})[cell.metric] = metric
    return msgspec.json.format(msgspec.json.encode(benchmarks), indent=1).decode() + "\n"
