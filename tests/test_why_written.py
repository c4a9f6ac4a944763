"""How the figures of an answer are written: an interval is its ends, and on their side of 0."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting import ROOT

from bench.why import written
from bench.why.model import Answer, Estimate

TIMES = st.floats(-1.0, 1.0).filter(lambda value: value == 0 or abs(value) > 1e-12)
SHARES = st.floats(-3.0, 3.0).filter(lambda value: value == 0 or abs(value) > 1e-9)


def ends(text: str) -> tuple[float, float]:
    """The two printed ends, without their units."""
    found = re.search(r"\[(-?[\d.]+)[^,]*, (-?[\d.]+)[^\]]*\]", text)
    assert found is not None, text
    return float(found[1]), float(found[2])


def sign(value: float) -> int:
    return (value > 0) - (value < 0)


def test_an_interval_that_is_skewed_is_written_by_its_ends() -> None:
    skewed = Estimate(537e-9, 485e-9, 1757e-9)
    assert written.time_and_interval(skewed) == "537 ns [485 ns, 1.76 µs]"


def test_a_unit_that_all_three_have_is_written_once() -> None:
    assert written.time_and_interval(Estimate(2.15e-6, 1.2e-6, 2.68e-6)) == "2.15 µs [1.20, 2.68]"


def test_a_time_without_an_interval_is_written_alone() -> None:
    assert written.time_and_interval(Estimate(2e-6)) == "2.00 µs"


@given(TIMES, TIMES, TIMES)
def test_a_written_end_of_a_time_is_on_the_side_of_0_of_the_stored_one(
    value: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    text = written.time_and_interval(Estimate(value, low, high))
    assert tuple(map(sign, ends(text))) == (sign(low), sign(high))


@given(SHARES, SHARES, SHARES)
def test_a_written_end_of_a_share_is_on_the_side_of_0_of_the_stored_one(
    value: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    text = written.share(Estimate(value, low, high))
    assert tuple(map(sign, ends(text))) == (sign(low), sign(high))


@pytest.mark.parametrize("measure", ["serial", "stream"])
def test_the_kept_answer_is_written_as_certain_as_it_is(measure: str) -> None:
    kept = msgspec.json.decode((ROOT / "results/reference-why/why.json").read_bytes(), type=Answer)
    estimates = [
        estimate
        for gap in kept.gaps
        if gap.measure == measure
        for estimate in (gap.residual, gap.gap, *(share.seconds for share in gap.shares))
        if estimate.low is not None
    ]
    assert estimates
    for estimate in estimates:
        low, high = ends(written.time_and_interval(estimate))
        assert (low > 0 or high < 0) == estimate.certain
