"""What is shown on terminals of any width and kind: no figure cut, no unwanted colour."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from comparing import two_sets
from gated import counted, timed
from histories import after, history
from hypothesis import given, settings
from hypothesis import strategies as st
from imagined import imagine
from made_up import US
from program import vnetbench
from rich.console import Console
from rich.text import Text
from screens import figures, on_terminal, paper, widest, written
from sets import a_run, noisy
from test_report_sections_counts import a_ledger

from bench.ab.model import AbAsked, Report
from bench.cli.ab_table import render_report
from bench.cli.gate_table import render_decision
from bench.cli.layout import FittingTable
from bench.cli.ledger_table import render_ledger
from bench.cli.tables import new_table, render_comparison, render_summary, table_of
from bench.cli.trend_table import render_trend
from bench.cli.why_table import render_answer
from bench.compare import compare
from bench.gate.decide import decide
from bench.ledger import ITEMS
from bench.results import PlannedTrial, ResultSet, load
from bench.sequential import Answer
from bench.trend.history import trend
from bench.why.model import Answer as WhyAnswer
from bench.why.model import Estimate, Gap, Price, Share

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
WIDTHS = (40, 60, 80)
SHORT = ("veth", "vxlan", "flannel-udp")
LONG = ("veth", "flannel-udp[batch=16,tun_offload=on,udp_offload=on]", "tap-bridge[mtu=9000]")
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38;[\d;]+)m")
SOME = settings(deadline=None, max_examples=40)


# ---- every table --------------------------------------------------------------------------------


def measured(variants: tuple[str, ...], seed: int = 1) -> ResultSet:
    """A run of these variants, made up in memory."""
    value = noisy(seed, 0.2)

    def values(trial: PlannedTrial) -> dict[str, float]:
        raw = value(trial)
        assert not isinstance(raw, str)
        return {trial.probe: raw[0]}

    return imagine("results/a", a_run(variants=variants), values)


def summary(variants: tuple[str, ...], console: Console) -> None:
    render_summary(measured(variants), console)


def comparison(variants: tuple[str, ...], console: Console) -> None:
    render_comparison(compare(measured(variants), measured(variants, 2)), console)


def counts(_: tuple[str, ...], console: Console) -> None:
    render_comparison(compare(counted("a", 4), counted("b", 4, syscalls=1)), console)


def decision(_: tuple[str, ...], console: Console) -> None:
    render_decision(decide(timed("a"), timed("b", 2, rtt=2)), console)
    render_decision(decide(counted("a"), counted("b", syscalls=1)), console)


def report(variants: tuple[str, ...], console: Console) -> None:
    asked = AbAsked(
        kind="variants",
        old=variants[0],
        new=variants[1],
        probes=("rtt", "tcp_goodput"),
        arms=("native", "parity"),
        margin=0.01,
        look_for=0.05,
        max_blocks=64,
        minutes=20,
        seed=1,
    )
    answers = [
        Answer(
            variant=variants[1],
            arm=arm,
            metric=metric,
            unit=unit,
            blocks=20,
            old=old,
            new=1.234 * old,
            ratio=1.234,
            low=1.1,
            high=1.3456,
            p=0.01,
            level=0.02,
            verdict="cannot tell",
            cleared=False,
            visible=0.123,
            reason="",
        )
        for arm in asked.arms
        for metric, unit, old in (("rtt", "s", 123.4e-6), ("tcp_goodput", "bit/s", 123.4e6))
    ]
    render_report(
        Report(
            results="results/ab",
            asked=asked,
            old=variants[0],
            new=variants[1],
            blocks=20,
            looks=1,
            planned_looks=[20, 40, 64],
            stopped="the time was up",
            seconds=600.0,
            answers=answers,
            failed=[],
        ),
        console,
    )


def why(variants: tuple[str, ...], console: Console) -> None:
    def about(value: float) -> Estimate:
        return Estimate(value, 0.9 * value, 1.1 * value)

    causes = {"copies": "bytes copied", "calls": "system calls"}
    prices = [
        Price(cause=cause, title=title, unit="1", seconds=about(1.234 * US))
        for cause, title in causes.items()
    ]
    shares = [
        Share(
            cause=cause,
            title=title,
            slow=123.4,
            fast=0.0123,
            seconds=about(12.34 * US),
            share=about(0.456),
        )
        for cause, title in causes.items()
    ]
    gaps = [
        Gap(
            measure="serial",
            arm=arm,
            slow=variants[1],
            fast=variants[0],
            blocks=10,
            slow_time=about(123.4 * US),
            fast_time=about(12.34 * US),
            gap=about(111.1 * US),
            ratio=about(10),
            shares=shares,
            residual=about(-1.23 * US),
            residual_share=about(-0.0123),
        )
        for arm in ("native", "parity")
    ]
    answer = WhyAnswer(
        results="results/why",
        slow=variants[1],
        fast=variants[0],
        others=[],
        prices={f"serial,{arm}": prices for arm in ("native", "parity")},
        gaps=gaps,
        ablations=[],
        bridges=[],
        unsound=[],
        notes=[],
    )
    render_answer(answer, console)


def ledger(variants: tuple[str, ...], console: Console) -> None:
    where = {id_: {"host-a": 6.17, "host-b": 6.17} for id_ in ITEMS}
    counted = dict.fromkeys(ITEMS, 12.34)
    render_ledger(a_ledger(variants[1], per_packet=counted, by_host=where), console)


RENDERERS = {f.__name__: f for f in (summary, comparison, counts, decision, report, why, ledger)}
Render = Callable[[tuple[str, ...], Console], None]


def check(render: Render, variants: tuple[str, ...], width: int) -> str:
    """Render it that wide, and see whether all is there."""
    wide, narrow = paper(1000), paper(width)
    render(variants, wide)
    render(variants, narrow)
    text = written(narrow)
    assert widest(text) <= width
    missing = [figure for figure in figures(written(wide)) if figure not in text]
    assert missing == []
    assert "…" not in text
    return text


@pytest.mark.parametrize("variants", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", RENDERERS)
def test_no_figure_is_cut_and_nothing_sticks_out(
    name: str, width: int, variants: tuple[str, ...]
) -> None:
    check(RENDERERS[name], variants, width)


NAMES = st.lists(
    st.from_regex(
        r"[a-z]{1,12}(\[[a-z_]{1,12}=[a-z0-9]{1,8}(,[a-z]{1,8}=[0-9]{1,6}){0,6}\])?", fullmatch=True
    ),
    min_size=2,
    max_size=4,
    unique=True,
).map(tuple)


@SOME
@given(NAMES, st.integers(40, 120))
def test_names_of_any_length_leave_the_figures_whole(names: tuple[str, ...], width: int) -> None:
    text = check(summary, names, width)
    letters = re.sub(r"\s", "", text)
    assert all(name in letters or _in_a_column(name, text) for name in names)


def _in_a_column(name: str, text: str) -> bool:
    """Whether a name stands in the first column of a table, perhaps on several lines."""
    first = "".join(line.split()[0] for line in text.splitlines() if line.strip())
    return name in first


def test_the_kept_sets_fit_too() -> None:
    for folder in sorted(path.parent for path in (ROOT / "results").glob("*/run.json")):
        results = load(folder)
        for width in WIDTHS:
            check(lambda _, console, results=results: render_summary(results, console), (), width)


def test_a_history_fits(tmp_path: Path) -> None:
    history(tmp_path, 24, after(15, rtt=1.3), variants=LONG)
    found = trend([tmp_path])
    for width in WIDTHS:
        check(lambda _, console: render_trend(found, console, everything=False), (), width)


# ---- the layout itself --------------------------------------------------------------------------


CELLS = st.text("abcdefgh ", max_size=30).map(str.strip)
FIGURES = st.floats(0.001, 1e6).map(lambda value: f"{value:.3f} Gbit/s")


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[bool], list[str], list[list[str]]]:
    """Which columns are figures, headings, and rows."""
    kinds = [False, *draw(st.lists(st.booleans(), min_size=1, max_size=7))]
    headings = draw(st.lists(CELLS.filter(bool), min_size=len(kinds), max_size=len(kinds)))
    row = st.tuples(*(FIGURES if kind else CELLS for kind in kinds)).map(list)
    return kinds, headings, draw(st.lists(row, min_size=1, max_size=4))


@SOME
@given(tables(), st.integers(40, 100))
def test_everything_in_any_table_is_shown_within_the_width(
    made: tuple[list[bool], list[str], list[list[str]]], width: int
) -> None:
    kinds, headings, rows = made
    table = new_table("")
    for kind, heading in zip(kinds, headings, strict=True):
        table.add_column(heading, no_wrap=kind)
    for row in rows:
        table.add_row(*map(Text, row))
    console = paper(width)
    console.print(table)
    text = written(console)
    assert widest(text) <= width
    for kind, *cells in zip(kinds, *rows, strict=True):
        assert not kind or all(cell in text for cell in cells)
    for letter in "abcdefgh":
        there = sum(cell.count(letter) for row in rows for cell in row)
        assert text.count(letter) >= there, "folded perhaps, but there"
    words = {
        word
        for heading, kind in zip(headings, kinds, strict=True)
        for word in heading.split()
        if kind
    }
    assert all(word in text for word in words)


def test_what_fits_is_left_as_it_is_and_what_does_not_becomes_blocks() -> None:
    table = table_of("TCP goodput")
    for heading in ("native", "parity"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row(*map(Text, ("flannel-udp[batch=16]", "25.1 Gbit/s", "8.75 Gbit/s")))
    wide, narrow = paper(60), paper(30)
    wide.print(table)
    narrow.print(table)
    assert "flannel-udp[batch=16]  25.1 Gbit/s  8.75 Gbit/s" in written(wide)
    assert [line.rstrip() for line in written(narrow).splitlines() if line.strip()] == [
        "TCP goodput",
        "path flannel-udp[batch=16]",
        "  native  25.1 Gbit/s",
        "  parity  8.75 Gbit/s",
    ]


def test_a_heading_in_brackets_is_no_markup() -> None:
    table = FittingTable()
    table.add_column("vxlan[mtu=1400]", no_wrap=True)
    table.add_row(Text("1.0 Gbit/s"))
    console = paper(80)
    console.print(table)
    assert "vxlan[mtu=1400]" in written(console)


# ---- colours ------------------------------------------------------------------------------------


@pytest.fixture
def compared(tmp_path: Path) -> tuple[str, str, str]:
    two_sets(tmp_path, tcp_goodput=0.5)
    return "compare", str(tmp_path / "old"), str(tmp_path / "new")


def test_colour_is_for_terminals(compared: tuple[str, str, str]) -> None:
    shown = on_terminal(*compared)
    assert shown.status == 1
    assert COLOUR.search(shown.screen)
    piped = on_terminal(*compared, piped=True)
    assert "\x1b" not in piped.out
    assert piped.screen == ""
    assert "slower" in piped.out


def test_no_color_is_honoured(compared: tuple[str, str, str]) -> None:
    shown = on_terminal(*compared, env={"NO_COLOR": "1"})
    assert "slower" in shown.text
    assert not COLOUR.search(shown.screen)


def test_force_color_is_honoured_in_a_pipe(compared: tuple[str, str, str]) -> None:
    assert COLOUR.search(on_terminal(*compared, piped=True, env={"FORCE_COLOR": "1"}).out)


def test_a_dumb_terminal_gets_no_escape_codes(compared: tuple[str, str, str]) -> None:
    assert "\x1b" not in on_terminal(*compared, env={"TERM": "dumb"}).screen


@pytest.mark.parametrize("width", WIDTHS)
def test_a_real_terminal_of_that_width_is_not_overrun(
    width: int, compared: tuple[str, str, str]
) -> None:
    shown = on_terminal(*compared, width=width)
    assert widest(shown.text) <= width
    assert "slower" in shown.text


# ---- progress -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("namespaces")
def test_progress_with_the_time_left_is_shown_on_a_terminal_and_taken_away() -> None:
    command = ("ledger", "veth", "vxlan", "--packets", 200, "--json")
    shown = on_terminal(*command, piped=True)
    assert "counting veth, 1 of 2, 6 s left" in shown.text
    assert re.search(r"counting vxlan, 2 of 2, \d+ s left", shown.text)
    ledgers = json.loads(shown.out)["ledgers"]
    assert [one["name"] for one in ledgers] == ["veth, native", "vxlan, native"]
    assert shown.screen.rstrip("\r\n").endswith(("\x1b[2K", "\x1b[?25h")), "nothing is left"


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("env", [{}, {"FORCE_COLOR": "1"}])
def test_a_run_that_nobody_watches_is_quiet(tmp_path: Path, env: dict[str, str]) -> None:
    command = ("run", "veth", "--probe", "rtt", "--arm", "native", "--blocks", 1)
    done = vnetbench(*command, "-o", tmp_path / "a", env=env)
    assert done.stderr == ""
    assert "RTT" in done.stdout


@pytest.mark.usefixtures("namespaces")
def test_a_run_that_is_watched_says_how_long_it_takes(tmp_path: Path) -> None:
    command = ("run", "veth", "--probe", "rtt", "--arm", "native", "--blocks", 2)
    shown = on_terminal(*command, "-o", tmp_path / "a", piped=True)
    assert re.search(r"2 trials in 2 blocks, about \d+ s; seed \d+", shown.text)
    assert re.search(r"1/2 \d+ s left, last veth native rtt", shown.text)
    assert "RTT" in shown.out
    assert "\x1b" not in shown.out
