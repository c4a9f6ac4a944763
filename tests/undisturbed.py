"""Claims of tests about times, on a machine where somebody else may be busy."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from bench.quality.rule import REPEATS, judge
from bench.quality.watch import watching
from bench.soaker import Disturbed

Result = TypeVar("Result")


def undisturbed(measure: Callable[[], Result]) -> Result:
    """What `measure` returns; again, as in a run and by its rule, where others disturbed it.

    The rule never sees what was measured. Where all tries were disturbed the test is skipped.
    """
    reason = ""
    for _ in range(1 + REPEATS):
        try:
            with watching() as watch:
                result = measure()
        except Disturbed as disturbed:
            reason = str(disturbed)
            continue
        if not (spoilt := judge(watch.figures)):
            return result
        reason = f"disturbed {1 + REPEATS} times, at last by {', '.join(spoilt)}"
    pytest.skip(reason)


def least_below(bound: float, duration: Callable[[], float], tries: int = 10) -> float:
    """The least of some durations: the program's own time, whatever else the machine is busy with.

    No more are taken once one is below `bound`; else the tries are half a second apart.
    """
    best = duration()
    for _ in range(tries - 1):
        if best < bound:
            break
        time.sleep(0.5)
        best = min(best, duration())
    return best
