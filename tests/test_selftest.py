"""`vnetbench selftest`: what it draws from real blocks, and what it says of them."""

import json
import math
import random
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from files import ROOT
from program import vnetbench
from sets import a_run, write_set

from bench.errors import CannotMeasure
from bench.results import Cell, PlannedTrial, ResultSet
from bench.selftest import redraw
from bench.selftest.design import calls_for, handicapped, path_of
from bench.selftest.redraw import examine
from bench.sequential import Limits

ROLES = ("path", "path (again)", "path[null_calls=9]")


def measured(
    folder: Path, blocks: int, *, planted: float, spread: float = 0.01, again: float = 0
) -> ResultSet:
    """A run of a self-test of `rtt`: three variants, the second slower by `again`."""
    noise = random.Random(3)

    def value(trial: PlannedTrial) -> list[float]:
        slower = dict(zip(ROLES, (0, again, planted), strict=True))
        return [(1 + slower[trial.variant]) * noise.lognormvariate(0, spread)]

    run = a_run(variants=ROLES, arms=("native",), probes=("rtt",), blocks=blocks)
    return write_set(folder / "a", run, value)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer comparisons than are shipped: what they show takes no more."""
    monkeypatch.setattr(redraw, "AA_COMPARISONS", 100)
    monkeypatch.setattr(redraw, "PLANTED_COMPARISONS", 50)
    monkeypatch.setattr(redraw, "FACTORS", (1.02, 1.1))


def test_what_is_planted_is_caught_and_what_is_not_raises_no_alarm(tmp_path: Path) -> None:
    results = measured(tmp_path, 60, planted=0.05)
    found = examine(results, Limits(), 600.0, lambda _: None)
    assert found.redrawn.comparisons == 100
    assert found.redrawn.hits <= 1
    assert found.fresh.hits == 0
    assert (found.blocks, found.most) == (60, 135)
    assert found.fresh.comparisons == 3
    real, little, much = found.planted
    assert real.how == ROLES[2]
    assert real.low is not None
    assert real.high is not None
    assert real.low < 0.05 < real.high
    assert real.size == pytest.approx(0.05, abs=0.01)
    assert real.caught.rate == much.caught.rate == 1
    assert much.caught.median_blocks <= real.caught.median_blocks
    assert little.caught.rate < 1
    assert found.passed()


@pytest.mark.slow
def test_a_machine_too_noisy_to_catch_it_does_not_pass(tmp_path: Path) -> None:
    results = measured(tmp_path, 60, planted=0.05, spread=0.2)
    found = examine(results, Limits(), 600.0, lambda _: None)
    assert found.planted[0].caught.rate < 0.5
    assert not found.passed()


def test_a_path_that_differs_from_itself_does_not_pass(tmp_path: Path) -> None:
    results = measured(tmp_path, 100, planted=0.2, again=0.05)
    found = examine(results, Limits(), 600.0, lambda _: None)
    assert found.redrawn.hits > 1
    assert found.fresh.hits == found.fresh.comparisons > 2
    assert not found.passed()


def test_blocks_that_are_drawn_again_are_no_further_evidence(tmp_path: Path) -> None:
    metrics = redraw.measured(measured(tmp_path, 30, planted=0.05))
    # So small a slowdown is never ruled out: every session has all its looks.
    draw = redraw.Redraw(metrics, Limits(margin=0, look_for=1e-9), 150)
    drawn = [draw.redrawn() for _ in range(60)]
    assert sum(each.answers[0].verdict == "slower" for each in drawn) <= 2


def with_moods(blocks: int, alike: float) -> redraw.Measured:
    """A path and the same again, whose difference in a block is to a part that in the one before.

    It scatters by 10 % and is nothing on average.
    """
    noise, difference, differences = random.Random(1), 0.0, []
    for _ in range(blocks):
        difference = alike * difference + math.sqrt(1 - alike**2) * noise.gauss(0, 0.1)
        differences.append(difference)
    same = [1.0] * blocks
    again = [math.exp(each) for each in differences]
    return redraw.Measured(Cell("p", "native", "rtt"), "s", "rtt", same, again, same, "")


def test_false_alarms_that_come_of_what_neighbouring_blocks_share_are_found() -> None:
    """The decision takes blocks for independent of each other; where they are not, it errs."""
    alarms = []
    for alike in (0.0, 0.9):
        draw = redraw.Redraw([with_moods(450, alike)], Limits(), 135)
        drawn = [draw.redrawn() for _ in range(100)]
        alarms.append(sum(each.answers[0].verdict == "slower" for each in drawn))
    assert alarms[0] <= 1
    assert alarms[1] >= 5


def test_fresh_comparisons_have_no_block_in_common(tmp_path: Path) -> None:
    metrics = redraw.measured(measured(tmp_path, 100, planted=0.05))
    draw = redraw.Redraw(metrics, Limits(), 200)
    used = [concluded.blocks for concluded in draw.fresh()]
    assert len(used) == 5
    assert sum(used) <= 100


def test_a_drawn_session_is_of_pieces_that_were_measured_in_a_row(tmp_path: Path) -> None:
    metrics = redraw.measured(measured(tmp_path, 60, planted=0.05))
    draw = redraw.Redraw(metrics, Limits(), 35)
    seen: set[int] = set()
    for _ in range(100):
        drawn = draw._drawn()
        assert len(drawn) == 35
        assert all(b == a + 1 for i, (a, b) in enumerate(pairwise(drawn), 1) if i % 10)
        seen.update(drawn)
    assert seen == set(range(60))


def test_too_few_blocks_are_said_with_how_many_it_takes(tmp_path: Path) -> None:
    results = measured(tmp_path, 5, planted=0.05)
    with pytest.raises(CannotMeasure, match=r"5 blocks are too few .* it takes 20"):
        examine(results, Limits(), 60.0, lambda _: None)


def calibrated(folder: Path, change: float) -> ResultSet:
    """A calibration of `rtt` in which the handicap changes it by so much."""
    noise = random.Random(1)

    def value(trial: PlannedTrial) -> list[float]:
        return [(1 + change * (trial.variant == ROLES[2])) * noise.lognormvariate(0, 0.2)]

    run = a_run(variants=(ROLES[0], ROLES[2]), arms=("native",), probes=("rtt",), blocks=5)
    return write_set(folder / "a", run, value)


def test_how_much_to_plant_follows_from_what_a_large_handicap_does(tmp_path: Path) -> None:
    calls = calls_for(calibrated(tmp_path, 2.0), ["rtt"])["rtt"]
    assert calls == pytest.approx(6, abs=2)
    with pytest.raises(CannotMeasure, match="change it too little to plant anything"):
        calls_for(calibrated(tmp_path / "noise", 0.02), ["rtt"])


def test_a_handicap_comes_on_top_of_the_path_s_own() -> None:
    path = path_of("tun-relay[null_calls=9,batch=2]")
    assert handicapped(path, 5).name == "tun-relay[null_calls=14,batch=2]"
    assert handicapped(path_of("tun-relay"), 5).name == "tun-relay[null_calls=5]"


def selftest(*arguments: object, status: int) -> subprocess.CompletedProcess[str]:
    return vnetbench("selftest", *arguments, status=status)


def test_a_path_without_a_pump_is_refused() -> None:
    done = selftest("--scenario", "veth", status=2)
    assert done.stderr == (
        "vnetbench: veth: has no pump, so nothing can be planted in it; name another\n"
    )


def test_minutes_without_end_are_refused_in_one_line() -> None:
    assert "inf is not a finite number" in selftest("--minutes", "inf", status=2).stderr


def test_a_folder_that_is_there_is_refused_before_anything_is_measured() -> None:
    for folder in (".", ROOT):
        assert "exists, and is never overwritten" in selftest("-o", folder, status=2).stderr


def test_the_answer_comes_again_from_what_was_measured(tmp_path: Path) -> None:
    results = measured(tmp_path, 20, planted=0.05)
    file = results.path / "run.json"
    file.write_text(file.read_text().replace('"profile": "quick"', '"profile": "selftest"'))
    refused = selftest("--from", tmp_path, status=2)
    assert "has no run.json" in refused.stderr
    table = selftest("--from", results.path, status=0).stdout
    assert "False alarms: path against itself" in table
    again = json.loads((results.path / "selftest.json").read_bytes())
    assert 0 <= again["seconds"] < 60
    assert again["redrawn"]["comparisons"] == 400
    assert math.isclose(again["planted"][0]["size"], 0.05, abs_tol=0.01)
