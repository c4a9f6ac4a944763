"""OpenMetrics 1.0 text: a gauge for each metric, with the cell in its labels.

A unit is the suffix of the name, in base units, as the specification wants it. It allows no dots:
`delay_50_p99.9` is `vnetbench_delay_50_p99_9_seconds`.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.metrics import METRICS
from bench.results import CellSummary, ResultSet, summarise

_UNITS = {
    "s": "seconds",
    "byte": "bytes",
    "bit/s": "bits_per_second",
    "packet/s": "packets_per_second",
    "1/packet": "per_packet",
    "B/packet": "bytes_per_packet",
    "1": "ratio",
}
"""Unit of ours → the word for it; another one has none."""


def export(results: ResultSet) -> str:
    """The whole set. The samples have no time stamp: a scraper gives its own."""
    cells = [cell for cell in summarise(results) if cell.metric in METRICS]
    metrics = dict.fromkeys(cell.metric for cell in cells)
    lines = [
        line
        for metric in metrics
        for line in _family(metric, [cell for cell in cells if cell.metric == metric])
    ]
    return "\n".join([*lines, "# EOF", ""])


def _family(metric: str, cells: list[CellSummary]) -> Iterator[str]:
    unit = _UNITS.get(METRICS[metric].unit)
    # What already ends with its unit (instructions_per_packet) says it once.
    own = unit is None or metric.endswith(f"_{unit}")
    name = f"vnetbench_{metric.replace('.', '_')}" + ("" if own else f"_{unit}")
    yield f"# TYPE {name} gauge"
    if unit is not None:
        yield f"# UNIT {name} {unit}"
    yield f"# HELP {name} {_escaped(METRICS[metric].description)}"
    for cell in cells:
        place = f'variant="{_escaped(cell.variant)}",arm="{_escaped(cell.arm)}"'
        for stat, value in (("median", cell.median), ("low", cell.low), ("high", cell.high)):
            if value is not None:
                yield f'{name}{{{place},stat="{stat}"}} {value!r}'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
