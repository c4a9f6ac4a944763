"""What the kernel has counted up to this moment of all that may disturb a measurement."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.environment import CpuTimes
from bench.quality.proc import (
    Process,
    parse_cpu_times,
    parse_interrupts,
    parse_process,
    parse_throttled,
    throttling_files,
)
from bench.readers import SYS_CPU

_PROC = Path("/proc")
# The inode of the initial PID namespace, fixed by the kernel (PROC_PID_INIT_INO).
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"
_INIT = 1

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Counters at one moment; None is what cannot be observed here. Two of them make figures.

    seconds: CLOCK_MONOTONIC. cpus: how many processors we may use; `times` and `interrupts` are of
    these. processes: those that can be seen. whole: these are all there are, and they have no
    other processors to run on than we have. pid: ourselves. throttled: seconds for which our
    control group was kept from running. hot: processor → seconds for which heat slowed it down.
    frequency: Hz, now.
    """

    seconds: float
    cpus: int
    ticks_per_second: int
    times: CpuTimes | None
    processes: tuple[Process, ...]
    whole: bool
    pid: int
    interrupts: int | None
    throttled: float | None
    hot: Mapping[str, float] | None
    frequency: float | None


def snapshot() -> Snapshot:
    """Read all of it now; takes some milliseconds."""
    cpus = frozenset(os.sched_getaffinity(0))
    processes = _processes()
    return Snapshot(
        seconds=time.monotonic(),
        cpus=len(cpus),
        ticks_per_second=os.sysconf("SC_CLK_TCK"),
        times=_read(lambda: parse_cpu_times((_PROC / "stat").read_text(), cpus)),
        processes=processes,
        whole=bool(_read(lambda: _sees_all(processes, cpus))),
        pid=os.getpid(),
        interrupts=_read(lambda: parse_interrupts((_PROC / "interrupts").read_text(), cpus)),
        throttled=_read(_throttled),
        hot=_read(lambda: _hot(cpus)),
        frequency=_read(lambda: _frequency(cpus)),
    )


def _read(read: Callable[[], Read | None]) -> Read | None:
    """What `read` returns; None where its file is missing, or speaks differently here."""
    with suppress(OSError, ValueError, LookupError):
        return read()
    return None


def _processes() -> tuple[Process, ...]:
    found = []
    for name in os.listdir(_PROC):
        if name.isdigit():
            with suppress(OSError):  # it has just ended
                text = (_PROC / name / "stat").read_text(errors="replace")
                if process := parse_process(text):
                    found.append(process)
    return tuple(found)


def _sees_all(processes: tuple[Process, ...], cpus: frozenset[int]) -> bool:
    """Whether no process is hidden by a namespace or a mount option, nor elsewhere by choice."""
    return (
        os.readlink(_PROC / "self/ns/pid") == _INITIAL_PID_NAMESPACE
        and any(process.pid == _INIT for process in processes)
        and len(cpus) == os.cpu_count()
    )


def _throttled() -> float | None:
    seconds = []
    for file in throttling_files((_PROC / "self/cgroup").read_text()):
        with suppress(OSError):  # most are not there
            seconds.append(parse_throttled(Path(file).read_text()))
    found = [value for value in seconds if value is not None]
    return sum(found) if found else None


def _hot(cpus: frozenset[int]) -> dict[str, float] | None:
    """What x86 processors tell of being throttled by heat, by themselves or as a package."""
    files = (f for cpu in cpus for f in SYS_CPU.glob(f"cpu{cpu}/thermal_throttle/*_total_time_ms"))
    return {str(file): int(file.read_text()) / 1e3 for file in files} or None


def _frequency(cpus: frozenset[int]) -> float | None:
    """The mean of what the processors run at, as far as the kernel knows."""
    files = (f for cpu in cpus for f in SYS_CPU.glob(f"cpu{cpu}/cpufreq/scaling_cur_freq"))
    hertz = [int(file.read_text()) * 1e3 for file in files]
    return sum(hertz) / len(hertz) if hertz else None
