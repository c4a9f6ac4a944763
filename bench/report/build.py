"""From result sets to a report: every section that they have something for, in order."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import UsageError
from bench.report.model import Picture, Report, Table
from bench.report.sections import SECTIONS
from bench.report.sources import Sources
from bench.results import ResultSet


def build(sets: Sequence[ResultSet]) -> Report:
    """Make the report of one or more sets. Raises UsageError where none of them has a value."""
    if not any(results.samples for results in sets):
        names = ", ".join(str(results.path) for results in sets)
        raise UsageError(f"{names}: nothing was measured, so there is nothing to report")
    sources = Sources(tuple(sets))
    made = tuple(section for make in SECTIONS if (section := make(sources)))
    return Report("vnetbench: " + ", ".join(sources.names), sources.sets, made)


def pictures(report: Report) -> tuple[Picture, ...]:
    """All pictures of a report, in order."""
    return tuple(b for s in report.sections for b in s.blocks if isinstance(b, Picture))


def tables(report: Report) -> tuple[Table, ...]:
    """All tables of a report, in order."""
    return tuple(b for s in report.sections for b in s.blocks if isinstance(b, Table))
