"""The search itself: the library of the authors of RFC 9971 (PyPI: MLRsearch).

It decides which rate to try next and for how long; whatever it asks for is measured elsewhere.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.search.model import Attempt, Options


@dataclass(frozen=True)
class Bounds:
    """The library's answer for one goal; see `Found`."""

    lower: float | None
    upper: float | None
    throughput: float | None


class OutOfTime(Exception):
    """The search was ended before it had all bounds."""


def find(
    attempt: Attempt, options: Options, lowest: float, highest: float, time_limit: float
) -> dict[float, Bounds]:
    """Search between two rates; goal → bounds. Raises OutOfTime.

    Whatever else is raised, by the library or by `attempt`, is no lack of time. The library reports
    that by a RuntimeError, as it does its own defects, so it is given no limit and we keep it.
    """
    # Imported here: only one probe needs it.
    import MLRsearch  # noqa: PLC0415

    goals = {
        goal: MLRsearch.SearchGoal(
            loss_ratio=goal,
            exceed_ratio=options.exceed_ratio,
            relative_width=options.width,
            initial_trial_duration=options.first,
            final_trial_duration=options.final,
            duration_sum=options.duration_sum,
            preceding_targets=options.preceding,
            expansion_coefficient=options.expansion,
            fail_fast=False,
        )
        for goal in options.goals
    }
    config = MLRsearch.Config(
        goals=list(goals.values()),
        min_load=lowest,
        max_load=highest,
        search_duration_max=math.inf,
        warmup_duration=None,
    )
    measurer = _Measurer(attempt, MLRsearch.MeasurementResult, time.monotonic() + time_limit)
    answer = MLRsearch.MultipleLossRatioSearch(config=config).search(measurer, _silent)
    return {goal: _bounds(answer[wanted]) for goal, wanted in goals.items()}


class _Measurer:
    """Whom the library asks for trials, of which it has one in any case."""

    def __init__(self, attempt: Attempt, result: Callable[..., Any], deadline: float) -> None:
        self._attempt, self._result, self._deadline = attempt, result, deadline
        self._asked = False

    def measure(self, intended_duration: float, intended_load: float) -> Any:
        """Called by the library, by these names. Raises OutOfTime."""
        if self._asked and time.monotonic() >= self._deadline:
            raise OutOfTime("another trial was wanted when the time was up")
        self._asked = True
        trial = self._attempt(intended_load, intended_duration)
        return self._result(
            intended_duration=intended_duration,
            intended_load=intended_load,
            offered_count=trial.sent,
            loss_count=trial.missing,
            intended_count=trial.sent + trial.unsent,
        )


def _bounds(result: Any) -> Bounds:
    lower, upper = result.relevant_lower_bound, result.relevant_upper_bound
    throughput = result.conditional_throughput
    return Bounds(
        lower=None if lower is None else float(lower),
        upper=None if upper is None else float(upper),
        throughput=None if throughput is None else float(throughput),
    )


def _silent(_: object) -> None:
    """What the library says of each step."""
