"""A run: what happens to the other trials when one cannot be measured."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from files import shipped
from sets import a_run

from bench import run as runner
from bench.errors import CannotMeasure, MissingCapability
from bench.probes import PROBES, Measurement
from bench.probes import Path as NetPath
from bench.results import ResultSet, ResultWriter, load

pytestmark = pytest.mark.usefixtures("namespaces")

HERE = Path(__file__)


def run_with(
    probe: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, blocks: int = 3
) -> tuple[ResultSet, list[runner.Outcome]]:
    """Run `rtt` as it is and `tcp_goodput` with some fields replaced, on a real veth pair."""
    monkeypatch.setitem(PROBES, "tcp_goodput", replace(PROBES["tcp_goodput"], **probe))
    variant = shipped("veth")
    outcomes: list[runner.Outcome] = []
    settings = {
        "rtt": {"processes": 1, "values": 1, "warmups": 1, "seconds": 0.01},
        "tcp_goodput": {"warmup": 1, "duration": 1},
    }
    plan = a_run(variants=("veth",), arms=("native",), blocks=blocks, settings=settings)
    with ResultWriter.create(folder / "a", plan) as writer:
        runner.run({"veth": variant}, settings, writer, lambda o, _: outcomes.append(o))
        return load(writer.finish()), outcomes


def measuring(error: BaseException) -> dict[str, Any]:
    """A probe whose measurement ends with `error`."""

    def measure(path: NetPath, settings: Mapping[str, Any]) -> Measurement:
        raise error

    return {"measure": measure}


def raised_at() -> int:
    """The line of this file on which `measuring` raises."""
    lines = HERE.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip() == "raise error")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyError("bits_per_second"), ": 'bits_per_second'"),
        (ValueError("two\nlines"), ": two lines"),
        (IndexError(), ""),
        (OSError(5, "Input/output error"), ": [Errno 5] Input/output error"),
    ],
)
def test_an_unforeseen_error_ends_its_trial_alone_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    results, _ = run_with(measuring(error), tmp_path, monkeypatch)
    assert [sample.metric for sample in results.samples] == ["rtt"] * 3
    assert [failure.reason for failure in results.run.failures] == [
        *[f"{type(error).__name__} at tests/test_run.py:{raised_at()}{text}"] * 2,
        "left out: it failed before",
    ]
    assert not any(failure.missing for failure in results.run.failures)


def test_ctrl_c_in_a_trial_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_with(measuring(KeyboardInterrupt()), tmp_path, monkeypatch)


def test_what_the_machine_lacks_is_told_from_what_broke(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = measuring(MissingCapability("client: no CUBIC here"))
    results, outcomes = run_with(probe, tmp_path, monkeypatch)
    failures = results.run.failures
    assert {(f.reason, f.missing) for f in failures} == {("client: no CUBIC here", True)}
    assert len(failures) == 3
    assert [o.problem.missing for o in outcomes if o.problem] == [True] * 3


def test_what_broke_is_not_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, _ = run_with(measuring(CannotMeasure("client: lost")), tmp_path, monkeypatch)
    assert [(f.reason, f.missing) for f in results.run.failures] == [
        ("client: lost", False),
        ("client: lost", False),
        ("left out: it failed before", False),
    ]


def test_a_probe_whose_program_is_missing_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = {"missing": lambda: "there is no iperf3"}
    results, _ = run_with(probe, tmp_path, monkeypatch, blocks=1)
    assert [(f.reason, f.missing) for f in results.run.failures] == [("there is no iperf3", True)]
    assert [sample.metric for sample in results.samples] == ["rtt"]


def test_what_a_probe_warns_of_is_a_warning_of_the_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(path: NetPath, settings: Mapping[str, Any]) -> Measurement:
        return Measurement({"tcp_goodput": [1.0]}, warnings=("half of it was guessed",))

    results, _ = run_with({"measure": measure}, tmp_path, monkeypatch, blocks=2)
    assert results.run.warnings.count("half of it was guessed") == 1
