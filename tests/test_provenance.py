"""Which vnetbench it is: version, revision and build, said the same everywhere, and truly."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from capabilities import require, require_program
from files import ROOT
from program import vnetbench

import bench
from bench import provenance
from bench.environment import fingerprint
from bench.revision import RECORD, revision

EXTENSION = next((ROOT / "bench").glob("_vnetbench*.so"))


def output(*command: object) -> str:
    return subprocess.run(
        [*map(str, command)], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_version_names_revision_compiler_flags_and_liburing_in_one_line() -> None:
    [line] = vnetbench("--version").stdout.splitlines()
    shape = r"vnetbench (\S+) \((.+)\), extension: (\w+ \d\S*)((?: -\S+)*), io_uring (.+)"
    found = re.fullmatch(shape, line)
    assert found, line
    assert found[1] == bench.__version__
    assert found[3] == provenance.compiler()
    assert "-O2" in found[4].split()
    assert str(ROOT) not in line
    assert not re.search(r"\d\d:\d\d|20\d\d-", line), "no time: the same source gives the same"


def test_a_fingerprint_says_the_same_as_the_version() -> None:
    found = fingerprint()
    assert found.vnetbench == bench.__version__
    assert provenance.line() == (
        f"vnetbench {found.vnetbench} ({shortened(found.git_revision)}), extension: "
        f"{found.compiler} {found.compiler_flags}, io_uring {found.liburing}"
    )


def shortened(text: str | None) -> str:
    return re.sub("[0-9a-f]{40}", lambda m: m[0][:12], text) if text else "revision not known"


def test_compiler_and_flags_are_those_it_left_in_the_extension() -> None:
    """gcc notes both in debug information, which is none of our doing."""
    require_program("readelf")
    notes = output("readelf", "--debug-dump=info", "--dwarf-depth=1", EXTENSION)
    found = re.search(r"DW_AT_producer\s*:.*?(GNU \S+ (\S+) .*)", notes)
    require(found is not None, "needs an extension that gcc built with debug information")
    assert found is not None
    assert provenance.compiler() == f"gcc {found[2]}"
    told = {word for word in provenance.compiler_flags().split() if word[:2] not in ("-D", "-U")}
    assert told <= set(shlex.split(found[1]))
    assert str(ROOT) not in notes, "where it was built is nobody's business"


def test_liburing_is_the_one_whose_header_was_there() -> None:
    if shutil.which("pkg-config") is None:
        pytest.skip("needs pkg-config as the second witness")
    asked = subprocess.run(
        ("pkg-config", "--modversion", "liburing"), check=False, capture_output=True, text=True
    )
    expected = asked.stdout.strip() if asked.returncode == 0 else "none"
    assert provenance.liburing() == expected


# ---- revisions ----------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of something with one commit."""
    require_program("git")
    root = tmp_path / "a checkout"
    (root / "bench").mkdir(parents=True)
    (root / "bench" / "file").write_text("1\n")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "one")
    git(root, "tag", "--annotate", "v1", "--message", "a tag changes nothing")
    return root


def git(root: Path, *arguments: str) -> str:
    who = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "core.hooksPath=/dev/null")
    return output("git", "-C", root, *who, *arguments)


def test_a_checkout_is_of_the_commit_that_it_is_at(checkout: Path) -> None:
    assert revision(checkout) == git(checkout, "rev-parse", "HEAD")


def test_a_changed_file_makes_it_dirty_and_a_new_one_does_not(checkout: Path) -> None:
    (checkout / "new").touch()
    assert revision(checkout) == git(checkout, "rev-parse", "HEAD")
    (checkout / "bench" / "file").write_text("2\n")
    assert revision(checkout) == git(checkout, "rev-parse", "HEAD") + "-dirty"


def test_inside_a_hook_of_another_repository_it_is_still_this_one(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_WORK_TREE", "/")
    found = revision(checkout)
    monkeypatch.undo()
    assert found == git(checkout, "rev-parse", "HEAD")


def test_a_checkout_that_is_somebody_elses_has_a_revision_too(checkout: Path) -> None:
    require(os.geteuid() == 0, "needs root, to give files away")
    expected = git(checkout, "rev-parse", "HEAD")
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 65534, 65534)
    refused = subprocess.run(
        ("git", "-C", checkout, "rev-parse", "HEAD"), check=False, capture_output=True, text=True
    )
    assert "dubious ownership" in refused.stderr, "git itself looks twice"
    assert revision(checkout) == expected


def test_without_a_checkout_it_is_what_the_build_recorded(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    assert revision(tmp_path) is None
    (tmp_path / RECORD).write_text("ab" * 20 + "-dirty\n")
    assert revision(tmp_path) == "ab" * 20 + "-dirty"


def test_a_record_that_is_none_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / RECORD).write_bytes(b"\xff\n")
    assert revision(tmp_path) is None
    (tmp_path / RECORD).write_bytes(b"\n")
    assert revision(tmp_path) is None


def test_without_git_the_version_says_that_the_revision_is_not_known() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    assert "(revision not known)" in vnetbench("--version", env={"PATH": "/nonexistent"}).stdout


# ---- without the extension ----------------------------------------------------------------------


def test_a_checkout_that_was_not_set_up_says_so_in_one_line(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "bench", tmp_path / "bench", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    packages = (tmp_path, sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    for arguments in (("--version",), ("list",), ("run", "veth")):
        # Without `site`, whose hooks would find the extension where we have it.
        done = subprocess.run(
            (sys.executable, "-S", "-m", "bench", *arguments),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, packages))},
            check=False,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (3, "")
        [line] = done.stderr.splitlines()
        assert "C extension is not built" in line
        assert "make setup" in line
