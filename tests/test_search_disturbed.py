"""What happens to the machine during trials of a search does not become the path's rate."""

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from files import shipped
from live import live
from msgspec.structs import replace
from searching import CAPACITY, OPTIONS, QUICK, path_of

from bench.probes.base import Path
from bench.search import SearchResult, Trial, search
from bench.search.model import APART, FLOOD, SHARED
from bench.search.tester import ready_for_trials

if TYPE_CHECKING:
    from bench.search.tester import Tester

DISTURBANCES = ["shared", "apart"]
WORDS = {"shared": "somebody else was on our cores", "apart": "were further apart than in others"}


def searching(result: SearchResult) -> list[Trial]:
    return [trial for trial in result.trials if trial.purpose == "search"]


@pytest.mark.parametrize("by", DISTURBANCES)
def test_disturbed_trials_that_fail_are_made_again_and_do_not_lower_the_rate(by: str) -> None:
    draw = random.Random(1)
    alone, crowded = path_of(CAPACITY), path_of(0.7 * CAPACITY)

    def attempt(rate: float, seconds: float) -> Trial:
        if draw.random() < 0.6:
            return alone(rate, seconds)
        return replace(crowded(rate, seconds), **{by: 0.5})

    result = search(attempt, replace(OPTIONS, patience=1.0), lambda: None)
    assert result.of(0.0).rate == pytest.approx(CAPACITY, rel=2 * OPTIONS.width)
    for trial in searching(result):
        assert trial.discarded == (getattr(trial, by) > 0 and trial.failed)
    assert any(trial.discarded for trial in result.trials)
    assert not any(WORDS[by] in warning for warning in result.warnings())


@pytest.mark.parametrize("by", DISTURBANCES)
def test_what_succeeds_although_it_is_disturbed_counts(by: str) -> None:
    """No disturbance makes a path carry more."""
    alone = path_of(CAPACITY)

    def attempt(rate: float, seconds: float) -> Trial:
        trial = alone(rate, seconds)
        return trial if trial.failed else replace(trial, **{by: 1.0})

    result = search(attempt, OPTIONS, lambda: None)
    assert not any(trial.discarded for trial in result.trials)
    assert not any(WORDS[by] in warning for warning in result.warnings())


def test_cores_that_are_always_apart_cost_no_more_than_patience_and_are_told() -> None:
    def attempt(rate: float, seconds: float) -> Trial:
        return replace(path_of(CAPACITY)(rate, seconds), apart=1.0)

    result = search(attempt, replace(OPTIONS, patience=2 / OPTIONS.time_limit), lambda: None)
    spent = sum(trial.seconds for trial in result.trials if trial.discarded)
    assert 2.0 <= spent < 2.0 + OPTIONS.final
    assert result.of(0.0).rate == pytest.approx(CAPACITY, rel=2 * OPTIONS.width)
    assert any(WORDS["apart"] in warning for warning in result.warnings())


def test_cores_that_are_always_shared_cost_no_more_than_patience_and_are_told() -> None:
    draw = random.Random(1)

    def attempt(rate: float, seconds: float) -> Trial:
        return replace(path_of(CAPACITY)(rate, seconds), shared=draw.uniform(2 * SHARED, 1))

    result = search(attempt, replace(OPTIONS, patience=2 / OPTIONS.time_limit), lambda: None)
    spent = sum(trial.seconds for trial in result.trials if trial.discarded)
    assert 0 < spent < 2.0 + OPTIONS.final
    assert result.of(0.0).rate == pytest.approx(CAPACITY, rel=2 * OPTIONS.width)
    assert any(WORDS["shared"] in warning for warning in result.warnings())


def test_of_trials_that_are_all_shared_the_least_shared_decide() -> None:
    """A path that carries the less the more a neighbour is on its cores, which never ends."""
    draw = random.Random(1)

    def attempt(rate: float, seconds: float) -> Trial:
        shared = draw.choice([0.2, 0.6, 0.8, 0.9])
        return replace(path_of((1 - shared / 2) * CAPACITY)(rate, seconds), shared=shared)

    result = search(attempt, replace(OPTIONS, patience=1.0), lambda: None)
    assert result.of(0.0).rate == pytest.approx(0.9 * CAPACITY, rel=2 * OPTIONS.width)


# ---- live -----------------------------------------------------------------------------------


@pytest.fixture
def tester(namespaces: None) -> "Iterator[Tester]":
    with (
        live(shipped("veth").scenario) as topology,
        ready_for_trials(Path(topology, "veth"), 64, QUICK) as ready,
    ):
        yield ready


def test_each_trial_tells_how_far_the_receivers_core_is(tester: "Tester") -> None:
    assert tester.between.usual_ns > 0
    tester.between.usual_ns = 1 << 31
    assert tester.run(FLOOD, 0.2).apart == 0
    assert tester.sent.read().transfer.samples > 10
    tester.between.usual_ns = 1
    assert tester.run(FLOOD, 0.2).apart > APART


def test_cores_that_are_apart_are_waited_for_and_not_for_ever(tester: "Tester") -> None:
    tester.between.usual_ns, tester.waiting = 1, 0.2  # nothing is as near as that
    tester.run(1000, 0.05)
    assert tester.waiting == 0.2
    before = tester.streams
    assert tester.run(1000, 0.05).apart > APART
    assert tester.waiting <= 0
    assert tester.streams > before + 1  # it has looked
    before = tester.streams
    tester.run(1000, 0.05)
    assert tester.streams == before + 1  # it has not


def test_cores_that_are_together_again_are_not_waited_for(tester: "Tester") -> None:
    tester.between.usual_ns = 1
    tester.run(1000, 0.05)
    tester.between.usual_ns, before = 1 << 31, tester.streams
    tester.run(1000, 0.05)
    assert tester.streams == before + 2  # one look, and the trial
