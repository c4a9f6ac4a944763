"""What happens to a trial that was disturbed: it is made again, so often and no more."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from bench.quality.rule import BUDGET, judge
from bench.results import Attempt, Run


class Watched(Protocol):
    """What one try gave: its values by metric, and what was watched meanwhile."""

    @property
    def samples(self) -> Mapping[str, list[float]]: ...

    @property
    def figures(self) -> Mapping[str, float | None]: ...


Given = TypeVar("Given", bound=Watched)


class Repeats:
    """How many repeats a run has left."""

    def __init__(self, run: Run) -> None:
        """Those that are on record are spent, so a run that is resumed has no more than another."""
        self._each = run.asked.repeats
        # Of a trial that failed when it was repeated, even the last try on record was repeated.
        failed = {failure.trial for failure in run.failures}
        spent = sum(len(r.attempts) - (r.trial not in failed) for r in run.quality)
        self._left = math.ceil(BUDGET * len(run.plan)) - spent

    def settle(self, measure: Callable[[], Given], attempts: list[Attempt]) -> Given:
        """Measure until nothing disturbs it or no repeat is left; returns what the last try gave.

        Every try is added to `attempts` as soon as it is over, those that do not count with their
        values; the list is the caller's, who so has it where a later try raises.
        """
        while True:
            given = measure()
            spoilt = judge(given.figures)
            again = bool(spoilt) and len(attempts) < self._each and self._left > 0
            samples = {metric: list(v) for metric, v in given.samples.items()} if again else {}
            attempts.append(Attempt(dict(given.figures), spoilt, samples))
            if not again:
                return given
            self._left -= 1
