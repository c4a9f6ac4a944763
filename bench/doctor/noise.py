"""What makes figures of this machine less steady, or worse."""

from __future__ import annotations

from collections.abc import Iterable

from bench.doctor import company, kernel, others, processors
from bench.doctor.model import Check


def checks() -> Iterable[Check]:
    """All of them: who else is on the machine, its processors, its kernel."""
    yield from company.CHECKS
    yield from others.CHECKS
    yield from processors.CHECKS
    yield from kernel.CHECKS
