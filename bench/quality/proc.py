"""The kernel's own texts as numbers: nothing here reads a file, so recorded texts can be judged.

A function returns None where a text does not hold what it looks for: *not observed*.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from pathlib import PurePosixPath

from bench.environment import CpuTimes

_KERNEL_THREAD = 0x00200000  # PF_KTHREAD
_PPID, _SESSION, _FLAGS, _TIMES, _OWN, _START = 1, 3, 6, slice(11, 15), slice(11, 13), 19
"""Where proc(5) has them in /proc/<pid>/stat, counted from what follows the name."""
_OF_THE_KERNEL = re.compile(r"timer|\bipi\b", re.IGNORECASE)
"""Numbered interrupts that no device raises: on some machines these have numbers, too."""
_GROUPS = PurePosixPath("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Process:
    """One process: who it is, and the clock ticks it has used, with those of its dead children.

    start: when it began, which tells it from an earlier one of the same number. own: its ticks
    without those of its children. name: whatever it calls itself. session: the PID of its leader,
    or 0: not known, or in another PID namespace.
    """

    pid: int
    start: int
    parent: int
    ticks: int
    kernel: bool
    own: int = 0
    name: str = ""
    session: int = 0


def parse_process(text: str) -> Process | None:
    """Read /proc/<pid>/stat. The name in it may hold anything, parentheses too."""
    number, _, rest = text.partition(" (")
    name, _, numbers = rest.rpartition(")")
    words = numbers.split()
    try:
        return Process(
            pid=int(number),
            start=int(words[_START]),
            parent=int(words[_PPID]),
            ticks=sum(map(int, words[_TIMES])),
            kernel=bool(int(words[_FLAGS]) & _KERNEL_THREAD),
            own=sum(map(int, words[_OWN])),
            name=name,
            session=int(words[_SESSION]),
        )
    except (ValueError, IndexError):
        return None


def parse_cpu_times(text: str, cpus: Collection[int]) -> CpuTimes | None:
    """Read /proc/stat: the time of these processors, added up."""
    wanted = {f"cpu{cpu}" for cpu in cpus}
    names = [item.name for item in fields(CpuTimes)]
    sums = dict.fromkeys(names, 0)
    found = 0
    for words in map(str.split, text.splitlines()):
        if words and words[0] in wanted and len(words) > len(names):
            found += 1
            for name, ticks in zip(names, words[1:], strict=False):
                sums[name] += int(ticks)
    return CpuTimes(**sums) if found else None


def parse_interrupts(text: str, cpus: Collection[int]) -> int | None:
    """Read /proc/interrupts: how often a device has interrupted one of these processors.

    What processors send each other and their timers are left out: traffic makes them by itself.
    The devices of a scenario raise none, so what is left is somebody else's.
    """
    header, _, table = text.partition("\n")
    columns = [int(name[3:]) for name in header.split() if re.fullmatch(r"CPU\d+", name)]
    if not columns:
        return None
    total = 0
    for line in table.splitlines():
        label, _, rest = line.partition(":")
        words = rest.split()
        counts, what = words[: len(columns)], " ".join(words[len(columns) :])
        numbers = label.strip().isdigit() and all(map(str.isdigit, counts))
        if numbers and not _OF_THE_KERNEL.search(what):
            pairs = zip(columns, counts, strict=False)
            total += sum(int(count) for cpu, count in pairs if cpu in cpus)
    return total


def throttling_files(text: str) -> Iterator[str]:
    """Read /proc/self/cgroup: where our control group and those around it may keep their cpu.stat.

    In a container the path is often the host's and what is mounted is only our own group: then
    the last of the names, without any path, is ours.
    """
    for line in text.splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        roots = ("cpu", "cpu,cpuacct") if controllers else ("",)
        place = PurePosixPath(path or "/")
        for group in (place, *place.parents):
            for root in roots:
                yield str(_GROUPS / root / group.relative_to("/") / "cpu.stat")


def parse_throttled(text: str) -> float | None:
    """Read cpu.stat of a control group: seconds for which it was kept from running."""
    scales = {"throttled_usec": 1e-6, "throttled_time": 1e-9}  # of version 2, of version 1
    for words in map(str.split, text.splitlines()):
        if len(words) == 2 and words[0] in scales and words[1].isdigit():  # noqa: PLR2004
            return int(words[1]) * scales[words[0]]
    return None
