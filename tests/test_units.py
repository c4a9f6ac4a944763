"""How figures are written: a ratio looks the same wherever it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli.tables import compared
from bench.report import words
from bench.sequential import Answer
from bench.units import (
    capitalised,
    counted,
    format_interval,
    format_range,
    format_ratio,
    format_times,
    format_value,
    format_visible,
    scale_of,
)
from bench.verdict import Row


@given(st.floats(0.1, 9.99))
def test_a_ratio_near_one_is_written_to_a_thousandth(ratio: float) -> None:
    text = format_ratio(ratio)
    assert len(text.partition(".")[2]) == 3
    assert float(text) == pytest.approx(ratio, abs=0.000501)


@given(st.floats(1e-6, 1e6))
def test_a_ratio_of_any_size_keeps_its_value_to_half_a_percent(ratio: float) -> None:
    text = format_ratio(ratio)
    assert "e" not in text
    assert float(text) == pytest.approx(ratio, rel=0.00501)


def test_what_there_is_not_is_said() -> None:
    assert format_interval(None, 2) == format_interval(2, None) == "-"
    assert format_interval(0.98, 1.03) == "0.980 1.030"
    assert format_visible(None) == "never"
    assert format_visible(0.0149) == "1.5%"
    assert format_times(0.0694) == "0.069x"


def test_compare_and_ab_write_the_same_figures_alike() -> None:
    cell = {"variant": "veth", "arm": "native", "metric": "rtt", "unit": "s"}
    figures = {"old": 1e-5, "new": 1.02e-5, "ratio": 1.02, "low": 1.01, "high": None}
    both = {**cell, **figures, "p": 0.5, "visible": 0.0149, "verdict": "cannot tell", "reason": ""}
    row = Row(**both, old_blocks=6, new_blocks=6)  # type: ignore[arg-type]
    answer = Answer(**both, blocks=6, level=0.05, cleared=False)  # type: ignore[arg-type]
    written = [[text.plain for text in compared(given)] for given in (row, answer)]
    assert written == [["10.0 µs", "10.2 µs", "1.020", "-", "1.5%"]] * 2


def test_a_range_says_a_unit_once_where_both_ends_have_it() -> None:
    assert format_range(24.1e9, 26e9, "bit/s") == "24.1 to 26.0 Gbit/s"
    assert format_range(9e-4, 1.1e-3, "s") == "900 µs to 1.10 ms"
    assert format_range(1.0, 2.0, "furlong") == "1.00 to 2.00 furlong"


def test_a_range_is_written_as_its_ends_are() -> None:
    assert format_range(2.0, 2.1, "1/packet", words.value) == "2.00 to 2.10 a packet"
    assert format_range(2.0, 2.1, "1", words.value) == "2.00 to 2.10"


def test_one_is_not_a_plural_and_a_sentence_begins_with_a_capital() -> None:
    assert [counted(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert [capitalised(text) for text in ("", "a TCP stream")] == ["", "A TCP stream"]


@given(st.floats(1e-9, 1e12), st.sampled_from(["bit/s", "packet/s", "s", "byte", "1"]))
def test_a_value_is_written_in_the_multiple_that_scale_of_names(value: float, unit: str) -> None:
    factor, name = scale_of(value, unit)
    number, _, written = format_value(value, unit).partition(" ")
    assert written == name
    assert float(number) * factor == pytest.approx(value, rel=0.006)
