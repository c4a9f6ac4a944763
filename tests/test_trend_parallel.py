"""Sets that several processes read are what one process reads, whatever becomes of the others."""

import os
import signal
from pathlib import Path

import pytest
from histories import at, put
from msgspec.structs import replace
from sets import a_run, noisy

from bench.errors import UsageError
from bench.trend import parallel
from bench.trend.parallel import read_all
from bench.trend.read import Reader, Session

SETS = 9


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Some sets, one of them damaged, and a process for every other CPU however few they are."""
    if len(os.sched_getaffinity(0)) == 1:
        pytest.skip("there is one CPU only")
    monkeypatch.setattr(parallel, "_WORTH_IT", 1)
    made = []
    for i in range(SETS):
        run = replace(a_run(blocks=1), id=f"{i:032x}", started=at(i), finished=at(i))
        made.append(put(tmp_path / f"{i}", run, noisy(i)))
    (made[SETS - 2] / "run.json").write_text("{")
    return made


def as_text(found: list[Session | UsageError]) -> list[str]:
    return [str(outcome) for outcome in found]


def test_they_come_in_their_order_with_what_is_wrong_of_each(paths: list[Path]) -> None:
    found = read_all(paths)
    reader = Reader()
    for path, outcome in zip(paths, found, strict=True):
        if path == paths[SETS - 2]:
            assert isinstance(outcome, UsageError)
            assert "run.json" in str(outcome)
        else:
            assert outcome == reader.read(path)


def test_a_process_that_is_killed_costs_nothing(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, ours, read = as_text(read_all(paths)), os.getpid(), Reader.read

    def deadly(reader: Reader, path: Path) -> Session:
        if os.getpid() != ours:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(reader, path)

    monkeypatch.setattr(Reader, "read", deadly)
    assert as_text(read_all(paths)) == whole


def test_a_failure_here_leaves_no_process_behind(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, read = os.getpid(), Reader.read

    def interrupted(reader: Reader, path: Path) -> Session:
        if os.getpid() == ours:
            raise KeyboardInterrupt
        signal.pause()
        return read(reader, path)

    monkeypatch.setattr(Reader, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_all(paths)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
