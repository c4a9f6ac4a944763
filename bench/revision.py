"""Which revision of the source this is: git's word in a checkout, else what the build recorded.

Standard library only, and nothing else of this package: `setup.py` uses this file by itself, before
anything is installed.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

RECORD = Path("bench", "_revision")
"""Where a build writes it, seen from the folder that holds the package."""
_TIMEOUT = 5.0


def revision(root: Path) -> str | None:
    """The revision of the source in `root`, the folder that holds `bench`.

    40 hexadecimal digits, followed by "-dirty" where tracked files were changed. None where nobody
    knows: there is no git here, or what was built came from neither a checkout nor an sdist.
    """
    if (root / ".git").exists():
        return _described(root)
    try:
        return (root / RECORD).read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


def _described(root: Path) -> str | None:
    # Whose checkout it is does not matter: what runs is what is in it.
    command = ["git", "-C", str(root), "-c", "safe.directory=*", "describe", "--always"]
    # Inside a git hook these name another repository.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603 (no shell)
            [*command, "--dirty", "--abbrev=40", "--exclude=*"],
            check=True,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            env={**kept, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
