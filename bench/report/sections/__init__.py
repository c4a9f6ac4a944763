"""The sections of a report: each is one module here and one entry in `SECTIONS`."""

from __future__ import annotations

from bench.report.model import Maker
from bench.report.sections import environment, headline, raw, topologies, warnings, why

SECTIONS: tuple[Maker, ...] = (
    headline.make,
    why.make,
    topologies.make,
    environment.make,
    warnings.make,
    raw.make,
)
"""In the order of reading."""
