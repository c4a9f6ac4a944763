"""The sections of a report: each is one module here and one entry in `SECTIONS`."""

from __future__ import annotations

from bench.report.model import Maker
from bench.report.sections import (
    delays,
    environment,
    headline,
    ladder,
    ledger,
    raw,
    sizes,
    topologies,
    verdicts,
    warnings,
    why,
)

SECTIONS: tuple[Maker, ...] = (
    headline.make,
    verdicts.make,
    ladder.make,
    sizes.make,
    delays.make,
    why.make,
    ledger.make,
    topologies.make,
    environment.make,
    warnings.make,
    raw.make,
)
"""In the order of reading."""
