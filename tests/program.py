"""The command as its users start it, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from files import ROOT

PROGRAM = (sys.executable, "-m", "bench")


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Ours with some changes, the package found from anywhere, and a terminal wide enough."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **changes}


def vnetbench(
    *arguments: object,
    status: int = 0,
    program: Sequence[str] = PROGRAM,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which must be with this exit status. env: changes of the environment."""
    done = subprocess.run(
        [*program, *map(str, arguments)],
        env=environment(env or {}),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stderr + done.stdout
    return done


def begin(
    *arguments: object,
    program: Sequence[str] = PROGRAM,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """The same, left running in a session of its own: use as a context."""
    return subprocess.Popen(
        [*program, *map(str, arguments)],
        env=environment(env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
