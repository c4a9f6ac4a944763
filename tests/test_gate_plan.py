"""What the gate measures: the same as its baseline, or a refusal in one line."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from sets import a_run, noisy, write_set

from bench.errors import UsageError
from bench.gate.plan import confirmation, measure_again
from bench.probes import PROBES
from bench.results import ResultSet, ResultWriter, load, partial_of


def baseline_of(tmp_path: Path, **changes: object) -> ResultSet:
    run = a_run(variants=("veth",), arms=("native",), blocks=6)
    asked = replace(run.asked, **changes)
    return write_set(tmp_path / "old", replace(run, asked=asked), noisy(1))


def test_the_gate_measures_what_the_baseline_measured(tmp_path: Path) -> None:
    baseline = baseline_of(tmp_path)
    chosen, run = measure_again(baseline, seed=7)
    assert list(chosen) == ["veth"]
    assert run.asked == replace(baseline.run.asked, seed=7)
    cells = {(t.block, t.variant, t.arm, t.probe) for t in baseline.run.plan}
    assert {(t.block, t.variant, t.arm, t.probe) for t in run.plan} == cells
    _, rtt = measure_again(baseline, ("rtt",), seed=7)
    assert {t.probe for t in rtt.plan} == {"rtt"}
    assert rtt.asked.settings == {"rtt": {"seconds": 1.0}}


def test_the_second_look_is_of_what_got_worse_in_another_order(tmp_path: Path) -> None:
    _, run = measure_again(baseline_of(tmp_path), seed=7)
    again = confirmation(run, {("veth", "native", "rtt")}, 8)
    assert [(t.block, t.probe) for t in again.plan] == [(block, "rtt") for block in range(1, 7)]
    assert again.asked.seed == 8
    assert again.id != run.id


@pytest.mark.parametrize(
    ("changes", "probes", "message"),
    [
        ({"probes": ("rtt", "telepathy")}, (), "telepathy: not a probe of this vnetbench"),
        ({"profile": "why"}, (), "is of vnetbench why"),
        ({}, ("ledger",), "has no probe ledger; it has tcp_goodput, rtt"),
        ({"scenarios": ("atlantis",)}, (), 'no scenario "atlantis"'),
        ({"scenarios": ("vxlan",)}, (), "there is no veth any more"),
        ({"overrides": ("warp=9",)}, (), 'no selected scenario has a parameter "warp"'),
    ],
)
def test_a_baseline_that_cannot_be_measured_again_is_refused_in_one_line(
    tmp_path: Path, changes: dict[str, object], probes: tuple[str, ...], message: str
) -> None:
    baseline = baseline_of(tmp_path, **changes)
    with pytest.raises(UsageError) as caught:
        measure_again(baseline, probes, seed=1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_budget_takes_blocks_away_but_never_the_last(tmp_path: Path) -> None:
    baseline = baseline_of(
        tmp_path, settings={p: dict(PROBES[p].settings["quick"]) for p in ("tcp_goodput", "rtt")}
    )
    blocks = [
        measure_again(baseline, seed=1, budget=seconds)[1].asked.blocks
        for seconds in (0.1, 20, 3600)
    ]
    assert blocks[0] == 1
    assert blocks[-1] == 6
    assert blocks == sorted(blocks)


def test_a_baseline_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    with ResultWriter.create(tmp_path / "killed", a_run()):
        pass
    with pytest.raises(UsageError, match="its run has not finished; resume it"):
        measure_again(load(partial_of(tmp_path / "killed")), seed=1)
