"""What /proc knows of each process on the path. It still knows of one that ended unreaped."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path as FilePath

from bench.ledger.subject import Subject


def switches(subject: Subject) -> dict[int, int]:
    """Thread → context switches away from it, those of its own will and the others."""
    return _counted(subject, ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"))


def sleeps(subject: Subject) -> dict[int, int]:
    """Thread → times it went to sleep, to be woken up again."""
    return _counted(subject, ("voluntary_ctxt_switches",))


def _counted(subject: Subject, wanted: tuple[str, ...]) -> dict[int, int]:
    """Thread → the sum of some lines of its status."""
    subject.learn_threads()
    found = {}
    for thread, process in subject.threads.items():
        with suppress(OSError):
            lines = FilePath(f"/proc/{process.pid}/task/{thread}/status").read_text().splitlines()
            pairs = (line.split(":", 1) for line in lines)
            found[thread] = sum(int(value) for name, value in pairs if name in wanted)
    return found
