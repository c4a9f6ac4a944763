"""The parts that pictures are made of: axes, names, rows of marks."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting import ROOT, crowded, texts_in
from sets import a_run, noisy, write_set

from bench.report.axes import (
    Span,
    linear_ticks,
    log_ticks,
    ratio_span,
    ratio_ticks,
    span_of,
)
from bench.report.naming import in_lines, path_name, set_names, slug
from bench.report.rows import MOST, Absent, Chart, Mark, Row, Series, pictures
from bench.results import load

POSITIVE = st.floats(1e-9, 1e12)
SERIES = (Series("native", 0, "o"), Series("parity", 1, "s", hollow=True))


# ---- axes ---------------------------------------------------------------------------------------


@given(st.lists(POSITIVE, min_size=1, max_size=20))
def test_an_axis_holds_all_values_and_is_log_beyond_a_decade(values: list[float]) -> None:
    span = span_of(values)
    assert all(span.low <= value <= span.high for value in values)
    assert span.log == (max(values) / min(values) > 10)
    assert span.log or span.low == 0


@given(st.lists(POSITIVE, min_size=1, max_size=20))
def test_an_axis_has_some_ticks_and_not_too_many(values: list[float]) -> None:
    span = span_of(values)
    ticks = log_ticks(span) if span.log else linear_ticks(span)
    assert 2 <= len(ticks) <= 9
    assert all(span.low <= tick <= span.high for tick in ticks)
    assert ticks == sorted(set(ticks))


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=20))
def test_an_axis_of_ratios_has_a_tick_at_one_and_room_around_it(ratios: list[float]) -> None:
    span = ratio_span(ratios)
    assert all(span.low <= ratio <= span.high for ratio in ratios)
    assert span.low < 1 < span.high
    ticks = ratio_ticks(span)
    assert 1.0 in ticks
    assert 2 <= len(ticks) <= 9


def test_zero_and_negative_values_are_never_on_a_log_axis() -> None:
    assert span_of([0.0, 1e6]) == Span(0.0, 1.05e6, log=False)
    assert not span_of([-1.0, 1e6]).log
    assert span_of([]) == Span(0.0, 1.05, log=False)
    assert span_of([0.0]).high > 0


# ---- names --------------------------------------------------------------------------------------


def test_sets_are_called_by_their_folders_and_by_more_where_these_are_alike(tmp_path: Path) -> None:
    for name in ("a/x", "b/x", "y"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_set(tmp_path / name, a_run(blocks=1), noisy(1))
    sets = [load(tmp_path / name) for name in ("a/x", "b/x", "y")]
    assert set_names(sets) == ("a/x", "b/x", "y")
    assert set_names(sets[1:]) == ("x", "y")
    assert set_names([sets[2], sets[2]]) == ("y", "y (2)")


@pytest.mark.parametrize(
    "asked", ["vxlan[mtu=1400]", "vxlan.toml[mtu=1400]", "/a/b/vxlan.toml[mtu=1400]"]
)
def test_a_path_is_called_the_same_however_it_was_asked_for(asked: str) -> None:
    assert path_name(asked) == "vxlan[mtu=1400]"


@given(st.text(max_size=80))
def test_a_slug_is_fit_for_a_file_s_name(text: str) -> None:
    assert set(slug("a", text)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not slug("a", text).endswith("-")


@given(st.text(st.sampled_from("ab=,[]1"), max_size=130))
def test_a_name_in_lines_is_the_name(name: str) -> None:
    lines = in_lines(name).split("\n")
    assert len(lines) <= 4
    assert all(len(line) <= 34 for line in lines)
    whole = "".join(lines)
    assert whole == name or (whole.endswith("…") and name.startswith(whole[:-1]))


# ---- rows ---------------------------------------------------------------------------------------


def a_chart(count: int, name: str = "path-{}", **changes: object) -> Chart:
    rows = tuple(
        Row(
            name.format(n),
            tuple(
                Mark(s, v, v * 0.9, v * 1.1, f"{v:.3g} s") for s, v in ((0, 1.0 + n), (1, 2.0 + n))
            ),
        )
        for n in range(count)
    )
    return Chart(**{"series": SERIES, "rows": rows, "label": "time", "unit": "s", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 9, 60, 61, 200])
def test_every_row_is_in_exactly_one_picture_and_none_has_too_many(count: int) -> None:
    found = pictures("a", "A", "Intro", a_chart(count))
    assert len(found) == math.ceil(count / MOST)
    assert len({picture.name for picture in found}) == len(found)
    labels = [text for picture in found for text in texts_in(picture) if text.startswith("path-")]
    assert labels == [f"path-{n}" for n in range(count)]


def test_all_pictures_of_a_chart_have_the_same_axis() -> None:
    first, last = (set(texts_in(p)) for p in pictures("a", "A", "Intro", a_chart(100)))
    ticks = {text for text in first & last if text.endswith(" s")}
    assert {"1 s", "10 s", "100 s"} <= ticks


def test_a_row_says_its_values_and_what_has_none_says_why() -> None:
    rows = (Row("a", (Mark(0, 1.0, 0.9, 1.1, "1.00 s"), Absent("failed", "bad"))),)
    (picture,) = pictures("a", "A", "Intro", a_chart(0, rows=rows))
    assert {"a", "1.00 s", "failed", "native", "parity"} <= set(texts_in(picture))
    assert "a: native 1.00 s, failed." in picture.text


def test_a_chart_without_a_mark_is_no_picture() -> None:
    assert pictures("a", "A", "Intro", a_chart(0, rows=(Row("a", (Absent("failed"),)),))) == ()


def test_a_heading_stands_above_its_rows_in_every_picture() -> None:
    rows = (
        *(Row("first", heading=True), *a_chart(70).rows),
        *(Row("second", heading=True), *a_chart(3, "other-{}").rows),
    )
    found = [texts_in(picture) for picture in pictures("a", "A", "I", a_chart(0, rows=rows))]
    assert all("first" in texts for texts in found)
    assert [("second" in texts) for texts in found] == [False, True]


@pytest.mark.parametrize("count", [9, 60])
def test_texts_of_rows_do_not_lie_over_each_other(count: int) -> None:
    for name in ("path-{}", "flannel-udp[pump=fast,batch=64,tun_offload=on,udp_offload=on,x={}]"):
        for together in (False, True):
            (picture,) = pictures("a", "A", "I", a_chart(count, name, together=together))
            assert crowded(picture) == []


def test_sections_are_named_without_numpy_or_matplotlib() -> None:
    """Both take long, and numpy's threads must not be there where something is measured."""
    program = "import sys, bench.report.sections; print({'numpy', 'matplotlib'} & {*sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert result.stdout == "set()\n"
