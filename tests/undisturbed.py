"""Claims of tests about times, which hold where nobody else is busy on the machine."""

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
