"""How much CPU time the machine uses, measured by what is left over."""

import os
import signal
import time
from collections.abc import Iterator

import pytest
from undisturbed import undisturbed

from bench.errors import CannotMeasure
from bench.process import Send, spawn
from bench.soaker import Account, Disturbed, Mark, Soaker, soaking, unrest, used

SECOND = 1_000_000_000


def busy(share: float) -> object:
    """A task that works for this share of each 10 ms, by its own clock."""

    def task(send: Send) -> None:
        send({"ready": True})
        while True:
            end = time.thread_time() + share * 0.01
            while time.thread_time() < end:
                pass
            time.sleep((1 - share) * 0.01)

    return task


def test_what_the_soakers_do_not_get_has_been_used() -> None:
    """The median of three windows, for a single one may be disturbed without anybody noticing."""
    with soaking() as soaker, spawn("worker", busy(0.5)) as worker:  # type: ignore[arg-type]
        worker.receive(5)
        stop(worker.pid)
        windows = [undisturbed(lambda: window(soaker, worker.pid)) for _ in range(3)]
    found, spent = sorted(windows, key=lambda pair: pair[0] - pair[1])[1]
    assert found == pytest.approx(spent, rel=0.2, abs=0.05)


def window(soaker: Soaker, worker: int) -> tuple[float, float]:
    """CPU seconds by the soakers, and those of a process that stands still before it and after."""

    def work() -> float:
        before = cpu_seconds(worker)
        os.kill(worker, signal.SIGCONT)
        time.sleep(1.0)
        stop(worker)
        return cpu_seconds(worker) - before

    account = Account(soaker, 0.3)
    account.rest()
    spent = account.during(work)
    account.rest()
    return account.used(), spent


def stop(process: int) -> None:
    """Have a child of ours stand still, and wait until it does."""
    os.kill(process, signal.SIGSTOP)
    os.waitid(os.P_PID, process, os.WSTOPPED)


def skip_if_busy(*idle: tuple[Mark, Mark]) -> None:
    """On a machine with other work to do nothing can be told."""
    if unrest(*idle) > 0.1:
        pytest.skip("something else is busy on this machine")


def cpu_seconds(pid: int) -> float:
    """A second way to know: what the scheduler says it gave to the process."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e9


def test_an_idle_machine_has_used_nothing() -> None:
    with soaking() as soaker:
        windows = [soaker.watch(0.2) for _ in range(3)]
    skip_if_busy(*windows)
    assert abs(used(windows[1], windows[0], windows[2])) < 0.1 * 0.2 * len(windows[0][0].pieces)


@pytest.fixture
def marks() -> Iterator[tuple[Mark, Mark]]:
    return Mark(0, (0, 0)), Mark(SECOND, (1000, 2000))


def test_each_cpu_has_its_own_full_speed(marks: tuple[Mark, Mark]) -> None:
    window = Mark(0, (0, 0)), Mark(2 * SECOND, (1000, 4000))
    assert used(window, marks) == pytest.approx(1.0)  # half of the first CPU, nothing of the other


def test_a_cpu_that_is_never_idle_cannot_be_measured() -> None:
    idle = Mark(0, (0, 0)), Mark(SECOND, (1000, 0))
    with pytest.raises(CannotMeasure, match="CPU 1 was never idle"):
        used(idle, idle)


def test_idle_windows_that_differ_are_somebody_elses_work(marks: tuple[Mark, Mark]) -> None:
    like = Mark(SECOND, (1000, 2000)), Mark(3 * SECOND, (3000, 6000))
    slower = Mark(SECOND, (1000, 2000)), Mark(2 * SECOND, (2000, 3800))
    assert unrest(marks, like) == pytest.approx(0)
    assert unrest(marks, like, slower) == pytest.approx(0.1)


def test_what_somebody_else_does_in_an_idle_window_is_noticed() -> None:
    with soaking() as soaker:
        account = Account(soaker, 0.2)
        account.rest()
        account.during(lambda: time.sleep(0.1))
        with spawn("worker", busy(1.0)) as worker:  # type: ignore[arg-type]
            worker.receive(5)
            account.rest()
    with pytest.raises(Disturbed, match="something else is busy"):
        account.used()
