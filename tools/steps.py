"""A step of set-up: a line that says what is done, its output in a log, an error to stop at."""
# ruff: noqa: S603, T201 (this is a program that runs programs and talks)

import contextlib
import fcntl
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "build" / "setup.log"


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do."""


def say(line: str) -> None:
    """Tell the user what is being done."""
    print(f"setup: {line}", flush=True)


def run(command: Sequence[str]) -> None:
    """Run `command` with its output in the log; raise SetupError with the log's end if it fails."""
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"$ {shlex.join(command)}\n")
        log.flush()
        done = subprocess.run(
            command,
            check=False,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    if done.returncode != 0:
        tail = LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        raise SetupError("\n".join([f"this failed; all its output is in {LOG}:", *tail]))


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the log, freshly emptied, against a second make in the same tree."""
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("a", encoding="utf-8") as log:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up in this folder to end")
            fcntl.flock(log, fcntl.LOCK_EX)
        log.truncate(0)
        yield
