"""A baseline of the ledger, and gates against it after something was planted in the pump.

Shared by the tests of the gate (`test_gate_run.py`) and its benchmark (`bench_gate_ledger.py`).
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from files import ROOT, text_of
from msgspec.structs import replace
from sets import a_run

from bench import run as runner
from bench.errors import CannotMeasure
from bench.quality.rule import REPEATS
from bench.results import ResultSet, ResultWriter, load
from bench.scenario import load as load_scenario

LEDGER = {"kind": "udp", "packets": 300, "size": 64, "rate": 1000.0}
PLANTED = {
    "hot_copies": {"memory_copies"},
    "null_calls": {"working_calls"},
    "handoffs": {"working_calls", "wakeups"},
}
"""Handicap, of which one more is planted for each packet → the metrics that must show it."""

HIDDEN = ("wakeups", "segments_per_skb")
"""Metrics without a value where the tracer missed too much."""
_BLOCKS, _TRIES = 2, 3


def a_scenario(folder: Path, name: str = "tun-relay") -> Path:
    """A scenario file of one's own, with a pump."""
    file = folder / "mine.toml"
    file.write_text(text_of(name))
    return file


def a_baseline(scenario: Path, folder: Path) -> Path:
    """Its ledger, with a value of each of `HIDDEN` in both blocks.

    On a busy machine the tracer misses events and hides them; then it is measured anew. Raises
    CannotMeasure where that does not help either.
    """
    for number in range(_TRIES):
        results = _measured(scenario, folder / f"old-{number}")
        seen = Counter(sample.metric for sample in results.samples)
        if all(seen[metric] == _BLOCKS for metric in HIDDEN):
            return results.path
    raise CannotMeasure("the machine is too busy for the tracer to see all wake-ups")


def _measured(scenario: Path, folder: Path) -> ResultSet:
    variant = load_scenario(scenario)
    run = a_run(
        variants=("mine",),
        arms=("native",),
        probes=("ledger",),
        blocks=_BLOCKS,
        settings={"ledger": LEDGER},
    )
    run = replace(
        run,
        asked=replace(run.asked, scenarios=(str(scenario),), repeats=REPEATS),
        variants=runner.records({"mine": variant}),
    )
    with ResultWriter.create(folder, run) as writer:
        runner.run({"mine": variant}, {"ledger": LEDGER}, writer, lambda *_: None)
        results = load(writer.finish())
    assert not results.run.failures
    return results


def gate(
    *arguments: object, environment: dict[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """`vnetbench gate`, as outside of any CI."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GITHUB_")}
    return subprocess.run(
        (sys.executable, "-m", "bench", "gate", *map(str, arguments)),
        env={**inherited, "PYTHONPATH": str(ROOT), "CI": "", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def plant(scenario: Path, handicap: str) -> None:
    """Change the scenario's file as somebody would whose pump now does more for each packet."""
    text = scenario.read_text()
    assert "[parameters]\n" in text
    scenario.write_text(text.replace("[parameters]\n", f"[parameters]\n{handicap} = 1\n"))


def plant_in_one_pump(scenario: Path, handicap: str) -> None:
    """The same in the first pump alone, where a packet passes several."""
    first, pump, rest = scenario.read_text().partition('kind = "pump"\n')
    scenario.write_text(f"{first}{pump}switches = {{ {handicap} = 1 }}\n{rest}")
