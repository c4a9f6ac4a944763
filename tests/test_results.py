"""Result sets: what is written is read back, and no accident costs more than one trial."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pyperf
import pytest
from capabilities import require_root_namespaces
from files import STRESS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sets import (
    a_run,
    carry_out,
    interrupted_set,
    killed_set,
    measurement,
    noisy,
    surroundings,
    write_set,
)

from bench.results import ResultWriter, load, rebuild_summary

printable = st.text(st.characters(codec="utf-8").filter(str.isprintable), min_size=1)
values = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5)
many = settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


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


def test_run_json_survives_the_journey_through_json(tmp_path: Path) -> None:
    results = write_set(tmp_path / "a", a_run(blocks=1), noisy(1))
    again = msgspec.json.decode(msgspec.json.encode(results.run), type=type(results.run))
    assert again == results.run


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
