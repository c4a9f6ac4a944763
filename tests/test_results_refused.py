"""Result sets: what is refused on writing and on reading, and that nothing is overwritten."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sets import a_run, carry_out, interrupted_set, killed_set, noisy, surroundings, write_set

from bench.errors import UsageError
from bench.results import ResultWriter, load, summarise
from bench.scenario import shipped_scenarios, variants

many = settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def vnetbench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.run(command, check=False, env=surroundings(), capture_output=True, text=True)


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
