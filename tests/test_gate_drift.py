"""A machine that is slower than in the baseline's session: how far the gate goes along with it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from gated import COUNTS, timed
from imagined import imagine
from msgspec import structs
from sets import a_run, noisy

from bench.gate.decide import Decision, decide, suspects
from bench.gate.rules import MARGIN, MOST_DRIFT
from bench.gate.words import headline, smallest_effects
from bench.results import Canary, PlannedTrial, ResultSet


def on(results: ResultSet, slower: float) -> ResultSet:
    """The set, with canaries of a machine that makes system calls so many times as slowly."""
    sung = tuple(Canary(block, "", {"system_call": 1e-7 * slower}) for block in range(1, 8))
    return replace(results, run=structs.replace(results.run, canaries=sung))


def reasons(decision: Decision) -> list[tuple[str, str]]:
    return [(problem.name, problem.reason) for problem in decision.problems]


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.2, "passed"), (1.24, "passed"), (1.27, "incomplete")]
)
def test_beyond_a_fixed_drift_times_are_not_judged(factor: float, verdict: str) -> None:
    old = on(timed("old"), 1)
    decision = decide(old, on(timed("new", 2), factor))
    assert decision.verdict == verdict
    if verdict == "incomplete":
        says = "new: the machine itself drifted by 27%: times not judged"
        assert reasons(decision) == [("times", says)]
        assert headline(decision).startswith("incomplete: 1 thing ")
        assert {found.verdict for found in decision.findings} == {"cannot tell"}
        assert all("drifted by 27%" in line for line in smallest_effects(decision))


def test_no_drift_hides_what_takes_half_as_long_again_and_more() -> None:
    assert pytest.approx(1.5) == (1 + MARGIN) * (1 + MOST_DRIFT)
    old = on(timed("old"), 1)
    for drift in (1.0, 1.1, 1.24, 1.3, 3.0):
        new, again = (on(timed(n, s, rtt=1.7), drift) for n, s in (("new", 2), ("again", 3)))
        expected = "failed" if drift <= 1 + MOST_DRIFT else "incomplete"
        assert decide(old, new, again).verdict == expected


def test_what_was_not_judged_is_not_measured_once_more_and_neither_faster_nor_slower() -> None:
    old = on(timed("old"), 1)
    new = on(timed("new", 2, rtt=3.0, tcp_goodput=3.0), 2)
    assert suspects(old, new) == set()
    assert {found.verdict for found in decide(old, new).findings} == {"cannot tell"}


def test_a_second_look_on_a_drifted_machine_neither_confirms_nor_clears() -> None:
    old, new = on(timed("old"), 1), on(timed("new", 2, rtt=2.0), 1)
    for rtt in (1.0, 2.0):
        decision = decide(old, new, on(timed("again", 3, rtt=rtt), 1.5))
        assert decision.verdict == "incomplete"
        assert (
            "rtt[veth,native]",
            "got worse, and was not measured once more: the machine itself drifted by 50%: times "
            "not judged",
        ) in reasons(decision)


def test_counts_are_judged_whatever_the_machine_does() -> None:
    def session(name: str, more: float) -> ResultSet:
        run = a_run(variants=("veth",), arms=("native",), probes=("rtt", "ledger"), blocks=6)
        value = noisy(1)

        def values(trial: PlannedTrial) -> Mapping[str, float]:
            if trial.probe == "ledger":
                return {**COUNTS, "syscalls": COUNTS["syscalls"] + more}
            raw = value(trial)
            assert not isinstance(raw, str)
            return {"rtt": raw[0]}

        return imagine(name, run, values)

    old, new, again = (session(n, m) for n, m in (("old", 0), ("new", 2), ("again", 2)))
    decision = decide(on(old, 1), on(new, 2), on(again, 2))
    assert (decision.verdict, decision.decided_by) == ("failed", "ledger")
    assert ("times", "new: the machine itself drifted by 100%: times not judged") in reasons(
        decision
    )


def test_where_no_time_was_measured_a_drift_is_no_matter() -> None:
    run = a_run(variants=("veth",), arms=("native",), probes=("ledger",), blocks=2)
    old, new = (imagine(name, run, lambda _: COUNTS) for name in ("old", "new"))
    assert decide(on(old, 1), on(new, 3)).verdict == "passed"
