"""Runs the fast tests with every supported Python that this machine has: `make test-pythons`.

Each in a clone of this checkout, with what was changed here, under build/pythons: set up by
`tools/bootstrap.sh` as a user with that Python would set it up. A second time is quick. What is
not on the machine is named and skipped.
"""
# ruff: noqa: S603, T201 (this is a program that runs programs and talks)

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from steps import ROOT

SUPPORTED = ("3.11", "3.12", "3.13")
"""Those that these tests have been seen to pass with; newer ones are not refused."""
PLACE = ROOT / "build" / "pythons"
ASK = """
import json, os, platform, sys
print(json.dumps([platform.python_version(), os.path.realpath(sys.executable)]))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python; version: such as "3.11.7". path: of the program itself, no link."""

    version: str
    path: Path

    @property
    def minor(self) -> str:
        """Such as "3.11"."""
        return ".".join(self.version.split(".")[:2])

    @property
    def folder(self) -> Path:
        """Where its clone is."""
        owner = "system" if str(self.path).startswith("/usr/bin/") else "own"
        return PLACE / f"{self.version}-{owner}"


def candidates() -> Iterator[Path]:
    """Where interpreters are: on PATH, the distribution's, pyenv's, uv's."""
    folders = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    folders += [Path("/usr/bin"), Path("/usr/local/bin")]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local/share/uv/python")
    folders += [*sorted(pyenv.glob("versions/*/bin")), *sorted(uv.glob("cpython-*/bin"))]
    for minor in SUPPORTED:
        yield from (path for folder in folders if (path := folder / f"python{minor}").exists())


def interpreters() -> list[Interpreter]:
    """Each that starts, once, by version."""
    found: dict[Path, Interpreter] = {}
    for path in candidates():
        asked = subprocess.run(
            [path, "-ISc", ASK], check=False, capture_output=True, text=True, cwd="/"
        )
        if asked.returncode == 0:  # a shim of pyenv starts only what was chosen
            version, real = json.loads(asked.stdout)
            found.setdefault(Path(real), Interpreter(version, Path(real)))
    return sorted(found.values(), key=lambda i: [int(part) for part in i.version.split(".")])


def git(folder: Path, *arguments: str) -> str:
    """What git says. Raises CalledProcessError."""
    command = ["git", "-C", str(folder), "-c", "core.hooksPath=/dev/null", *arguments]
    return subprocess.check_output(command, text=True)


def files(folder: Path) -> set[str]:
    """The files of a checkout as they are now, those that git ignores left out."""
    listed = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return {name for name in listed.split("\0") if (folder / name).is_file()}


def lay_out(folder: Path) -> None:
    """Make `folder` a clone of this checkout as it is now; what was set up there stays."""
    head = git(ROOT, "rev-parse", "HEAD").strip()
    if not (folder / ".git").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        git(ROOT, "clone", "--quiet", "--no-checkout", str(ROOT), str(folder))
    git(folder, "fetch", "--quiet", "origin", head)
    git(folder, "checkout", "--quiet", "--force", "--detach", head)
    ours = files(ROOT)
    for name in files(folder) - ours:
        (folder / name).unlink()
    for name in ours:
        here, there = ROOT / name, folder / name
        if not there.exists() or here.read_bytes() != there.read_bytes():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(here, there)


def others(found: list[Interpreter]) -> list[Interpreter]:
    """Of each version but that of this checkout's .venv, which `make test` runs, the newest."""
    asked = subprocess.run(
        [ROOT / ".venv/bin/python", "-ISc", ASK], check=False, capture_output=True, text=True
    )
    ours = ".".join(json.loads(asked.stdout)[0].split(".")[:2]) if asked.returncode == 0 else ""
    return list({one.minor: one for one in found if one.minor != ours}.values())


def set_up(interpreter: Interpreter) -> bool:
    """Make a clone with it; whether that worked."""
    lay_out(interpreter.folder)
    environment = {**os.environ, "PYTHON": str(interpreter.path)}
    words = ["tools/bootstrap.sh", "--test"]
    done = subprocess.run(words, check=False, cwd=interpreter.folder, env=environment)
    return done.returncode == 0


def test(interpreter: Interpreter, arguments: list[str]) -> bool:
    """Run the tests with it where it is set up; whether all of them passed."""
    words = [".venv/bin/pytest", "-q", "-m", "not slow and not peers", *arguments]
    return subprocess.run(words, check=False, cwd=interpreter.folder).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests with every Python there is.")
    parser.add_argument("--only", metavar="X.Y[.Z]", help="just this one")
    parser.add_argument(
        "--others", action="store_true", help="each version once, without that of .venv"
    )
    parser.add_argument("--set-up", action="store_true", help="prepare the tests, and no more")
    parser.add_argument("--list", action="store_true", help="say which there are, and no more")
    asked, arguments = parser.parse_known_args()
    found = interpreters()
    chosen = [i for i in found if asked.only in (None, i.minor, i.version)]
    if asked.others:
        chosen = others(chosen)
    lines = []
    failed = False
    for interpreter in chosen:
        words = f"Python {interpreter.version:8} {interpreter.path}"
        if not asked.list:
            print(f"\n=== {words}", flush=True)
            well = set_up(interpreter) and (asked.set_up or test(interpreter, arguments))
            failed |= not well
            done = "set up" if asked.set_up else "passed"
            words = f"{done if well else 'FAILED':8} {words}"
        lines.append(words)
    there = {interpreter.minor for interpreter in found}
    lines += [f"skipped  Python {m}: not on this machine" for m in SUPPORTED if m not in there]
    print("\n".join(lines))
    return 1 if failed or not (chosen or asked.others) else 0


if __name__ == "__main__":
    sys.exit(main())
