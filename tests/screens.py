"""What a command shows: in this process, in one of its own, or on a terminal of a given size."""

import contextlib
import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from program import PROGRAM, environment
from rich.cells import cell_len
from rich.console import Console

from bench.cli import main

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


def here(*arguments: object) -> Ended:
    """Run the command line within this process, whose signals stay as they are."""
    out, err = io.StringIO(), io.StringIO()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with (
        pytest.raises(SystemExit) as end,
        mock.patch.object(signal, "signal"),
        mock.patch.object(sys, "argv", ["vnetbench", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        main()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)  # a pump has some blocked
    assert isinstance(end.value.code, int)
    return Ended(end.value.code, out.getvalue(), err.getvalue())


def complaint(*arguments: object, status: int = 2) -> str:
    """The one line that a mistake is answered with, without the program's name."""
    ended = here(*arguments)
    assert (ended.status, ended.out) == (status, ""), ended
    [line] = ended.err.splitlines()
    assert line.startswith("vnetbench: ")
    return line.removeprefix("vnetbench: ")


@dataclass(frozen=True)
class Terminal:
    """What a command wrote to a terminal, and its exit status; `out` is what did not go there."""

    screen: str
    out: str
    status: int

    @property
    def text(self) -> str:
        """Without escape codes."""
        return ESCAPE.sub("", self.screen).replace("\r", "")


def on_terminal(
    *arguments: object,
    width: int = 80,
    env: Mapping[str, str] | None = None,
    piped: bool = False,
    program: Sequence[str] = PROGRAM,
) -> Terminal:
    """Run it on a terminal of that width; `piped`: with standard output elsewhere."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    variables = environment({"TERM": "xterm-256color", **(env or {})})
    for name in {"COLUMNS", "NO_COLOR", "FORCE_COLOR"} - set(env or {}):
        variables.pop(name, None)
    with subprocess.Popen(
        [*program, *map(str, arguments)],
        stdin=theirs,
        stdout=subprocess.PIPE if piped else theirs,
        stderr=theirs,
        env=variables,
    ) as running:
        os.close(theirs)
        screen = b""
        with contextlib.suppress(OSError):  # EIO: nobody holds the other end any more
            while data := os.read(ours, 1 << 16):
                screen += data
        out = running.stdout.read() if running.stdout else b""
        status = running.wait(60)
    os.close(ours)
    return Terminal(screen.decode(), out.decode(), status)


def paper(width: int) -> Console:
    """A terminal without colours, to be read afterwards with `written`."""
    return Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def widest(text: str) -> int:
    """Cells of the widest line."""
    return max(map(cell_len, text.splitlines()), default=0)


def figures(wide: str) -> set[str]:
    """The figures in tables that have all the room they want."""
    cells = (cell for line in wide.splitlines() for cell in re.split(r"\s{2,}", line.strip()))
    return {cell for cell in cells if re.match(r"[-+<]?\d", cell) and len(cell) < 25}


def executable(folder: Path) -> Path:
    """A `vnetbench` that shells find, in `folder`."""
    folder.mkdir(exist_ok=True)
    file = folder / "vnetbench"
    file.write_text(f'#!/bin/sh\nexec {sys.executable} -m bench "$@"\n')
    file.chmod(0o755)
    return file
