"""The sections of a report: each is one module here and one entry in `SECTIONS`."""

from __future__ import annotations

from bench.report.model import Maker
from bench.report.sections import topologies, why

SECTIONS: tuple[Maker, ...] = (why.make, topologies.make)
"""In the order of reading."""
