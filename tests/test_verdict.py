"""Verdicts on many cells: how often any of them is beyond a margin that none of them exceeds."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from bench.relabel import family
from bench.results import Cell, Series
from bench.verdict import Pair, Row, judge

MARGIN = 0.05
LIMIT = math.log1p(MARGIN)


def two_sessions(rng: np.random.Generator, blocks: int, changes: Sequence[float]) -> list[Pair]:
    """A cell for each change (of the logarithm); blocks scatter by 2 %, all cells' together by 1 %.

    Cells cannot be told from each other by their scatter, so each is as likely to stand out.
    """
    shared = rng.normal(0, 0.01, (2, blocks))

    def series(side: int, change: float) -> Series:
        values = np.exp(shared[side] + rng.normal(change, 0.02, blocks)).tolist()
        return Series("s", "rtt", dict(enumerate(values, start=1)))

    return [
        Pair(Cell(f"v{i}", "native", "rtt"), series(0, 0), series(1, change))
        for i, change in enumerate(changes)
    ]


def given(rows: Sequence[Row]) -> list[str]:
    return [row.verdict for row in rows if row.verdict != "cannot tell"]


def judged(rng: np.random.Generator, blocks: int, changes: Sequence[float]) -> list[Row]:
    return judge(two_sessions(rng, blocks, changes), MARGIN)[0]


@pytest.mark.parametrize("blocks", [4, 6])
@pytest.mark.parametrize("changes", [[LIMIT] * 30, [LIMIT, -LIMIT] * 15, [LIMIT]])
def test_changes_of_just_the_margin_rarely_give_any_cell_a_verdict(
    blocks: int, changes: list[float]
) -> None:
    rng, comparisons = np.random.default_rng(1), 100
    alarms = sum(bool(given(judged(rng, blocks, changes))) for _ in range(comparisons))
    assert alarms / comparisons <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / comparisons)


def test_beside_a_change_that_matters_those_of_just_the_margin_rarely_get_a_verdict() -> None:
    rng, comparisons, seen, alarms = np.random.default_rng(2), 50, 0, 0
    for _ in range(comparisons):
        rows = judged(rng, 6, [math.log(1.2), *[LIMIT] * 29])
        seen += rows[0].verdict == "slower"
        alarms += bool(given(rows[1:]))
    assert seen == comparisons
    assert alarms <= 5


def test_twice_the_margin_is_seen_in_most_of_thirty_cells_and_in_nearly_every_single_one() -> None:
    rng = np.random.default_rng(3)
    of_many = [len(given(judged(rng, 6, [math.log(1.1)] * 30))) / 30 for _ in range(20)]
    assert np.mean(of_many) > 0.5
    assert sum(len(given(judged(rng, 6, [math.log(1.1)]))) for _ in range(40)) >= 32


def test_p_is_of_no_change_larger_than_the_margin_and_the_same_in_both_directions() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(0, 0.02, (12, 5))
    values[6:] += [LIMIT, 0.12, 0.01, -0.12, 0]
    moved = values.copy()
    moved[6:] -= LIMIT * np.sign(values[6:].mean(axis=0) - values[:6].mean(axis=0))
    found, mirrored = (family(sign * values, 6, limit=LIMIT) for sign in (1, -1))
    unlimited = family(moved, 6)
    assert found.p.tolist() == mirrored.p.tolist()
    assert found.p[[1, 3]].tolist() == pytest.approx(unlimited.p[[1, 3]].tolist())
    assert (found.p[[1, 3]] <= 0.05).all()
    assert found.p[[2, 4]].tolist() == [1, 1], "what is within the margin"


def test_moving_a_session_to_what_is_visible_gives_it_a_verdict_and_half_way_there_none() -> None:
    """A tenth further, as what other orders would show moves along a little."""
    rng = np.random.default_rng(5)
    for _ in range(10):
        pairs = two_sessions(rng, 6, [0.03, *[0.0] * 9])
        [row, *_] = judge(pairs, MARGIN)[0]
        assert row.visible is not None
        assert row.verdict == "cannot tell"
        way = math.log1p(row.visible) - math.log(row.ratio)
        verdicts = []
        for part in (0.5, 1.1):
            new = {b: v * math.exp(part * way) for b, v in pairs[0].new.blocks.items()}
            moved = pairs[0]._replace(new=pairs[0].new._replace(blocks=new))
            verdicts.append(judge([moved, *pairs[1:]], MARGIN)[0][0].verdict)
        assert verdicts == ["cannot tell", "slower"]
