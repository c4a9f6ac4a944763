"""Counts whose blocks disagree: what the majority of them says, and what is left in doubt."""

import dataclasses
from collections.abc import Sequence

import pytest
from files import ROOT
from gated import COUNTS, a_ledger_run
from imagined import imagine

from bench.compare import compare
from bench.counts import CountRow
from bench.gate.decide import Decision, decide, suspects
from bench.gate.github import workflow_commands
from bench.gate.markdown import markdown
from bench.gate.words import headline
from bench.results import ResultSet, load

ASKED = {("tun-relay", "native", "ledger")}


def blocks(name: str, values: Sequence[float], metric: str = "working_calls") -> ResultSet:
    """A ledger with these values of one count, block by block; all others as they always are."""
    return imagine(
        name,
        a_ledger_run(len(values)),
        lambda trial: {**COUNTS, metric: values[trial.block - 1]},
    )


def judged(old: ResultSet, new: ResultSet, metric: str = "working_calls") -> CountRow:
    [row] = [row for row in compare(old, new).counts if row.metric == metric]
    return row


def reasons(decision: Decision) -> list[str]:
    assert {problem.name for problem in decision.problems} <= {"working_calls[tun-relay,native]"}
    return [problem.reason for problem in decision.problems]


OLD = blocks("old", [4, 4, 4])


# ---- one comparison -----------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[5, 5, 4.05], [4.05, 9, 9], [5, 4, 5, 5], [5]])
def test_what_more_than_half_of_the_blocks_show_is_so(more: list[float]) -> None:
    more_calls = blocks("more", more)
    assert judged(OLD, more_calls).verdict == "worse"
    assert judged(more_calls, OLD).verdict == "better"


@pytest.mark.parametrize("new", [[5, 4], [5, 4, 4], [5, 5, 4, 4]])
def test_what_some_blocks_show_is_neither_so_nor_the_same(new: list[float]) -> None:
    row = judged(OLD, blocks("new", new))
    assert (row.verdict, row.doubtful) == ("cannot tell", True)
    assert row.reason == "got worse in some blocks only"


def test_a_median_that_got_worse_is_in_doubt_where_an_old_block_was_as_bad() -> None:
    row = judged(blocks("old", [4, 4, 5]), blocks("new", [5, 5, 5]))
    assert (row.verdict, row.doubtful) == ("cannot tell", True)
    assert row.reason == "got worse by the median, but an old block was as bad"


def test_a_block_that_a_busy_machine_disturbed_makes_nothing_worse() -> None:
    """Disturbed blocks lie below the others, so the highest of a session are its true ones."""
    old, new = (blocks(n, v, "syscalls") for n, v in (("old", [8, 7, 8]), ("new", [8, 8, 8])))
    assert judged(old, new, "syscalls").verdict == "same"
    assert not judged(new, old, "syscalls").doubtful


def test_fewer_segments_of_some_blocks_are_in_doubt_and_of_most_worse() -> None:
    def segments(name: str, *values: float) -> ResultSet:
        return blocks(name, values, "segments_per_skb")

    old = segments("old", 10, 10, 10)
    some = judged(old, segments("new", 5, 10, 10), "segments_per_skb")
    assert (some.verdict, some.doubtful) == ("cannot tell", True)
    assert judged(old, segments("new", 5, 5, 10), "segments_per_skb").verdict == "worse"
    more = judged(old, segments("new", 20, 10, 10), "segments_per_skb")
    assert (more.verdict, more.doubtful) == ("same", False)


# ---- how much more is seen ----------------------------------------------------------------------


def kept(name: str) -> ResultSet:
    return load(ROOT / "results" / name)


def with_one_more(results: ResultSet, metric: str) -> ResultSet:
    """The set, had the path one more of it for each packet."""
    more = tuple(
        s._replace(value=s.value + 1) if s.metric == metric else s for s in results.samples
    )
    return dataclasses.replace(results, samples=more)


