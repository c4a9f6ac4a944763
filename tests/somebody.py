"""Somebody else on this machine: processes that do not descend from the test."""

import subprocess
import sys

_BUSY = """
import os, sys, time
for _ in range(os.cpu_count()):
    if os.fork() == 0:
        end = time.monotonic() + float(sys.argv[1])
        while time.monotonic() < end:
            pass
        os._exit(0)
"""


def keeps_busy(seconds: float) -> None:
    """Every CPU, for so long; returns at once. Whose parent has ended is adopted by init."""
    subprocess.run([sys.executable, "-Sc", _BUSY, str(seconds)], check=True)
