"""What templates say figures with is true, and what the sets contradict is not said."""

from pathlib import Path

import jinja2
import pytest
from docs_sets import Figure, describe, ratio, total, worst
from docs_words import (
    FILTERS,
    Claims,
    Contradiction,
    at_least,
    at_most,
    bounded,
    ends,
    listing,
    percent,
    share_told,
    table,
    times,
)
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.errors import UsageError
from bench.why.model import Estimate

SHARES = st.floats(-2, 2)


def rendered(text: str, folder: Path, **known: object) -> str:
    (folder / "a.md.j2").write_text(text)
    environment = jinja2.Environment(  # noqa: S701 - Markdown
        loader=jinja2.FileSystemLoader(folder), extensions=[Claims], trim_blocks=True
    )
    environment.filters |= FILTERS
    return environment.get_template("a.md.j2").render(**known)


def test_a_claim_that_holds_leaves_nothing_behind(tmp_path: Path) -> None:
    assert rendered("a\n{% claim x < 2 %}\nb", tmp_path, x=1) == "a\nb"


def test_a_claim_that_does_not_hold_names_its_line_and_stops(tmp_path: Path) -> None:
    with pytest.raises(Contradiction) as caught:
        rendered("a\n{% claim x < 2 %}\nb", tmp_path, x=3)
    assert f"{tmp_path}/a.md.j2:2: the result sets contradict this: {{% claim x < 2 %}}" in str(
        caught.value
    )


@given(st.floats(1e-3, 1e6))
def test_what_is_at_least_so_much_is_never_rounded_up(ratio: float) -> None:
    assert ratio * 0.9 < float(at_least(ratio, "factor")) <= ratio


@given(st.floats(1e-3, 1e6))
def test_what_is_at_most_so_much_is_never_rounded_down(ratio: float) -> None:
    assert ratio <= float(at_most(ratio, "factor")) < ratio * 1.1


def test_ends_are_rounded_to_the_digits_that_their_filter_writes() -> None:
    assert (at_least(17.74, "factor"), at_most(17.04, "factor")) == ("17", "18")
    assert (at_least(0.2599, "percent"), at_most(0.02291, "percent")) == ("25 %", "2.3 %")
    assert (at_least(3.2199e-6, "seconds"), at_most(3.211e-6, "seconds")) == ("3.21 µs", "3.22 µs")


def test_a_share_that_may_be_nothing_is_told_by_what_it_is_at_the_most() -> None:
    assert share_told(Estimate(0.03, 0.01, 0.052)) == "3.0 % [1.0, 5.2]"
    assert share_told(Estimate(0.03, -0.01, 0.0521)) == "no more than 5.3 %"
    assert share_told(Estimate(0.03)) == "no more than anything"


@given(SHARES)
def test_per_cent_are_right_to_two_digits(share: float) -> None:
    text = percent(share)
    assert text.endswith(" %")
    assert float(text[:-2]) == pytest.approx(100 * share, rel=0.06, abs=1e-12)
    assert len(text.strip("-").split(".")[0]) <= 3 + len(" %")


@given(st.floats(1e-3, 1e6))
def test_ratios_are_right_to_two_digits(ratio: float) -> None:
    assert float(times(ratio).split()[0]) == pytest.approx(ratio, rel=0.051)


@given(st.lists(st.lists(st.text("ab|`*", min_size=1), min_size=2, max_size=2), max_size=4))
def test_a_table_has_as_many_columns_in_each_row(rows: list[list[str]]) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(table(["a", "b:"], rows))
    cells = [token.type for token in tokens if token.type in ("td_open", "th_open")]
    assert len(cells) == 2 + 2 * len(rows)


def test_lists_are_as_sentences_write_them() -> None:
    assert [listing("abc"[:n]) for n in (0, 1, 2, 3)] == ["", "a", "a and b", "a, b and c"]


def test_an_interval_is_written_as_its_value_is() -> None:
    assert bounded(Estimate(2e-6, 9e-7, 3e-6), "seconds") == "2.00 µs [900 ns, 3.00 µs]"
    assert bounded(Estimate(0.42, 0.039, 0.83), "percent") == "42 % [3.9, 83]"
    assert bounded(Estimate(15, 12, 22), "times") == "15 times [12, 22]"
    assert ends(Estimate(2e-6), "seconds") == "[no interval]"


def test_what_is_computed_from_intervals_reaches_as_far_as_their_ends_can_take_it() -> None:
    one, other = Estimate(6.0, 4.0, 8.0), Estimate(3.0, 2.0, 4.0)
    assert ratio(one, other) == Estimate(2.0, 1.0, 4.0)
    assert total(one, other) == Estimate(9.0, 6.0, 12.0)
    assert worst(lambda a, b: a - b, one, other) == Estimate(3.0, 0.0, 6.0)
    with pytest.raises(UsageError, match="no interval"):
        ratio(one, Estimate(3.0))


def test_figures_compare_by_value_and_surely_by_interval() -> None:
    small, large = Figure(1.0, "s", 0.9, 1.2, 8), Figure(2.0, "s", 1.1, 3.0, 8)
    assert small < large
    assert not large.surely_above(small)
    assert Figure(2.0, "s", 1.3, 3.0, 8).surely_above(small)
    assert Figure(2.0, "s", 1.5, 3.0, 8).spread == "-25% +50%"


def test_a_single_block_has_no_spread_and_is_surely_above_nothing() -> None:
    one, many = Figure(2.0, "s", 2.0, 2.0, 1), Figure(1.0, "s", 0.9, 1.2, 8)
    assert one.spread == Figure(0.0, "s", 0.0, 0.0, 1).spread == "one block"
    assert not one.surely_above(many)
    assert not Figure(3.0, "s", 2.9, 3.1, 8).surely_above(one)


def test_a_machine_is_described_as_far_as_it_is_known() -> None:
    known = {
        "hypervisor": "KVM",
        "cpus_usable": 2,
        "cpu_model": "AMD  EPYC",
        "kernel_release": "6.18.5-x",
        "distribution": "Debian GNU/Linux 12 (bookworm)",
    }
    assert describe(known) == (
        "a virtual machine with 2 CPUs (AMD EPYC) under KVM, Linux 6.18, Debian 12"
    )
    assert describe(dict.fromkeys(known)) == "a machine"
    assert describe({"hypervisor": "none", "cpus_usable": 1}) == "a machine with 1 CPU"
