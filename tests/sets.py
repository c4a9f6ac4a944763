"""Result sets for the tests, written by the real writer from made-up values."""

import io
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyperf
from msgspec.structs import replace as replaced

from bench.probes import Measurement
from bench.results import (
    Asked,
    Attempt,
    PlannedTrial,
    ResultSet,
    ResultWriter,
    Run,
    VariantRecord,
    load,
    partial_of,
)

Value = Callable[[PlannedTrial], list[float] | str]
"""What a trial gives: its raw values, or why it has none."""

BASE = {"tcp_goodput": 9e9, "rtt": 20e-6}


def a_run(
    variants: tuple[str, ...] = ("veth", "vxlan"),
    arms: tuple[str, ...] = ("native", "parity"),
    probes: tuple[str, ...] = ("tcp_goodput", "rtt"),
    blocks: int = 4,
    settings: dict[str, dict[str, Any]] | None = None,
    sha256: str = "ab" * 32,
    conditions: dict[str, dict[str, float]] | None = None,
    **changes: Any,
) -> Run:
    """A run that has been planned and not begun; `conditions` by probe, the same in all arms."""
    cells = [(v, a, p) for v in variants for a in arms for p in probes]
    places = [(block, *cell) for block in range(1, blocks + 1) for cell in cells]
    return Run(
        asked=Asked(
            scenarios=variants,
            overrides=(),
            profile="quick",
            settings=settings or {probe: {"seconds": 1.0} for probe in probes},
            probes=probes,
            arms=arms,
            blocks=blocks,
            seed=1,
        ),
        variants={
            name: VariantRecord(
                scenario=name.split("[")[0],
                parameters={},
                sha256=sha256,
                conditions=dict.fromkeys(arms, conditions) if conditions else {},
            )
            for name in variants
        },
        **{
            "environment": {"kernel_release": "6.1.0"},
            "plan": tuple(PlannedTrial(number, *place) for number, place in enumerate(places, 1)),
            **changes,
        },
    )


def asking(repeats: int, **changes: Any) -> Run:
    """A run that repeats so often."""
    run = a_run(**{"blocks": 2, **changes})
    return replaced(run, asked=replaced(run.asked, repeats=repeats))


def noisy(seed: int, spread: float = 0.01, **factors: float) -> Value:
    """Values around BASE; `factors` change a metric or a variant."""
    noise = random.Random(seed)

    def value(trial: PlannedTrial) -> list[float]:
        base = BASE[trial.probe] * factors.get(trial.probe, 1) * factors.get(trial.variant, 1)
        return [base * noise.lognormvariate(0, spread) for _ in range(3)]

    return value


def measurement(trial: PlannedTrial, values: list[float]) -> Measurement:
    """What a probe would hand over."""
    if trial.probe == "rtt":
        run = pyperf.Run(values, metadata={"name": "rtt"}, collect_metadata=False)
        report = pyperf.BenchmarkSuite([pyperf.Benchmark([run])])
        return Measurement({"rtt": values}, pyperf=as_json(report))
    return Measurement({trial.probe: values}, raw={"iperf3": b'{"raw": true}'})


def as_json(suite: pyperf.BenchmarkSuite) -> bytes:
    """The text that pyperf would write to a file."""
    text = io.StringIO()
    suite.dump(text)
    return text.getvalue().encode()


def carry_out(
    writer: ResultWriter,
    value: Value,
    trials: int | None = None,
    attempts: Sequence[Attempt] = (),
) -> None:
    """Record what is pending, or the first `trials` of it, each after such attempts."""
    for trial in writer.pending()[:trials]:
        given = value(trial)
        if isinstance(given, str):
            writer.record_failure(trial, given)
        else:
            writer.record(trial, measurement(trial, given), attempts)


def write_set(path: Path, run: Run, value: Value, attempts: Sequence[Attempt] = ()) -> ResultSet:
    """A complete set, each trial after such attempts."""
    with ResultWriter.create(path, run) as writer:
        carry_out(writer, value, attempts=attempts)
        return load(writer.finish())


def interrupted_set(path: Path, trials: int = 5) -> Path:
    """A set whose run was interrupted after some trials."""
    with ResultWriter.create(path, a_run()) as writer:
        carry_out(writer, noisy(1), trials)
        return writer.finish("interrupted")


def killed_set(path: Path, trials: int = 5) -> Path:
    """The partial set of a run that was killed after some trials."""
    with ResultWriter.create(path, a_run()) as writer:
        carry_out(writer, noisy(1), trials)
    return partial_of(path)


def surroundings() -> dict[str, str]:
    """The environment of a program that imports this module and bench."""
    here = Path(__file__).parent
    return {**os.environ, "PYTHONPATH": f"{here}:{here.parent}"}
