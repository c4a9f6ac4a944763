"""Result sets in the formats of other tools: one entry of `EXPORTS`, and one file, each.

All give the medians of the block values, with their 95 % interval where there are blocks enough.
"""

from collections.abc import Callable

from bench.export import bencher, github_action_benchmark, openmetrics
from bench.results import ResultSet

EXPORTS: dict[str, Callable[[ResultSet], str]] = {
    "github-action-benchmark-smaller": github_action_benchmark.smaller,
    "github-action-benchmark-bigger": github_action_benchmark.bigger,
    "bencher": bencher.export,
    "openmetrics": openmetrics.export,
}
"""Name of the format → what writes a result set in it."""

__all__ = ["EXPORTS"]
