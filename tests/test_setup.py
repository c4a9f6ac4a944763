"""Set-up says what it does, stops where it cannot go on, and costs nothing the second time.

Nothing here installs anything: what needs a machine without compiler, library or network is done
with a PATH that leads to none.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from undisturbed import least_below

ROOT = Path(__file__).resolve().parent.parent
LOCKS = sorted(ROOT.glob("requirements*.lock"))
# What the calling make and CI put there is not what a user's shell has.
CLEAN = {
    key: value
    for key, value in os.environ.items()
    if key not in {"CI", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON"}
}


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=CLEAN | environment,
    )


def path_with(folder: Path, programs: Iterable[Path]) -> str:
    """Return a PATH on which there are these programs only."""
    folder.mkdir()
    for program in programs:
        (folder / program.name).symlink_to(program)
    return str(folder)


def only_a_shell(folder: Path) -> str:
    return path_with(folder, [Path("/bin/sh"), Path("/usr/bin/dirname")])


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout as set-up sees it: without environment, with nothing to install from."""
    tree = tmp_path / "vnetbench"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tools", tree / "tools", ignore=ignored)
    shutil.copytree(ROOT / "csrc", tree / "csrc", ignore=ignored)
    for path in (ROOT / "pyproject.toml", ROOT / "setup.py", *LOCKS):
        shutil.copy(path, tree)
    (tree / "bench").mkdir()
    return tree


@pytest.fixture
def ready() -> Path:
    """This checkout, provided it is the one make has set up."""
    if Path(sys.prefix) != ROOT / ".venv":
        assert not os.environ.get("CI"), "CI runs the tests with the project's own environment"
        pytest.skip("not run with the project's own environment; use make test")
    return ROOT


def test_a_bare_make_names_the_two_commands() -> None:
    shown = run("make", cwd=ROOT)
    assert shown.returncode == 0
    assert "make bench" in shown.stdout
    assert "make test" in shown.stdout


def test_a_second_set_up_says_nothing_and_takes_less_than_two_seconds(ready: Path) -> None:
    run("make", "setup-test", cwd=ready)  # a source may have been edited since

    def duration() -> float:
        start = time.monotonic()
        second = run("make", "setup-test", cwd=ready)
        assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
        return time.monotonic() - start

    assert least_below(2, duration) < 2


def test_no_python_at_all_is_said_in_one_line(copy: Path, tmp_path: Path) -> None:
    failed = run("tools/bootstrap.sh", cwd=copy, PATH=only_a_shell(tmp_path / "bin"))
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert "no Python 3.11 or newer" in failed.stderr


def test_a_named_python_that_does_not_do_is_not_silently_replaced(copy: Path) -> None:
    failed = run("tools/bootstrap.sh", cwd=copy, PYTHON="/bin/false")
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert "/bin/false" in failed.stderr


def test_missing_packages_are_listed_for_every_distribution_and_nothing_is_begun(
    copy: Path, tmp_path: Path
) -> None:
    path = only_a_shell(tmp_path / "bin")
    failed = run("tools/bootstrap.sh", cwd=copy, PATH=path, PYTHON=sys.executable)
    assert failed.returncode == 1
    assert "a C compiler" in failed.stderr
    commands = ("apt-get install gcc", "dnf install gcc", "pacman -S gcc", "zypper", "apk add gcc")
    assert all(command in failed.stderr for command in commands)
    assert not (copy / ".venv").exists()


@pytest.fixture
def path_without_strace(tmp_path: Path) -> str:
    hidden = {"strace", "apt-get", "sudo"}
    return path_with(
        tmp_path / "bin", (p for p in Path("/usr/bin").iterdir() if p.name not in hidden)
    )


def test_a_missing_test_tool_only_skips_tests(ready: Path, path_without_strace: str) -> None:
    done = run("tools/bootstrap.sh", "--test", cwd=ready, PATH=path_without_strace)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "setup: missing, so some things will be skipped: strace\n"


def test_a_missing_test_tool_fails_ci(ready: Path, path_without_strace: str) -> None:
    failed = run("tools/bootstrap.sh", "--test", cwd=ready, PATH=path_without_strace, CI="true")
    assert failed.returncode == 1
    assert "apt-get install strace" in failed.stderr


