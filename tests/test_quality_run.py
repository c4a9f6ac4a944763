"""Runs that are disturbed: what is repeated, what is kept, what an interruption leaves."""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from files import ROOT, shipped
from msgspec.structs import replace as replaced
from sets import a_run, measurement
from somebody import keeps_busy

from bench import run as runner
from bench.errors import CannotMeasure
from bench.probes import PROBES, Measurement
from bench.probes import Path as NetPath
from bench.quality import canary
from bench.quality.words import CANARIES
from bench.results import Attempt, ResultWriter, Run, load, partial_of

pytestmark = [pytest.mark.usefixtures("namespaces"), pytest.mark.slow]

Measure = Callable[[int], None]
"""What happens in the n-th measurement of a run, from 1; its value is n."""


def a_short_run(blocks: int, repeats: int = 2) -> Run:
    settings = {"tcp_goodput": {"warmup": 1, "duration": 1}}
    run = a_run(("veth",), ("native",), ("tcp_goodput",), blocks, settings)
    return replaced(run, asked=replaced(run.asked, repeats=repeats))


def carry_out(writer: ResultWriter, happens: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what is pending on a real veth pair; `happens` takes the place of iperf3."""
    count = 0

    def measure(path: NetPath, settings: Mapping[str, Any]) -> Measurement:
        nonlocal count
        count += 1
        happens(count)
        return Measurement({"tcp_goodput": [float(count)]})

    probe = replace(PROBES["tcp_goodput"], measure=measure, missing=lambda: None)
    monkeypatch.setitem(PROBES, "tcp_goodput", probe)
    settings = writer.run.asked.settings
    runner.run({"veth": shipped("veth")}, settings, writer, lambda *_: None)


def disturbed(count: int) -> None:
    keeps_busy(0.5)
    time.sleep(0.3)


def test_a_disturbed_trial_is_repeated_and_its_last_value_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_is_disturbed(count: int) -> None:
        if count == 1:
            disturbed(count)
            time.sleep(0.3)  # until they have ended

    with ResultWriter.create(tmp_path / "a", a_short_run(1)) as writer:
        carry_out(writer, first_is_disturbed, monkeypatch)
        results = load(writer.finish())
    [record] = results.run.quality
    assert record.trial == 1
    assert len(record.attempts) == 2  # a run of one trial has one repeat
    assert "other_load" in record.attempts[0].spoilt
    assert record.attempts[0].samples == {"tcp_goodput": [1.0]}
    assert record.attempts[1].samples == {}
    assert [sample.value for sample in results.samples] == [2.0]


def test_a_run_that_is_always_disturbed_ends_and_says_which_trials_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ResultWriter.create(tmp_path / "a", a_short_run(4)) as writer:
        carry_out(writer, disturbed, monkeypatch)
        results = load(writer.finish())
    assert [len(record.attempts) for record in results.run.quality] == [2, 1, 1, 1]
    assert all("other_load" in record.attempts[-1].spoilt for record in results.run.quality)
    assert [sample.value for sample in results.samples] == [2, 3, 4, 5]


def test_what_only_its_probe_knows_disturbs_a_trial_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = iter((0.002, 0.0005))

    def measure(path: NetPath, settings: Mapping[str, Any]) -> Measurement:
        share = next(shares)
        return Measurement({"tcp_goodput": [share]}, disturbances={"missed": share})

    probe = replace(PROBES["tcp_goodput"], measure=measure, missing=lambda: None)
    monkeypatch.setitem(PROBES, "tcp_goodput", probe)
    with ResultWriter.create(tmp_path / "a", a_short_run(1)) as writer:
        runner.run({"veth": shipped("veth")}, writer.run.asked.settings, writer, lambda *_: None)
        results = load(writer.finish())
    [record] = results.run.quality
    assert ["missed" in attempt.spoilt for attempt in record.attempts] == [True, False]
    assert [sample.value for sample in results.samples] == [0.0005]


def test_without_repeats_a_disturbed_trial_is_only_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ResultWriter.create(tmp_path / "a", a_short_run(1, repeats=0)) as writer:
        carry_out(writer, disturbed, monkeypatch)
        results = load(writer.finish())
    [record] = results.run.quality
    assert [bool(attempt.spoilt) for attempt in record.attempts] == [True]


def test_a_run_interrupted_after_a_repeat_goes_on_with_its_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def happens(count: int) -> None:
        if count == 1:
            disturbed(count)
            time.sleep(0.3)
        if count == 3:
            raise KeyboardInterrupt

    run = a_short_run(3)
    with pytest.raises(KeyboardInterrupt), ResultWriter.create(tmp_path / "a", run) as writer:
        carry_out(writer, happens, monkeypatch)
    before = load(partial_of(tmp_path / "a")).run
    assert [(r.trial, len(r.attempts)) for r in before.quality] == [(1, 2)]
    with ResultWriter.resume(tmp_path / "a") as writer:
        carry_out(writer, lambda count: None, monkeypatch)
        results = load(writer.finish())
    assert results.run.quality[0] == before.quality[0]
    # The run's only repeat has been spent, whatever disturbs the rest.
    assert [(r.trial, len(r.attempts)) for r in results.run.quality] == [(1, 2), (2, 1), (3, 1)]
    assert [sample.value for sample in results.samples] == [2.0, 1.0, 2.0]
    # Before each block, after the last, and where it went on: the machine may have changed.
    assert [c.block for c in results.run.canaries] == [1, 2, 2, 3, 4]


def test_a_trial_that_fails_when_it_is_repeated_has_failed_and_keeps_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def happens(count: int) -> None:
        if count == 2:
            raise CannotMeasure("client: lost")
        disturbed(count)

    with ResultWriter.create(tmp_path / "a", a_short_run(1)) as writer:
        carry_out(writer, happens, monkeypatch)
        results = load(writer.finish())
    assert [failure.reason for failure in results.run.failures] == ["client: lost"]
    [record] = results.run.quality
    assert [attempt.samples for attempt in record.attempts] == [{"tcp_goodput": [1.0]}]
    assert results.samples == ()


def test_a_record_is_there_if_and_only_if_its_trial_is(tmp_path: Path) -> None:
    run = a_short_run(2)
    attempts = [
        Attempt({"steal": 0.5}, ("steal",), {"tcp_goodput": [3.0]}),
        Attempt({"steal": 0.0}),
    ]
    with ResultWriter.create(tmp_path / "a", run) as writer:
        trial = run.plan[0]
        writer.record(trial, measurement(trial, [1.0]), attempts)
        left = (partial_of(tmp_path / "a") / "run.json").read_bytes()  # what a kill would leave
    found = msgspec.json.decode(left, type=Run)
    assert [trial.trial for trial in found.completed] == [1]
    assert [(r.trial, list(r.attempts)) for r in found.quality] == [(1, attempts)]


def test_a_set_from_before_there_were_records_is_read(tmp_path: Path) -> None:
    with ResultWriter.create(tmp_path / "a", a_short_run(1)) as writer:
        for trial in writer.pending():
            writer.record(trial, measurement(trial, [1.0]))
        path = writer.finish()
    document = json.loads((path / "run.json").read_text())
    del document["quality"], document["canaries"], document["asked"]["repeats"]
    (path / "run.json").write_text(json.dumps(document))
    run = load(path).run
    assert (run.quality, run.canaries, run.asked.repeats) == ((), (), 0)


# ---- canaries -----------------------------------------------------------------------------------


def test_a_canary_says_the_same_of_the_same_machine() -> None:
    """Some two songs do: others use this machine as well."""
    songs = [canary.sing() for _ in range(4)]
    assert all(set(song) == set(CANARIES) for song in songs)
    for part in CANARIES:
        values = [song[part] for song in songs]
        ratios = [max(a, b) / min(a, b) for a, b in itertools.combinations(values, 2)]
        assert min(ratios) < 1.3, (part, values)


def test_a_canarys_parts_are_of_the_right_order() -> None:
    song = canary.sing()
    assert 1e8 < song["memcpy"] < 1e12
    assert 1e-8 < song["system_call"] < 1e-4
    # Each end sends and receives: four calls, and what they do besides.
    assert 4 * song["system_call"] < song["loopback"] < 1e-2


def test_a_canary_leaves_the_namespace_and_the_processors_as_they_were() -> None:
    def state() -> tuple[str, set[int]]:
        return os.readlink("/proc/self/ns/net"), os.sched_getaffinity(0)

    before = state()
    canary.sing()
    assert state() == before


# ---- from the command line ----------------------------------------------------------------------


def vnetbench(*arguments: object) -> str:
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_ends_with_what_became_of_its_trials_and_of_the_machine(tmp_path: Path) -> None:
    shape = ("veth", "--probe", "rtt", "--arm", "native", "--blocks", 1)
    printed = vnetbench("run", *shape, "-o", tmp_path / "a")
    run = load(tmp_path / "a").run
    assert run.asked.repeats == 2
    assert [canary.block for canary in run.canaries] == [1, 2]
    assert "of 1 trials" in printed
    assert any(f"{words} between blocks" in printed for words in ("held still", "drifted"))
    vnetbench("run", *shape, "--no-repeat", "-o", tmp_path / "b")
    other = load(tmp_path / "b").run
    assert (other.asked.repeats, len(other.quality[0].attempts)) == (0, 1)
    compared = vnetbench("compare", tmp_path / "a", tmp_path / "b")
    assert "its canaries, new/old: memcpy rate" in compared or "canaries were disturbed" in compared
