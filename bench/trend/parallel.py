"""Reading many result sets on all CPUs: most of what a history takes is taking files apart.

Each CPU but ours has a process that reads a part and sends it back whole. These are forked, so this
is for before numpy is there, whose threads a fork would lose.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from bench import native
from bench.errors import UsageError
from bench.trend.read import Reader, Session

Outcome = Session | UsageError
_WORTH_IT = 100
"""Sets that take a process longer to read than to start."""


def read_all(paths: Sequence[Path]) -> list[Outcome]:
    """What each of the sets is, or why it is none, in their order."""
    workers = min(len(os.sched_getaffinity(0)), 1 + len(paths) // _WORTH_IT)
    own, *others = _parts(paths, workers)
    with ExitStack() as stack:
        pipes = [stack.enter_context(_reading(part)) for part in others]
        found = _read(own)
        for part, pipe in zip(others, pipes, strict=True):
            found += _received(pipe) or _read(part)
    return found


def _parts(paths: Sequence[Path], count: int) -> Iterator[Sequence[Path]]:
    """As many parts of about the same length, in order."""
    for number in range(count):
        yield paths[len(paths) * number // count : len(paths) * (number + 1) // count]


def _read(paths: Sequence[Path]) -> list[Outcome]:
    reader = Reader()
    return [_outcome(reader, path) for path in paths]


def _outcome(reader: Reader, path: Path) -> Outcome:
    try:
        return reader.read(path)
    except UsageError as error:
        return error


@contextmanager
def _reading(paths: Sequence[Path]) -> Iterator[Connection]:
    """Have a process read them; yields where it sends what it found. On leaving, it is ended."""
    fork, parent = multiprocessing.get_context("fork"), os.getpid()
    receiver, sender = fork.Pipe(duplex=False)

    def work() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us ends us
        native.die_with_parent(signal.SIGKILL)
        if os.getppid() == parent:
            sender.send(_read(paths))

    process = fork.Process(target=work, daemon=True)
    process.start()
    sender.close()
    try:
        yield receiver
    finally:
        receiver.close()
        process.kill()
        process.join()


def _received(pipe: Connection) -> list[Outcome] | None:
    """What the process sent, None where it died: then its part has to be read again."""
    try:
        found: list[Outcome] = pipe.recv()
    except EOFError:
        return None
    return found
