"""Result sets: the folder a run leaves. `docs/results.md` describes the format."""

from bench.results.derived import CellSummary, rebuild_summary, summarise
from bench.results.model import (
    Asked,
    Attempt,
    Canary,
    Cell,
    Failure,
    PlannedTrial,
    Quality,
    Run,
    Sample,
    Series,
    VariantRecord,
)
from bench.results.read import ResultSet, load
from bench.results.write import ResultWriter, beside, load_unfinished, partial_of

__all__ = [
    "Asked",
    "Attempt",
    "Canary",
    "Cell",
    "CellSummary",
    "Failure",
    "PlannedTrial",
    "Quality",
    "ResultSet",
    "ResultWriter",
    "Run",
    "Sample",
    "Series",
    "VariantRecord",
    "beside",
    "load",
    "load_unfinished",
    "partial_of",
    "rebuild_summary",
    "summarise",
]
