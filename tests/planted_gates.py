"""A baseline of the ledger, and gates against it after something was planted in the pump.

Shared by the tests of the gate (`test_gate_run.py`) and its benchmark (`bench_gate_ledger.py`).
"""

import os
import subprocess
import sys
from pathlib import Path

from files import ROOT, text_of
from msgspec.structs import replace
from sets import a_run

from bench import run as runner
from bench.results import ResultWriter, load
from bench.scenario import load as load_scenario

LEDGER = {"kind": "udp", "packets": 300, "size": 64, "rate": 1000.0}
PLANTED = {
    "hot_copies": {"memory_copies"},
    "null_calls": {"working_calls"},
    "handoffs": {"working_calls", "wakeups"},
}
"""Handicap, of which one more is planted for each packet → the metrics that must show it."""


def a_scenario(folder: Path, name: str = "tun-relay") -> Path:
    """A scenario file of one's own, with a pump."""
    file = folder / "mine.toml"
    file.write_text(text_of(name))
    return file


def a_baseline(scenario: Path, folder: Path) -> Path:
    """Its ledger, measured; twice, for a busy machine hides some counts from the tracer."""
    variant = load_scenario(scenario)
    run = a_run(
        variants=("mine",),
        arms=("native",),
        probes=("ledger",),
        blocks=2,
        settings={"ledger": LEDGER},
    )
    run = replace(
        run,
        asked=replace(run.asked, scenarios=(str(scenario),)),
        variants=runner.records({"mine": variant}),
    )
    with ResultWriter.create(folder / "old", run) as writer:
        runner.run({"mine": variant}, {"ledger": LEDGER}, writer, lambda *_: None)
        results = load(writer.finish())
    assert not results.run.failures
    return results.path


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
