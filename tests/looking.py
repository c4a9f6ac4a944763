"""One check of the doctor, in a process of its own."""

import json
import subprocess
import sys

from files import ROOT
from program import environment

# It prints what the check named on its command line finds.
LOOK = """
import json, sys
from dataclasses import asdict
from bench.doctor import abilities, noise
from bench.doctor.examine import run
from bench.doctor.model import Here
checks = [c for c in (*abilities.checks(), *noise.checks()) if c.id == sys.argv[1]]
print(json.dumps(asdict(*run(checks, Here()))))
"""


def look(id_: str, *before: str) -> dict[str, str]:
    """What one check finds that needs no watching; `before`: a command that runs it."""
    done = subprocess.run(
        [*before, sys.executable, "-c", LOOK, id_],
        env=environment({}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found
