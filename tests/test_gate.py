"""The gate's decision: what fails it, what only advises, and how it says so."""

import dataclasses
import json
from collections.abc import Mapping

import msgspec
import pytest
from files import ROOT
from gated import COUNTS, counted, timed
from imagined import imagine
from msgspec.structs import replace
from sets import BASE, a_run, noisy

from bench.compare import compare
from bench.counts import TOLERANCES
from bench.errors import UsageError
from bench.gate.decide import Decision, decide, suspects
from bench.gate.drift import slowdown
from bench.gate.github import workflow_commands
from bench.gate.markdown import markdown
from bench.gate.rules import STAGES, stage_of
from bench.gate.words import headline, smallest_effects
from bench.metrics import METRICS
from bench.probes import PROBES
from bench.results import Canary, PlannedTrial, ResultSet


def verdicts(decision: Decision) -> dict[str, str]:
    return {found.metric: found.verdict for found in decision.findings}


# ---- counts -------------------------------------------------------------------------------------


def test_counts_that_are_nothing_in_both_sets_are_the_same() -> None:
    rows = compare(counted("old"), counted("new")).counts
    assert {row.metric: row.verdict for row in rows} == dict.fromkeys(COUNTS, "same")
    assert compare(counted("old"), counted("new")).refused == []


@pytest.mark.parametrize(
    ("metric", "change"),
    [
        ("syscalls", 1),
        ("working_calls", 1),
        ("copies", 1),
        ("memory_copies", 1),
        ("copied_bytes", 64),
        ("traversals", 1),
        ("wakeups", 1),
        ("segments_per_skb", -0.5),
    ],
)
def test_one_more_of_anything_is_worse_and_one_less_is_better(metric: str, change: float) -> None:
    old, new = counted("old"), counted("new", **{metric: change})
    assert set(COUNTS) == TOLERANCES.keys()
    for a, b, verdict, status in ((old, new, "worse", 1), (new, old, "better", 0)):
        comparison = compare(a, b)
        found = {row.metric: row.verdict for row in comparison.counts}
        assert found == dict.fromkeys(COUNTS, "same") | {metric: verdict}
        assert comparison.exit_code(strict=False) == status


def test_counts_within_their_tolerance_are_the_same() -> None:
    more = {"syscalls": 0.5, "copies": 0.1, "wakeups": 0.5}
    less = {"syscalls": -0.6, "copies": -0.1, "wakeups": -0.55}
    for changes in (more, less):
        comparison = compare(counted("old"), counted("new", **changes))
        assert {row.verdict for row in comparison.counts} == {"same"}


def test_counts_of_sessions_that_overlap_have_no_verdict() -> None:
    old, new = counted("old", 3, wobble=9), counted("new", 2, wobble=9)
    rows = [row for row in compare(old, new).counts if row.verdict != "same"]
    assert rows
    assert {row.verdict for row in rows} == {"cannot tell"}
    assert compare(old, new).exit_code(strict=False) == 0
    assert compare(old, new).exit_code(strict=True) == 3


def test_every_metric_of_the_ledger_is_judged_by_a_tolerance() -> None:
    assert set(PROBES["ledger"].metrics) == set(TOLERANCES)
    assert {stage_of(metric).id for metric in TOLERANCES} == {"ledger"}


# ---- stages -------------------------------------------------------------------------------------


def test_counts_come_before_instructions_before_times_before_tails() -> None:
    assert [stage.id for stage in STAGES] == ["ledger", "instructions", "time", "tails"]
    assert [stage.fails for stage in STAGES] == [True, True, True, False]
    assert stage_of("instructions_per_packet").id == "instructions"
    assert stage_of("tcp_goodput").id == "time"
    assert {stage_of(m).id for m in ("delay_50_p99", "delay_90_p99.9", "delay_10_p99_9")} == {
        "tails"
    }


def test_a_regression_fails_only_if_the_second_look_shows_it_again() -> None:
    old, worse = counted("old"), counted("new", syscalls=1)
    assert suspects(old, worse) == {("tun-relay", "native", "ledger")}
    twice = decide(old, worse, counted("again", syscalls=1))
    assert (twice.exit_code, twice.verdict, twice.decided_by) == (1, "failed", "ledger")
    once = decide(old, worse, counted("again"))
    assert (once.exit_code, once.verdict) == (0, "passed")
    assert headline(once) == "passed: 1 of 8 cells got worse once and not again"
    other = decide(old, worse, counted("again", wakeups=1))
    assert other.exit_code == 0


