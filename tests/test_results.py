"""Result sets: what is written is read back, and no accident costs more than one trial."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pyperf
import pytest
from capabilities import require_root_namespaces
from files import STRESS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sets import a_run, carry_out, measurement, noisy, write_set

from bench.errors import UsageError
from bench.results import ResultWriter, load, partial_of, rebuild_summary, summarise
from bench.scenario import shipped_scenarios, variants

printable = st.text(st.characters(codec="utf-8").filter(str.isprintable), min_size=1)
values = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5)
many = settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def interrupted_set(path: Path, trials: int = 5) -> Path:
    with ResultWriter.create(path, a_run()) as writer:
        carry_out(writer, noisy(1), trials)
        return writer.finish("interrupted")


def killed_set(path: Path, trials: int = 5) -> Path:
    with ResultWriter.create(path, a_run()) as writer:
        carry_out(writer, noisy(1), trials)
    return partial_of(path)


# ---- round trip ---------------------------------------------------------------------------------


@many
@given(name=printable, given_values=values, reason=st.text(), number=st.integers(0))
def test_whatever_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    given_values: list[float],
    reason: str,
    number: int,
) -> None:
    run = a_run(variants=(name,), arms=("native",), probes=("tcp_goodput",), blocks=2)
    path = tmp_path_factory.mktemp("sets") / str(number % 7)
    with ResultWriter.create(path, run) as writer:
        first, second = writer.pending()
        writer.record(first, measurement(first, given_values))
        writer.record_failure(second, reason)
        writer.record_facts(name, "native", {"host": {"mtu": number % 2**53}})
        written = writer.run
        writer.finish()
    results = load(path)
    assert [sample.value for sample in results.samples] == given_values
    assert {(s.variant, s.unit, s.block, s.trial) for s in results.samples} == {
        (name, "bit/s", 1, 1)
    }
    assert results.run.failures[0].reason == reason
    assert results.run.plan == written.plan
    assert results.run.variants == written.variants
    assert results.run.status == "complete"


def test_a_complete_set_holds_the_documented_files(tmp_path: Path) -> None:
    write_set(tmp_path / "a", a_run(blocks=1), noisy(1))
    names = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    raw = {f"a/iperf3/{trial}.json" for trial in (1, 3, 5, 7)}
    assert names == {"a/run.json", "a/samples.csv", "a/summary.json", "a/rtt.json"} | raw


def test_every_key_of_run_json_is_documented(tmp_path: Path) -> None:
    write_set(tmp_path / "a", a_run(blocks=1), noisy(1))
    text = Path(__file__).parents[1].joinpath("docs/results.md").read_text()
    run = json.loads((tmp_path / "a/run.json").read_text())
    summary = json.loads((tmp_path / "a/summary.json").read_text())
    keys = {*run, *run["asked"], *run["variants"]["veth"], *run["plan"][0], *run["completed"][0]}
    keys |= {*summary, *summary["cells"][0]}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_the_summary_can_be_rebuilt_from_the_samples(tmp_path: Path) -> None:
    write_set(tmp_path / "a", a_run(blocks=7), noisy(1))
    summary = (tmp_path / "a/summary.json").read_bytes()
    (tmp_path / "a/summary.json").unlink()
    rebuild_summary(tmp_path / "a")
    assert (tmp_path / "a/summary.json").read_bytes() == summary
    cell = json.loads(summary)["cells"][0]
    assert cell["blocks"] == 7
    assert cell["min"] <= cell["low"] < cell["median"] < cell["high"] <= cell["max"]


def test_a_block_counts_once_however_many_raw_values_it_has(tmp_path: Path) -> None:
    run = a_run(variants=("veth",), arms=("native",), probes=("rtt",), blocks=2)
    results = write_set(tmp_path / "a", run, lambda trial: [1.0, 2.0, 30.0 * trial.block])
    assert [dict(s.blocks) for s in results.series().values()] == [{1: 2.0, 2: 2.0}]


# ---- pyperf -------------------------------------------------------------------------------------


def test_pyperf_reads_the_suite(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_set(tmp_path / name, a_run(variants=("veth", "tun[mtu=1400]")), noisy(1))
    suite = pyperf.BenchmarkSuite.load(str(tmp_path / "a/rtt.json"))
    assert suite.get_benchmark_names() == [
        "rtt[veth,native]",
        "rtt[veth,parity]",
        "rtt[tun[mtu=1400],native]",
        "rtt[tun[mtu=1400],parity]",
    ]
    benchmark = suite.get_benchmark("rtt[veth,native]")
    rows = [s for s in load(tmp_path / "a").samples if s[1:4] == ("veth", "native", "rtt")]
    assert list(benchmark.get_values()) == [row.value for row in rows]
    trials = [run.get_metadata()["trial"] for run in benchmark.get_runs()]
    assert trials == sorted({row.trial for row in rows})
    for command in (["stats", "a/rtt.json"], ["hist", "a/rtt.json"]):
        subprocess.run([sys.executable, "-m", "pyperf", *command], cwd=tmp_path, check=True)
    compare = [sys.executable, "-m", "pyperf", "compare_to", "a/rtt.json", "b/rtt.json"]
    subprocess.run(compare, cwd=tmp_path, check=True)


def test_a_trial_that_pyperf_refuses_is_named_and_its_output_kept(tmp_path: Path) -> None:
    run = a_run(variants=("veth",), arms=("native",), probes=("rtt",), blocks=2)
    with ResultWriter.create(tmp_path / "a", run) as writer:
        carry_out(writer, noisy(1))
        alien = tmp_path / "a.partial/pyperf/2.json"
        alien.write_text(alien.read_text().replace('"unit"', '"unit2"'))
        alien.write_text("{}")
        results = load(writer.finish())
    assert [w for w in results.run.warnings if "leaves out trial 2, rtt[veth,native]" in w]
    assert (tmp_path / "a/pyperf/2.json").exists()
    assert len(pyperf.BenchmarkSuite.load(str(tmp_path / "a/rtt.json"))) == 1


# ---- accidents ----------------------------------------------------------------------------------


def test_an_interrupted_set_is_kept_and_resumed_in_the_planned_order(tmp_path: Path) -> None:
    path = interrupted_set(tmp_path / "a")
    before = load(path)
    assert before.run.status == "interrupted"
    assert len(pyperf.BenchmarkSuite.load(str(path / "rtt.json"))) == 2
    with ResultWriter.resume(path) as writer:
        assert not path.exists()
        assert writer.pending() == list(before.run.plan[5:])
        carry_out(writer, noisy(2))
        after = load(writer.finish())
    assert after.samples[: len(before.samples)] == before.samples
    assert after.run.status == "complete"
    assert after.run.id == before.run.id
    suite = pyperf.BenchmarkSuite.load(str(path / "rtt.json"))
    assert [benchmark.get_nrun() for benchmark in suite] == [4] * 4
    assert not (path / "pyperf").exists()


def test_a_killed_set_is_readable_and_marked_as_unfinished(tmp_path: Path) -> None:
    results = load(killed_set(tmp_path / "a"))
    assert not results.finished
    assert {sample.trial for sample in results.samples} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    "rest",
    ["vxlan,vx", "veth,veth,native,tcp_goodput,bit/s,2,6,1", "veth,veth,native,rtt,s,2,10,5.5\n"],
)
def test_the_remains_of_a_torn_trial_are_ignored_and_cut_off(tmp_path: Path, rest: str) -> None:
    partial = killed_set(tmp_path / "a")
    whole = (partial / "samples.csv").read_text()
    (partial / "samples.csv").write_text(whole + rest)
    results = load(partial)
    assert results.torn
    assert {sample.trial for sample in results.samples} == {1, 2, 3, 4, 5}
    with ResultWriter.resume(tmp_path / "a") as writer:
        assert writer.pending()[0].trial == 6
    assert (partial / "samples.csv").read_text() == whole


def test_a_folder_with_run_json_alone_is_read_as_unfinished(tmp_path: Path) -> None:
    partial = killed_set(tmp_path / "a", trials=0)
    (partial / "samples.csv").unlink()
    results = load(partial)
    assert not results.finished
    assert results.samples == ()
    with ResultWriter.resume(partial) as writer:
        carry_out(writer, noisy(1))
        writer.finish()
    assert len(load(tmp_path / "a").samples) == 3 * len(results.run.plan)


WRITER = """
import sys
from pathlib import Path
from sets import a_run, carry_out, noisy
from bench.results import ResultWriter, partial_of
path = Path(sys.argv[1])
value = lambda trial: [float(trial.trial)] * 400
with ResultWriter.resume(path) if partial_of(path).exists() else ResultWriter.create(
    path, a_run(probes=("tcp_goodput",), blocks=100)
) as writer:
    print("ready", flush=True)
    for _ in writer.pending():
        carry_out(writer, value, 1)
        print(len(writer.run.completed), flush=True)
    writer.finish()
