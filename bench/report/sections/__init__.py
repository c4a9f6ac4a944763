"""The sections of a report: each is one module here and one entry in `SECTIONS`."""

from __future__ import annotations

from bench.report.model import Maker

SECTIONS: tuple[Maker, ...] = ()
"""In the order of reading."""
