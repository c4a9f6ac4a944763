"""Running the checks: each gives one finding, whatever happens to it."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from bench.doctor import abilities, noise
from bench.doctor.model import Check, Finding, Here, Seen, Status, unknown
from bench.doctor.watch import watch
from bench.errors import CannotMeasure, VnetbenchError

NAMESPACES = "namespaces"
"""The check without which nothing can be measured."""


@dataclass(frozen=True, kw_only=True)
class Examination:
    """All that was found, as `doctor --json` prints it.

    kernel: its release. can_measure, noise: what can be measured, and what makes the machine noisy.
    """

    format: int = 1
    kernel: str = field(default_factory=platform.release)
    can_measure: tuple[Finding, ...]
    noise: tuple[Finding, ...]


def examine(here: Here) -> Examination:
    """Look at everything; takes some seconds, one of them of all that the processors have."""
    can_measure = run(abilities.checks(), here)
    seen = replace(here, watched=watch())
    return Examination(can_measure=can_measure, noise=run(noise.checks(), seen))


def run(checks: Iterable[Check], here: Here) -> tuple[Finding, ...]:
    """A finding for each check, in order."""
    return tuple(_finding(check, _look(check, here)) for check in checks)


def _look(check: Check, here: Here) -> Seen:
    """What the check sees. A machine on which its files and tools speak differently is unknown."""
    try:
        return check.look(here)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return unknown(f"{error.strerror or error}{where}")
    except (VnetbenchError, ValueError, LookupError) as error:
        return unknown(str(error))


def _finding(check: Check, seen: Seen) -> Finding:
    source = seen.source or check.source
    return Finding(check.id, check.what, seen.status, seen.found, source, check.why, seen.mend)


def exit_code(findings: Sequence[Finding]) -> int:
    """3 where nothing can be measured, else 0: the doctor advises."""
    lost = {finding.id for finding in findings if finding.status is Status.MISSING}
    return CannotMeasure.exit_code if NAMESPACES in lost else 0