"""


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def vnetbench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.run(command, check=False, env=surroundings(), capture_output=True, text=True)


def surroundings() -> dict[str, str]:
    here = Path(__file__).parent
    return {**os.environ, "PYTHONPATH": f"{here}:{here.parent}"}


@pytest.mark.parametrize("seed", range(STRESS))
def test_kill_9_at_any_moment_costs_no_recorded_trial(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    recorded = 0
    for _ in range(6):
        command = python(WRITER, tmp_path / "a")
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=surroundings()) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            lines = [child.stdout.readline() for _ in range(chance.randrange(1, 12))]
            for _ in range(chance.randrange(20_000)):
                pass  # not readiness: the kill shall hit another moment of a record each time
            child.send_signal(signal.SIGKILL)
            lines += child.stdout.readlines()
        recorded = max(recorded, *(int(line) for line in lines if line))
        results = load(tmp_path / "a.partial")
        counts = {trial.trial: 0 for trial in results.run.completed}
        for sample in results.samples:
            counts[sample.trial] += 1
        assert set(counts.values()) == {400}
        assert recorded <= len(counts) <= recorded + 1
    assert recorded < 400
    subprocess.run(python(WRITER, tmp_path / "a"), env=surroundings(), check=True)
    results = load(tmp_path / "a")
    assert [sample.trial for sample in results.samples[::400]] == list(range(1, 401))


FULL_DISK = """
import subprocess, sys
from pathlib import Path
from sets import a_run, carry_out, noisy
from bench.errors import CannotMeasure
from bench.results import ResultWriter, load
disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], check=True)
value = lambda trial: [1.0 + trial.trial / 7] * 300
with ResultWriter.create(disk / "a", a_run(probes=("tcp_goodput",))) as writer:
    carry_out(writer, value, 3)
    try:
        carry_out(writer, lambda trial: [1 / 3] * 40_000, 1)
    except CannotMeasure as error:
        print(error)
    carry_out(writer, value, 3)
    with open(disk / "filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            pass
    try:
        carry_out(writer, value)
    except CannotMeasure as error:
        print(error)
    recorded = writer.run.completed
found = load(disk / "a.partial")
assert found.run.completed == recorded and len(recorded) >= 6
assert len(found.samples) == 300 * len(recorded)
assert not list((disk / "a.partial").rglob(".*"))
(disk / "filler").unlink()
with ResultWriter.resume(disk / "a") as writer:
    carry_out(writer, value)
    results = load(writer.finish())
assert [s.value for s in results.samples] == [v for t in results.run.plan for v in value(t)]
"""


def test_a_full_disk_costs_nothing_recorded_and_the_run_can_be_resumed(tmp_path: Path) -> None:
    require_root_namespaces()
    command = ["unshare", "--mount", "--propagation", "private", *python(FULL_DISK, tmp_path)]
    result = subprocess.run(
        command, check=False, env=surroundings(), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    first, second = result.stdout.splitlines()
    message = f"{tmp_path}/a.partial/samples.csv: cannot be written: No space left on device; "
    assert first.startswith(message)
    assert second.endswith("what was measured before is kept and can be resumed")


# ---- names --------------------------------------------------------------------------------------


def test_an_existing_set_is_never_overwritten(tmp_path: Path) -> None:
    write_set(tmp_path / "a", a_run(), noisy(1))
    with pytest.raises(UsageError, match="a: exists, and is never overwritten"):
        ResultWriter.create(tmp_path / "a", a_run())
    writer = ResultWriter.create(tmp_path / "b", a_run(blocks=1))
    with writer:
        carry_out(writer, noisy(1))
        write_set(tmp_path / "c", a_run(), noisy(1)).path.rename(tmp_path / "b")
        before = (tmp_path / "b/samples.csv").read_bytes()
        with pytest.raises(UsageError, match=r"the results are in .*b\.partial"):
            writer.finish()
    assert (tmp_path / "b/samples.csv").read_bytes() == before


def test_a_run_does_not_start_over_one_that_was_killed(tmp_path: Path) -> None:
    killed_set(tmp_path / "a")
    with pytest.raises(UsageError, match=r"a\.partial: is a run that did not finish; resume it"):
        ResultWriter.create(tmp_path / "a", a_run())


def test_one_process_at_a_time_writes_a_set(tmp_path: Path) -> None:
    with (
        ResultWriter.create(tmp_path / "a", a_run()),
        pytest.raises(UsageError, match="another process is writing it"),
    ):
        ResultWriter.resume(tmp_path / "a")
    with ResultWriter.resume(tmp_path / "a") as writer:
        assert len(writer.pending()) == len(a_run().plan)


def test_what_cannot_be_resumed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a: there is no run to resume"):
        ResultWriter.resume(tmp_path / "a")
    write_set(tmp_path / "a", a_run(), noisy(1))
    with pytest.raises(UsageError, match="a: is complete; there is nothing to resume"):
        ResultWriter.resume(tmp_path / "a")
    assert load(tmp_path / "a").run.status == "complete"


def content(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize("make", [interrupted_set, killed_set])
def test_a_set_that_is_refused_after_it_was_taken_over_is_left_as_it_was(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path / "a")
    before = content(tmp_path)

    def refuse_after(trials: int) -> None:
        with ResultWriter.resume(path) as writer:
            assert load(tmp_path / "a.partial").run.status == "running"
            writer.warn("the machine has changed")
            carry_out(writer, noisy(2), trials)
            raise UsageError("not this time")

    with pytest.raises(UsageError, match="not this time"):
        refuse_after(0)
    assert content(tmp_path) == before
    with pytest.raises(UsageError, match="not this time"):
        refuse_after(1)
    assert len(load(tmp_path / "a.partial").run.completed) == 6


@pytest.mark.parametrize("change", ["scenario", "probe", "gone"])
def test_a_resume_that_is_refused_does_not_touch_the_set(tmp_path: Path, change: str) -> None:
    scenario = tmp_path / "my.toml"
    scenario.write_text(shipped_scenarios()["veth"].read_text())
    chosen = variants([scenario])[0]
    run = a_run(variants=(chosen.name,), sha256=chosen.digest)
    asked = msgspec.structs.replace(run.asked, scenarios=(str(scenario),))
    if change == "probe":
        asked = msgspec.structs.replace(asked, probes=("tcp_goodput", "teleport"))
    with ResultWriter.create(tmp_path / "a", msgspec.structs.replace(run, asked=asked)) as writer:
        carry_out(writer, noisy(1), 3)
        writer.finish("interrupted")
    if change == "scenario":
        scenario.write_text(scenario.read_text() + "# another remark\n")
    elif change == "gone":
        scenario.unlink()
    before = content(tmp_path)
    result = vnetbench("run", "--resume", tmp_path / "a")
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1
    assert {"scenario": "has changed", "probe": "teleport", "gone": "my.toml"}[change] in (
        result.stderr
    )
    assert content(tmp_path) == before


def test_a_run_with_pending_trials_is_not_called_complete(tmp_path: Path) -> None:
    with ResultWriter.create(tmp_path / "a", a_run()) as writer:  # noqa: SIM117
        with pytest.raises(ValueError, match="32 trials are pending"):
            writer.finish()


def test_a_name_that_would_break_a_row_is_refused(tmp_path: Path) -> None:
    for name in ("a\nb", "\udcff"):
        with pytest.raises(UsageError, match="its name cannot be printed"):
            ResultWriter.create(tmp_path / "a", a_run(variants=(name,)))
    assert not list(tmp_path.iterdir())


# ---- refusals on reading ------------------------------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run.json"
    assert "is not a folder" in refusal(tmp_path / "absent")
    assert "has no run.json" in refusal(tmp_path)
    run.write_text("{")
    assert "run.json: is not readable JSON" in refusal(tmp_path)
    run.write_bytes(b"\xff\xfe")
    assert "run.json: is not" in refusal(tmp_path)
    run.write_text("[" * 100_000)
    assert "run.json: is not" in refusal(tmp_path)
    run.write_text('{"version": "1.0", "benchmarks": []}')
    assert "run.json: is not from vnetbench" in refusal(tmp_path)
    run.write_text('{"format": 1, "program": "flent"}')
    assert 'run.json: is not from vnetbench but from "flent"' in refusal(tmp_path)
    run.write_text('{"format": 2, "program": "vnetbench", "plan": "of another shape"}')
    wanted = "was written by a newer vnetbench (format 2); this one reads up to 1"
    assert wanted in refusal(tmp_path)
    run.write_text('{"format": 1, "program": "vnetbench"}')
    assert "run.json: is damaged" in refusal(tmp_path)


def test_the_unfinished_run_is_pointed_at(tmp_path: Path) -> None:
    killed_set(tmp_path / "a")
    assert f"an unfinished run is in {tmp_path}/a.partial" in refusal(tmp_path / "a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-5], ":25: the last line has no end"),
        (lambda text: text.replace("metric", "metrics", 1), ":1: expected the header"),
        (lambda text: text.replace(",1,2,", ",1,two,", 1), ":5: expected whole numbers"),
        (lambda text: text.replace(",1,2,", ",1,2,x", 1), ":5: expected whole numbers"),
        (lambda text: text.replace(",1,2,", ",1,2,3,", 1), ":5: expected 8 fields"),
        (lambda text: text.replace(",1,2,", ",1,99,", 1), ":5: block 1, veth, native is not what"),
        (lambda text: text.replace(",1,2,", ",1,3,", 1), ":5: block 1, veth, native is not what"),
        (lambda text: text.replace("rtt,s", "rtt,ms", 1), ":6: rtt[veth,native] has the unit s"),
        (lambda text: text.replace("veth", '"veth', 1), ":2: is not valid CSV"),
        (lambda text: text.replace("\n", "\n\n", 1), ":2: expected 8 fields"),
        (lambda text: text.rpartition(",")[0] + ",1e999\n", ":25: expected a finite value"),
        (lambda text: text.replace("veth", "\udcff", 1), ":2: is not UTF-8 text"),
    ],
)
def test_a_malformed_row_of_a_finished_set_is_named(
    tmp_path: Path, change: object, message: str
) -> None:
    write_set(tmp_path / "a", a_run(blocks=1), noisy(1))
    file = tmp_path / "a/samples.csv"
    file.write_text(change(file.read_text()), errors="surrogateescape")  # type: ignore[operator]
    assert f"samples.csv{message}" in refusal(tmp_path / "a")


def test_a_finished_set_without_its_samples_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path / "a", a_run(blocks=1), noisy(1))
    (tmp_path / "a/samples.csv").unlink()
    assert "has no samples.csv" in refusal(tmp_path / "a")


def test_an_unknown_metric_and_an_unknown_key_are_kept(tmp_path: Path) -> None:
    write_set(tmp_path / "a", a_run(blocks=1), noisy(1))
    samples, run = tmp_path / "a/samples.csv", tmp_path / "a/run.json"
    samples.write_text(samples.read_text().replace("rtt,s", "jitter,s"))
    run.write_text(run.read_text().replace('"format"', '"later": 1, "format"', 1))
    assert {sample.metric for sample in load(tmp_path / "a").samples} == {"tcp_goodput", "jitter"}


@many
@given(st.data())
def test_damage_anywhere_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damage") / "a"
    write_set(folder, a_run(blocks=1, variants=("veth",)), noisy(1))
    file = folder / data.draw(st.sampled_from(["run.json", "samples.csv"]))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position : position + data.draw(st.integers(0, 4))] = data.draw(
            st.binary(max_size=4)
        )
    file.write_bytes(content)
    # Anything else that is raised fails the test.
    with suppress(UsageError):
        summarise(load(folder))


def test_run_json_survives_the_journey_through_json(tmp_path: Path) -> None:
    results = write_set(tmp_path / "a", a_run(blocks=1), noisy(1))
    again = msgspec.json.decode(msgspec.json.encode(results.run), type=type(results.run))
    assert again == results.run
