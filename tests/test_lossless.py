"""The search finds the rate that a path carries, and says what it saw on the way."""

import random
from collections.abc import Callable

import pytest
from files import shipped
from live import live

from bench.errors import CannotMeasure
from bench.lossless import Trial, lossless_rate, search
from bench.probes.base import Path
from bench.topology import Arm

CAPACITY = 200_000.0
"""Datagrams a second that the paths below carry."""


def path_of(
    capacity: float, sender: float = 1e6, unlucky: Callable[[], bool] = lambda: False
) -> Callable[[float], Trial]:
    """A path that loses what exceeds its capacity, and a sender with a limit of its own."""

    def attempt(rate: float) -> Trial:
        offered = min(rate or sender, sender)
        received = int(min(offered, capacity)) - (rate > 0 and unlucky())
        lost = int(offered) - received
        return Trial(rate, offered, int(offered), received, lost, 0, 0.0, lost == 0)

    return attempt


@pytest.mark.parametrize("precision", [0.2, 0.05, 0.01])
@pytest.mark.parametrize("capacity", [7000.0, CAPACITY, 990_000.0])
def test_the_answer_is_as_precise_as_asked(capacity: float, precision: float) -> None:
    found = search(path_of(capacity), precision, 2, 60)
    assert capacity / (1 + precision) * 0.99 <= found.rate <= capacity
    assert not found.sender_limited


def test_a_sender_that_cannot_reach_the_limit_says_so() -> None:
    found = search(path_of(CAPACITY, sender=150_000), 0.05, 2, 60)
    assert found.sender_limited
    assert found.rate == 150_000


def test_the_rate_was_confirmed_by_trials_of_its_own() -> None:
    found = search(path_of(CAPACITY), 0.05, 3, 60)
    last = found.trials[-3:]
    assert len({trial.asked for trial in last}) == 1
    assert all(trial.passed for trial in last)
    assert found.rate == min(trial.offered for trial in last)


def test_a_path_with_bad_luck_gets_a_lower_rate_but_a_confirmed_one() -> None:
    draw = random.Random(1)
    found = search(path_of(CAPACITY, unlucky=lambda: draw.random() < 0.3), 0.05, 2, 200)
    assert found.rate < CAPACITY
    assert all(trial.passed for trial in found.trials[-2:])


def test_a_path_that_always_loses_some_is_given_up_within_the_budget() -> None:
    trials = []

    def attempt(rate: float) -> Trial:
        trials.append(path_of(CAPACITY, unlucky=lambda: True)(rate))
        return trials[-1]

    with pytest.raises(CannotMeasure, match="no rate passed and was confirmed in 12 trials"):
        search(attempt, 0.05, 2, 12)
    assert len(trials) == 12


def test_a_path_that_carries_nothing_is_given_up_at_once() -> None:
    with pytest.raises(CannotMeasure, match="nothing of what was sent arrived"):
        search(path_of(0), 0.05, 2, 60)


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("name", ["veth", "vxlan"])
def test_a_live_path_has_a_rate(name: str) -> None:
    with live(shipped(name).scenario, Arm.NATIVE) as topology:
        found = lossless_rate(Path(topology, name), seconds=0.1, precision=0.5, confirmations=1)
    assert found.rate > 1000
    for trial in found.trials:
        assert trial.sent == trial.received + trial.lost
        assert trial.passed <= (trial.lost == 0)
        assert trial.offered == pytest.approx(trial.sent / 0.1, rel=0.2)
    assert found.trials[-1].passed


@pytest.mark.usefixtures("namespaces")
def test_loss_at_the_receiving_socket_is_told() -> None:
    with live(shipped("veth").scenario) as topology:
        found = lossless_rate(
            Path(topology, "veth"), seconds=0.1, precision=0.5, segments=16, buffer=1 << 16
        )
    assert any(trial.at_socket > 0 for trial in found.trials)
    assert all(trial.at_socket <= trial.lost for trial in found.trials)
