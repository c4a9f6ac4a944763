"""The answer where something was not measured: from what there is, and what is left out is said."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_up import PRICES, World, flannel_and_vxlan, results_of

from bench.errors import UsageError
from bench.why.answer import answer
from bench.why.design import Design
from bench.why.model import Answer, Estimate


@pytest.fixture(scope="module")
def chosen() -> Design:
    return flannel_and_vxlan()


def priced_of(found: Answer) -> dict[str, float]:
    return {price.cause: price.seconds.value for price in found.prices["serial,native"]}


def noted(found: Answer, text: str) -> bool:
    return any(text in note for note in found.notes)


def test_of_fewer_than_four_blocks_there_are_no_intervals(chosen: Design, tmp_path: Path) -> None:
    found = answer(results_of(chosen, tmp_path, blocks=3), chosen)
    gap = found.gaps[0]
    estimates = [gap.gap, gap.ratio, gap.residual, *(share.share for share in gap.shares)]
    assert [(e.low, e.high) for e in estimates] == [(None, None)] * len(estimates)
    assert not any(estimate.certain or estimate.holds(0) for estimate in estimates)


def test_a_variant_that_was_never_measured_is_left_out_and_noted(
    chosen: Design, tmp_path: Path
) -> None:
    gone = chosen.doses["traversals"].given[0]
    world = World(lost=lambda trial: trial.variant == gone)
    found = answer(results_of(chosen, tmp_path, world), chosen)
    assert noted(found, f"not measured, or in few blocks: {gone}")
    assert priced_of(found) == pytest.approx(PRICES)


def test_a_cause_without_any_dose_has_no_price_and_that_is_noted(
    chosen: Design, tmp_path: Path
) -> None:
    gone = chosen.doses["devices"].given
    found = answer(results_of(chosen, tmp_path, World(lost=lambda t: t.variant in gone)), chosen)
    assert priced_of(found).keys() == PRICES.keys() - {"devices"}
    assert noted(found, "no price, as no dose made more of it: tun work")
    assert found.gaps[0].residual.value == pytest.approx(2 * PRICES["devices"])


def test_one_missing_combination_costs_the_ablation_and_that_is_noted(
    chosen: Design, tmp_path: Path
) -> None:
    gone = chosen.ablations[frozenset({"batch", "waking"})]
    found = answer(results_of(chosen, tmp_path, World(lost=lambda t: t.variant == gone)), chosen)
    assert found.ablations == []
    assert noted(found, "no ablation")
    assert noted(found, gone)
    assert found.gaps


def test_a_block_that_is_not_whole_is_left_out_and_noted(chosen: Design, tmp_path: Path) -> None:
    world = World(lost=lambda t: (t.variant, t.block) == ("vxlan", 2))
    found = answer(results_of(chosen, tmp_path, world, blocks=6), chosen)
    assert found.gaps[0].blocks == 5
    assert noted(found, "left out, as not everything was measured in them: blocks 2")


def test_a_variant_that_fails_in_most_blocks_does_not_take_them_along(
    chosen: Design, tmp_path: Path
) -> None:
    gone = chosen.doses["calls"].given[2]
    world = World(lost=lambda t: t.variant == gone and t.block > 2)
    found = answer(results_of(chosen, tmp_path, world, blocks=6), chosen)
    assert found.gaps[0].blocks == 6
    assert noted(found, gone)


def test_without_the_other_path_the_rest_is_still_answered(chosen: Design, tmp_path: Path) -> None:
    found = answer(results_of(chosen, tmp_path, World(lost=lambda t: t.variant == "vxlan")), chosen)
    assert [gap.fast for gap in found.gaps] == ["host-gw"]
    assert found.ablations == []


def test_a_measure_that_the_machine_has_not_is_noted_and_the_other_answered(
    chosen: Design, tmp_path: Path
) -> None:
    world, both = World(lacking="stream"), ("serial", "stream")
    found = answer(results_of(chosen, tmp_path, world, measures=both), chosen)
    assert {gap.measure for gap in found.gaps} == {"serial"}
    assert noted(found, "stream, native: no block has all that was to be measured")
    assert found.unsound == []


def test_where_nothing_was_measured_that_is_said(chosen: Design, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no block has all that was to be measured"):
        answer(results_of(chosen, tmp_path, World(lost=lambda _: True)), chosen)


def test_two_paths_that_take_the_same_time_have_no_shares(chosen: Design, tmp_path: Path) -> None:
    """And dividing by no gap is no error."""
    found = answer(results_of(chosen, tmp_path), replace(chosen, slow="host-gw", others=()))
    assert found.gaps[0].gap.value == 0
    assert found.gaps[0].residual_share == Estimate(0, 0, 0)


@pytest.mark.parametrize(("text", "says"), [(b"{", "is damaged"), (None, "cannot be read")])
def test_damage_is_one_line(text: bytes | None, says: str, chosen: Design, tmp_path: Path) -> None:
    results = results_of(chosen, tmp_path)
    file = tmp_path / "serial" / "5.json"
    file.unlink()
    if text:
        file.write_bytes(text)
    with pytest.raises(UsageError, match=rf"5\.json: {says}"):
        answer(results, chosen)
