"""How often the gate errs on a machine as noisy as real ones, its second look included."""

import pytest
from imagined import Machine, a_gated_run

from bench.gate.decide import decide, suspects
from bench.gate.plan import confirmation
from bench.results import Run

PATHS = ("veth", "vxlan", "tun-udp", "flannel-udp")
COMPARISONS = 300


def fails(machine: Machine, run: Run, slower: float = 1.0) -> bool:
    """Whether the gate fails, where everything is `slower` now than when the baseline was made."""
    baseline, now = machine.session("old", run), machine.session("new", run, slower)
    keys = suspects(baseline, now)
    again = machine.session("again", confirmation(run, keys, 2), slower) if keys else None
    return decide(baseline, now, again).exit_code == 1


@pytest.mark.parametrize("blocks", [4, 6])
def test_without_a_change_at_most_one_gate_in_a_hundred_fails(blocks: int) -> None:
    """16 cells; blocks scatter by 14 %, each cell's sessions by 5 % that no block can tell."""
    machine, run = Machine(blocks), a_gated_run(PATHS, blocks)
    alarms = sum(fails(machine, run) for _ in range(COMPARISONS))
    assert alarms <= COMPARISONS // 100, f"{alarms} false alarms in {COMPARISONS} gates"


def test_what_is_twice_as_slow_does_not_pass() -> None:
    machine, run = Machine(1), a_gated_run(PATHS, 6)
    caught = sum(fails(machine, run, slower=2.0) for _ in range(40))
    assert caught >= 38
