"""What /proc knows of each process on the path. It still knows of one that ended unreaped."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path as FilePath

from bench.ledger.subject import Process, Subject


def switches(subject: Subject) -> dict[int, int]:
    """Thread → context switches, those of its own will and the others."""
    subject.learn_threads()
    found = {}
    for thread, process in subject.threads.items():
        with suppress(OSError):
            lines = FilePath(f"/proc/{process.pid}/task/{thread}/status").read_text().splitlines()
            found[thread] = sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
    return found


def cpu_seconds(processes: Iterable[Process]) -> float:
    """The time that the scheduler has given to processes so far."""
    total = 0
    for process in processes:
        for thread in process.threads():
            with suppress(OSError):
                file = FilePath(f"/proc/{process.pid}/task/{thread}/schedstat")
                total += int(file.read_text().split()[0])
    return total / 1e9
