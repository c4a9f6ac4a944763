"""Two revisions of this project, checked out and built side by side.

The user's checkout is only read. What is checked out and built is in a temporary folder, and goes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import bench
from bench.ab.model import AbAsked
from bench.errors import CannotMeasure, UsageError

ROOT = Path(bench.__file__).resolve().parents[1]
WORKING_TREE = "."
LABELS = ("old", "new")
ONCE = "--no-repeat"
"""The option of `run` by which a trial counts at once, whatever disturbed it."""
_LOCKS = ("requirements.lock", "requirements-build.lock")
_BUILD = 1800.0
"""Seconds granted to building one side."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Revision:
    """One revision; commit: None for the working tree as it is."""

    text: str
    commit: str | None

    def __str__(self) -> str:
        return f"{self.text} ({self.commit[:12] if self.commit else 'the working tree'})"


@dataclass(frozen=True)
class Built:
    """A revision that can be run.

    python: the interpreter that finds it, and no other. once: whether its `run` can be told to
    repeat no trial.
    """

    label: str
    revision: Revision
    root: Path
    python: Path
    once: bool = False


def revision(text: str) -> Revision | None:
    """The revision of this project that `text` names, or None."""
    if not (ROOT / ".git").exists():
        return None
    if text == WORKING_TREE:
        return Revision(text, None)
    if not text or text.startswith("-"):
        return None
    found = _git("rev-parse", "--verify", "--quiet", f"{text}^{{commit}}", check=False)
    return Revision(text, found) if found else None


def commits_of(old: str, new: str) -> tuple[str | None, ...]:
    """What two texts that name revisions stand for now; None: the working tree."""
    return tuple(found.commit for text in (old, new) if (found := revision(text)))


def asked_for(asked: AbAsked) -> tuple[Revision, Revision]:
    """The two revisions as they were when it was asked for: HEAD may be another one by now."""
    old, new = asked.commits
    return Revision(asked.old, old), Revision(asked.new, new)


@contextmanager
def built(old: Revision, new: Revision, tell: Tell) -> Iterator[tuple[Built, Built]]:
    """Both revisions, ready to be run, until the end of the context. Raises CannotMeasure."""
    with tempfile.TemporaryDirectory(prefix="vnetbench-ab-") as name, ExitStack() as stack:
        sides: list[Built] = []
        for label, side in zip(LABELS, (old, new), strict=True):
            home = Path(name, label)
            home.mkdir()
            tell(f"{label}: building {side}")
            root = stack.enter_context(_tree(side, home))
            extension = _extension_of(side, old, sides)
            python = _interpreter(side, root, home, extension)
            _prove(label, python, root)
            sides.append(Built(label, side, root, python, _knows(python, root, ONCE)))
        yield sides[0], sides[1]


# ---- building -----------------------------------------------------------------------------------


@contextmanager
def _tree(side: Revision, home: Path) -> Iterator[Path]:
    """The files of a revision."""
    if side.commit is None:
        _refuse_stale_extension()
        yield ROOT
        return
    root = home / "tree"
    try:
        _git("worktree", "add", "--detach", str(root), side.commit)
        yield root
    finally:
        _git("worktree", "remove", "--force", str(root), check=False)


def _refuse_stale_extension() -> None:
    files = [path for path in (ROOT / "csrc").iterdir() if path.suffix in {".c", ".h", ".py"}]
    compiled = [path.stat().st_mtime for path in (ROOT / "bench").glob("_vnetbench*.so")]
    if not compiled or max(path.stat().st_mtime for path in files) > min(compiled):
        raise UsageError(f"{WORKING_TREE}: the C extension is older than csrc/; run make setup")


def _extension_of(side: Revision, old: Revision, sides: list[Built]) -> Path | None:
    """The folder of the first side's extension, where the second would build the same."""
    if not sides or side.commit is None or old.commit is None:
        return None
    same = all(
        _git("rev-parse", f"{side.commit}:{path}", check=False)
        == _git("rev-parse", f"{old.commit}:{path}", check=False)
        for path in ("csrc", "setup.py", "pyproject.toml")
    )
    return sides[0].root / "bench" if same else None


def _interpreter(side: Revision, root: Path, home: Path, extension: Path | None) -> Path:
    """An interpreter for the files in `root`, with the extension built.

    Where the revision asks for the same packages as we have, it is a bare environment that finds
    those; else the revision sets itself up.
    """
    if any(_content(root / lock) != _content(ROOT / lock) for lock in _LOCKS):
        _call(side, ["sh", str(root / "tools/bootstrap.sh")], root)
        return root / ".venv/bin/python"
    environment = home / "venv"
    _call(side, [sys.executable, "-m", "venv", "--without-pip", str(environment)], home)
    python = environment / "bin/python"
    [packages] = environment.glob("lib/python*/site-packages")
    # As lines and not as a site folder: what an editable install of ours hooks in stays out.
    ours = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "vnetbench-ab.pth").write_text("\n".join((str(root), *ours)) + "\n")
    if side.commit is None:
        return python
    if extension is not None:
        for file in extension.glob("_vnetbench*.so"):
            shutil.copy2(file, root / "bench" / file.name)
    else:
        _call(side, [str(python), "setup.py", "-q", "build_ext", "--inplace"], root)
    return python


def _prove(label: str, python: Path, root: Path) -> None:
    """The interpreter runs that side's files and no others."""
    code = "import bench._vnetbench as e; print(e.__file__)"
    done = _run([str(python), "-P", "-c", code], root)
    where = Path(done.stdout.strip() or ".").resolve()
    if done.returncode or where.parent != (root / "bench").resolve():
        raise CannotMeasure(f"{label}: cannot be run: {last_line(done.stderr or str(where))}")


def _knows(python: Path, root: Path, option: str) -> bool:
    """Whether `run` of a revision has an option."""
    return option in _run([str(python), "-P", "-m", "bench", "run", "--help"], root).stdout


def _call(side: Revision, arguments: list[str], folder: Path) -> None:
    done = _run(arguments, folder)
    if done.returncode:
        said = last_line(done.stderr or done.stdout)
        raise CannotMeasure(f"{side}: cannot be built: {said}")


def _run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTHON"))}
    try:
        return subprocess.run(  # noqa: S603 (no shell)
            arguments,
            cwd=folder,
            env=kept,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_BUILD,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(arguments, 127, "", str(error))


def _git(*arguments: str, check: bool = True) -> str:
    # No hooks: what the user's own say about a checkout is not about these.
    done = _run(["git", "-C", str(ROOT), "-c", "core.hooksPath=/dev/null", *arguments], ROOT)
    if check and done.returncode:
        raise CannotMeasure(f"git {arguments[0]}: {last_line(done.stderr)}")
    return done.stdout.strip() if done.returncode == 0 else ""


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def last_line(text: str) -> str:
    """What a program said last, which is why it failed."""
    lines = text.strip().splitlines() or ["it said nothing"]
    return lines[-1].strip().removeprefix("vnetbench: ")
