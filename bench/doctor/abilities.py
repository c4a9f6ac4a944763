"""What there is to measure with."""

from __future__ import annotations

from collections.abc import Iterable

from bench.doctor import features, kinds, tools
from bench.doctor.model import Check


def checks() -> Iterable[Check]:
    """All of them, the most important ones first."""
    yield from features.CHECKS
    yield from kinds.checks()
    yield from tools.checks()