def test_the_first_stage_that_got_worse_decides() -> None:
    def both(name: str, more: float) -> ResultSet:
        run = a_run(variants=("veth",), arms=("native",), probes=("rtt", "ledger"), blocks=6)
        value = noisy(1)

        def values(trial: PlannedTrial) -> Mapping[str, float]:
            if trial.probe == "ledger":
                return {metric: n + more for metric, n in COUNTS.items()}
            raw = value(trial)
            assert not isinstance(raw, str)
            return {"rtt": raw[0] * (1 + more)}

        return imagine(name, run, values)

    decision = decide(both("old", 0), both("new", 1), both("again", 1))
    assert decision.decided_by == "ledger"
    assert {found.stage for found in decision.findings if found.fails} == {"ledger", "time"}
    assert [found.stage for found in decision.findings] == sorted(
        (found.stage for found in decision.findings), key=["ledger", "time"].index
    )


def test_a_slowdown_within_the_margin_passes_and_one_beyond_it_fails() -> None:
    old = timed("old")
    for factor, status in ((1.15, 0), (1.4, 1)):
        new, again = timed("new", 2, rtt=factor), timed("again", 3, rtt=factor)
        assert decide(old, new, again).exit_code == status
    assert decide(old, timed("new", 2, rtt=1.4), timed("again", 3, rtt=1.4), 0.5).exit_code == 0


def test_a_faster_path_passes() -> None:
    decision = decide(timed("old"), timed("new", 2, rtt=0.5, tcp_goodput=2))
    assert decision.exit_code == 0
    assert set(verdicts(decision).values()) == {"better"}


def test_tails_advise_and_never_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    tail = "rtt_p99"
    monkeypatch.setitem(METRICS, tail, METRICS["rtt"])
    monkeypatch.setitem(BASE, tail, 1e-3)

    def session(name: str, factor: float) -> ResultSet:
        value = noisy(1)
        run = a_run(variants=("veth",), arms=("native",), probes=(tail,), blocks=6)

        def values(trial: PlannedTrial) -> Mapping[str, float]:
            raw = value(trial)
            assert not isinstance(raw, str)
            return {tail: raw[0] * factor}

        return imagine(name, run, values)

    old, new = session("old", 1), session("new", 3)
    assert suspects(old, new) == set()
    decision = decide(old, new)
    assert decision.exit_code == 0
    assert verdicts(decision) == {tail: "worse"}
    assert any(
        line.startswith("::notice title=vnetbench%3A tails") for line in workflow_commands(decision)
    )


def a_session(*canaries: dict[str, float], spoilt: tuple[str, ...] = ()) -> ResultSet:
    """A set whose machine did so before each block; `spoilt`: what disturbed the last canary."""
    sung = [Canary(block, "", values) for block, values in enumerate(canaries, 1)]
    sung[-1:] = [replace(canary, spoilt=spoilt) for canary in sung[-1:]]
    results = timed("session")
    run = replace(results.run, canaries=tuple(sung))
    return dataclasses.replace(results, run=run)


def test_the_margin_grows_by_what_the_canaries_slowed_down() -> None:
    quiet = {"memcpy": 8e9, "system_call": 1e-7, "loopback": 5e-6}
    baseline = a_session(quiet, quiet, quiet)
    assert slowdown(baseline, baseline) == 0
    assert slowdown(baseline, a_session(quiet, {**quiet, "loopback": 9e-6}, quiet)) == 0
    slower = {"memcpy": 4e9, "system_call": 1.1e-7, "loopback": 4e-6}
    assert slowdown(baseline, a_session(slower, slower)) == pytest.approx(1.0)
    assert slowdown(a_session(slower), a_session(quiet)) == pytest.approx(0.25)
    assert slowdown(a_session(), baseline) == slowdown(timed("old"), timed("new")) == 0


def test_a_canary_that_was_disturbed_says_nothing_of_the_machine() -> None:
    quiet, disturbed = {"system_call": 1e-7}, {"system_call": 5e-7}
    session = a_session(quiet, disturbed, disturbed, spoilt=("steal",))
    assert slowdown(a_session(quiet), session) > 0
    assert slowdown(a_session(quiet), a_session(quiet, disturbed, spoilt=("steal",))) == 0


def test_a_slowdown_that_the_machine_itself_had_passes_and_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = timed("old")
    new, again = timed("new", 2, rtt=1.4), timed("again", 3, rtt=1.4)
    assert decide(old, new, again).exit_code == 1
    monkeypatch.setattr("bench.gate.session.slowdown", lambda *_: 0.25)
    decision = decide(old, new, again)
    assert decision.exit_code == 0
    assert "the machine itself was 25% slower" in decision.notes[0]


# ---- what cannot be judged ----------------------------------------------------------------------


def test_what_is_not_observed_any_more_is_no_success() -> None:
    old, new = counted("old"), counted("new")
    blind = ResultSet(
        new.path, new.run, tuple(s for s in new.samples if s.metric != "wakeups"), False
    )
    decision = decide(old, blind)
    assert (decision.exit_code, decision.verdict) == (4, "incomplete")
    assert [item.name for item in decision.problems] == ["wakeups[tun-relay,native]"]
    worse = decide(old, counted("new", copies=1), counted("again", copies=1))
    assert worse.exit_code == 1


