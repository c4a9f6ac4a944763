"""For github-action-benchmark: a JSON array of values of which all have one direction.

That action has a tool for either direction, `customSmallerIsBetter` and `customBiggerIsBetter`, and
one file for each: so there are two exports.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.metrics import METRICS
from bench.results import CellSummary, ResultSet, summarise


def smaller(results: ResultSet) -> str:
    """What is better when it is smaller, for `customSmallerIsBetter`."""
    return _export(results, "lower")


def bigger(results: ResultSet) -> str:
    """What is better when it is bigger, for `customBiggerIsBetter`."""
    return _export(results, "higher")


def _export(results: ResultSet, better: Literal["higher", "lower"]) -> str:
    entries = [
        _entry(cell)
        for cell in summarise(results)
        if cell.metric in METRICS and METRICS[cell.metric].better == better
    ]
    return msgspec.json.format(msgspec.json.encode(entries), indent=1).decode() + "\n"


def _entry(cell: CellSummary) -> dict[str, str | float]:
    entry: dict[str, str | float] = {
        "name": f"{cell.metric}[{cell.variant},{cell.arm}]",
        "unit": cell.unit,
        "value": cell.median,
        "extra": f"median of {cell.blocks} blocks, {cell.min:.6g} to {cell.max:.6g}",
    }
    if cell.low is not None and cell.high is not None:
        # The further end, so that it never looks surer than it is. The action scales what has a
        # sign and at least two characters (hence #), and prints all else as it stands.
        entry["range"] = f"± {max(cell.high - cell.median, cell.median - cell.low):#.3g}"
    return entry