def wanted_state(tree: Path) -> dict[str, str]:
    program = "import json, bootstrap; print(json.dumps(bootstrap.wanted_state(testing=True)))"
    asked = run(sys.executable, "-c", program, cwd=tree, PYTHONPATH=str(tree / "tools"))
    state: dict[str, str] = json.loads(asked.stdout)
    return state


@pytest.mark.parametrize(
    ("edited", "redone"),
    [
        ("csrc/vnetbench.h", {"extension"}),
        ("csrc/pump.c", {"extension"}),
        ("csrc/new.c", {"extension"}),
        ("setup.py", {"project"}),
        ("pyproject.toml", {"project"}),
        ("requirements.lock", {"requirements.lock"}),
        ("csrc/Makefile", set()),
        ("bench/units.py", set()),
    ],
)
def test_an_edit_redoes_only_what_depends_on_it(copy: Path, edited: str, redone: set[str]) -> None:
    before = wanted_state(copy)
    with (copy / edited).open("a", encoding="utf-8") as file:
        file.write("\n")
    after = wanted_state(copy)
    assert {key for key in before if before[key] != after[key]} == redone


def test_an_interrupted_set_up_is_started_again_by_the_next(copy: Path) -> None:
    # The next one gets as far as the packages, which cannot be had from anywhere.
    (copy / "requirements-build.lock").write_text(f"no-such-package==1 --hash=sha256:{'0' * 64}\n")
    nowhere = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PYTHON": sys.executable}
    with subprocess.Popen(
        ["tools/bootstrap.sh"],
        cwd=copy,
        env=CLEAN | nowhere,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as first:
        assert first.stdout is not None
        assert "making .venv" in first.stdout.readline()
        os.killpg(first.pid, signal.SIGINT)
        _, complaint = first.communicate()
    assert first.returncode == 130
    assert complaint == "setup: interrupted; the next make starts it again\n"

    second = run("tools/bootstrap.sh", cwd=copy, **nowhere)
    assert "making .venv" in second.stdout
    assert second.returncode == 1
    assert "no-such-package" in second.stderr
    assert str(copy / "build" / "setup.log") in second.stderr


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_everything_by_hash_and_names_no_host(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    body = [line for line in text.splitlines() if not line.startswith("#")]
    for line, following in zip(body, [*body[1:], ""], strict=True):
        if line.startswith(" "):
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line)
        else:
            assert re.fullmatch(r"[\w.-]+==\S+ \\", line)
            assert following.startswith("    --hash=")


def test_the_locks_agree_and_hold_all_that_pyproject_asks_for() -> None:
    locked = {lock.name: pins(lock) for lock in LOCKS}
    together = {item for lock in locked.values() for item in lock.items()}
    assert len(together) == len({name for name, _ in together}), "one package, two versions"

    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for lock, requirements in {
        "requirements-build.lock": asked["build-system"]["requires"],
        "requirements.lock": asked["project"]["dependencies"],
        "requirements-dev.lock": asked["project"]["optional-dependencies"]["dev"],
    }.items():
        names = {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements}
        assert names <= locked[lock].keys()


def test_every_package_and_data_file_is_named_for_the_wheel() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    named, data = asked["setuptools"]["packages"], asked["setuptools"]["package-data"]
    files = [path for path in (ROOT / "bench").rglob("*") if "__pycache__" not in path.parts]
    modules = {path for path in files if path.suffix == ".py"}
    packages = {".".join(path.parent.relative_to(ROOT).parts) for path in modules}
    assert packages | {"bench.scenarios"} == set(named)
    built = ("_vnetbench*.so", "_guest_agent")
    for path in set(files) - modules:
        if path.is_dir() or any(path.match(pattern) for pattern in built):
            continue
        package = next(
            name
            for name in sorted(named, reverse=True)
            if path.is_relative_to(ROOT.joinpath(*name.split(".")))
        )
        inner = path.relative_to(ROOT.joinpath(*package.split(".")))
        assert any(inner.match(pattern) for pattern in data.get(package, [])), path