def test_what_got_worse_and_could_not_be_measured_again_is_no_success() -> None:
    old, new = counted("old"), counted("new", wakeups=2)
    again = counted("again")
    blind = ResultSet(
        again.path, again.run, tuple(s for s in again.samples if s.metric != "wakeups"), False
    )
    decision = decide(old, new, blind)
    assert decision.exit_code == 4
    assert "got worse, and was not measured once more" in decision.problems[0].reason


def test_a_changed_scenario_is_compared_and_said() -> None:
    old, new = counted("old"), counted("new", syscalls=1)
    record = replace(new.run.variants["tun-relay"], sha256="cd" * 32, parameters={"null_calls": 1})
    changed = ResultSet(
        new.path, replace(new.run, variants={"tun-relay": record}), new.samples, False
    )
    decision = decide(old, changed, changed)
    assert decision.exit_code == 1
    assert decision.differences[:2] == [
        "the scenario file of tun-relay has changed",
        "tun-relay has other parameters: null_calls None → 1",
    ]
    with pytest.raises(UsageError, match="the scenario file of tun-relay has changed"):
        compare(old, changed)


# ---- how it is said -----------------------------------------------------------------------------


def test_the_smallest_visible_effect_is_always_said_for_each_metric_timed() -> None:
    for blocks, says in ((6, "the smallest change that could have been seen is"), (2, "too few")):
        lines = list(smallest_effects(decide(timed("old", 1, blocks), timed("new", 2, blocks))))
        assert {line.split(":")[0] for line in lines} == {"tcp_goodput", "rtt"}
        assert all(says in line for line in lines)


def test_the_markdown_shows_what_got_worse_and_folds_the_rest() -> None:
    decision = decide(counted("old"), counted("new", syscalls=1), counted("again", syscalls=1))
    text = markdown(decision)
    before, _, rest = text.partition("<details>")
    assert text.startswith("### vnetbench gate failed: 1 confirmed regression, decided by counts")
    assert (
        "| tun-relay | system calls | native | 9.00 | 10.00 | +11.1% | > 0.50 | **worse, twice**"
        in (before)
    )
    assert "bytes copied" not in before
    assert "bytes copied" in rest
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {9}


def test_markdown_escapes_what_is_its_own() -> None:
    name = "a|b[mtu=1400,x=*_<b>]"
    run = a_run(variants=(name,), arms=("native",), probes=("ledger",), blocks=2)
    old = imagine("old", run, lambda _: {"copies": 2.0})
    new = imagine("new", run, lambda _: {"copies": 3.0})
    [line] = [x for x in markdown(decide(old, new)).splitlines() if "worse" in x and "a\\|b" in x][
        :1
    ]
    assert r"a\|b\[mtu=1400,x=\*\_&lt;b>\]" in line


def test_annotations_follow_the_syntax_of_workflow_commands() -> None:
    decision = decide(counted("old"), counted("new", syscalls=1), counted("again", syscalls=1))
    first, *_, last = workflow_commands(decision)
    assert first == (
        "::error title=vnetbench%3A regression::"
        "syscalls[tun-relay,native]: 9.00 → 10.00 (+11.1%25), worse, twice"
    )
    assert last.startswith("::notice title=vnetbench gate::failed: 1 confirmed regression")
    times = workflow_commands(decide(timed("old"), timed("new", 2)))
    assert all("\n" not in line for line in times)
    assert "%0Artt: the smallest change" in times[-1]


def test_github_is_told_of_ten_at_most_and_of_how_many_more() -> None:
    names = tuple(f"path{i}" for i in range(14))
    run = a_run(variants=names, arms=("native",), probes=("ledger",), blocks=2)
    old = imagine("old", run, lambda _: {"copies": 2.0})
    new = imagine("new", run, lambda _: {"copies": 3.0})
    errors = [
        line for line in workflow_commands(decide(old, new, new)) if line.startswith("::error")
    ]
    assert len(errors) == 10
    assert errors[-1] == "::error title=vnetbench%3A regression::and 5 more"


def test_every_key_of_the_json_document_is_documented() -> None:
    decision = decide(counted("old"), counted("new", syscalls=1), counted("again"))
    document = json.loads(msgspec.json.encode(decision))
    text = (ROOT / "docs/ci.md").read_text()
    keys = {*document, *document["findings"][0]}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_every_key_of_a_count_is_documented() -> None:
    row = json.loads(msgspec.json.encode(compare(counted("old"), counted("new")).counts[0]))
    text = (ROOT / "docs/results.md").read_text()
    assert [key for key in sorted(row) if f"`{key}`" not in text] == []