@pytest.mark.parametrize("session", ["ledger-baseline", "reference-loaded"])
@pytest.mark.parametrize("metric", ["syscalls", "wakeups", "working_calls", "copies"])
def test_one_more_for_each_packet_is_seen_beside_the_kept_baseline(
    session: str, metric: str
) -> None:
    """On the machine of the baseline, and on one that was measured while others loaded it."""
    old = kept("ledger-baseline")
    unchanged = compare(old, kept(session)).counts
    assert {row.verdict for row in unchanged} == {"same"}
    rows = compare(old, with_one_more(kept(session), metric)).counts
    assert {row.verdict for row in rows if row.metric == metric} == {"worse"}
    assert {row.verdict for row in rows if row.metric != metric} == {"same"}


def test_one_more_is_seen_however_many_there_are() -> None:
    for metric in COUNTS.keys() - {"copied_bytes", "segments_per_skb"}:
        old, new = blocks("old", [1000] * 3, metric), blocks("new", [1001] * 3, metric)
        assert judged(old, new, metric).verdict == "worse", metric


def test_a_busy_machine_looks_better_by_more_than_what_would_be_worse() -> None:
    quiet = blocks("quiet", [14, 14, 14], "syscalls")
    busy = blocks("busy", [13.2, 13.3, 13.4], "syscalls")
    assert judged(quiet, busy, "syscalls").verdict == "same"
    assert judged(quiet, busy, "syscalls").tolerance == pytest.approx(0.9)
    assert judged(busy, quiet, "syscalls").verdict == "worse"
    assert judged(busy, quiet, "syscalls").tolerance == 0.5
    assert judged(quiet, quiet, "syscalls").tolerance == 0.5


# ---- both looks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("new", [[5, 5, 4.05], [9, 9, 4.05], [5, 4, 4], [5, 4]])
def test_what_got_worse_in_any_block_is_measured_once_more(new: list[float]) -> None:
    assert suspects(OLD, blocks("new", new)) == ASKED
    assert decide(OLD, blocks("new", new)).verdict == "incomplete"


def test_one_block_that_looks_old_hides_no_regression() -> None:
    for looks in (([5, 5, 4.05], [5, 5, 5]), ([5, 5, 5], [5, 4.05, 5]), ([9, 4.05, 9],) * 2):
        new, again = (blocks(*named) for named in zip(("new", "again"), looks, strict=True))
        assert decide(OLD, new, again).exit_code == 1, looks


@pytest.mark.parametrize(
    ("new", "again", "says"),
    [
        ([5, 5, 5], [5, 4, 4], "got worse, and in the second look got worse in some blocks only"),
        ([5, 4, 4], [5, 5, 5], "got worse in some blocks only, and in the second look got worse"),
        (
            [5, 4],
            [4, 5],
            "got worse in some blocks only, and in the second look got worse in some blocks only",
        ),
    ],
)
def test_what_is_in_doubt_in_either_look_is_neither_confirmed_nor_cleared(
    new: list[float], again: list[float], says: str
) -> None:
    decision = decide(OLD, blocks("new", new), blocks("again", again))
    assert (decision.verdict, reasons(decision)) == ("incomplete", [says])
    assert {f.confirmed for f in decision.findings if f.suspicious} == {None}
    assert "| tun-relay | " in markdown(decision).partition("<details>")[0]


def test_what_is_in_doubt_and_was_not_measured_once_more_does_not_pass() -> None:
    decision = decide(OLD, blocks("new", [5, 4]), unconfirmed="no time was left")
    says = "got worse in some blocks only, and was not measured once more: no time was left"
    assert (decision.verdict, reasons(decision)) == ("incomplete", [says])


def test_what_was_in_doubt_once_and_not_again_passes_and_is_said() -> None:
    decision = decide(OLD, blocks("new", [5, 4, 4]), blocks("again", [4, 4, 4]))
    assert (decision.exit_code, reasons(decision)) == (0, [])
    assert headline(decision) == "passed: 1 of 8 cells got worse once and not again"
    [warning] = [line for line in workflow_commands(decision) if line.startswith("::warning")]
    assert "working_calls[tun-relay,native]" in warning
    assert "cannot tell, once" in warning


def test_a_baseline_with_a_block_as_bad_is_no_reason_to_pass() -> None:
    old = blocks("old", [4, 4, 5])
    new, again = blocks("new", [5, 5, 5]), blocks("again", [5, 5, 5])
    assert suspects(old, new) == ASKED
    decision = decide(old, new, again)
    assert decision.verdict == "incomplete"
    assert "an old block was as bad" in reasons(decision)[0]
