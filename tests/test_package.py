"""vnetbench away from its checkout: what is packed, and that it works where it is installed.

Built as pip builds it, in a checkout whose path has spaces, and installed from the package index
with what pyproject.toml says it needs, in the versions of the lock.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import pytest
from capabilities import require, require_program, require_root_namespaces
from files import ROOT
from nobody import NOBODY, as_nobody, require_ordinary_user

import bench
from bench.revision import revision

pytestmark = pytest.mark.slow

BUILT = {"bench/_vnetbench.abi3.so", "bench/_guest_agent", "bench/_revision"}
"""What a wheel has that no checkout has: the extension, guests' program, a record."""
EPOCH = "1700000000"
SDIST = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"


def run(
    *command: object, cwd: Path, status: int = 0, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, with nothing of ours in its environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "GIT_"))}
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={**kept, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr[-2000:] + done.stdout[-2000:]
    return done


@dataclass(frozen=True)
class Packed:
    """source: the checkout they were made of. again: a wheel that was made of the sdist."""

    source: Path
    wheel: Path
    sdist: Path
    again: Path


def tracked(root: Path) -> set[str]:
    """The files of a checkout that are under version control, or would be if they were added."""
    words = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = run(*words, cwd=root).stdout.split("\0")
    return {name for name in names if (root / name).is_file()}


def wheel_of(source: Path, folder: Path) -> Path:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps")
    offline = ("--no-build-isolation", "--no-index", "--no-cache-dir")
    env = {"SOURCE_DATE_EPOCH": EPOCH}
    run(*pip, *offline, "--wheel-dir", folder, source, cwd=folder.parent, env=env)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """Wheel and sdist of this working tree as it is, made without any network."""
    require_program("git")
    require_program("cc")
    require((ROOT / ".git").exists(), "needs a git checkout")
    base = tmp_path_factory.mktemp("packed")
    source = base / "a checkout with spaces"
    run("git", "clone", "--quiet", ROOT, source, cwd=base)
    for name in tracked(source) - tracked(ROOT):
        (source / name).unlink()
    for name in tracked(ROOT):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    stale = source / "build" / f"lib.linux-{os.uname().machine}-{sys.implementation.cache_tag}"
    (stale / "bench").mkdir(parents=True)
    (stale / "bench" / "of_an_earlier_build.py").touch()
    wheel = wheel_of(source, base / "wheel")
    name = run(sys.executable, "-c", SDIST, base / "sdist", cwd=source).stdout.splitlines()[-1]
    sdist = base / "sdist" / name
    return Packed(source, wheel, sdist, wheel_of(sdist, base / "again"))


def test_a_wheel_has_every_file_of_the_package_and_no_other(packed: Packed) -> None:
    with zipfile.ZipFile(packed.wheel) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    package = {name for name in tracked(packed.source) if name.startswith("bench/")}
    scenarios = {
        f"bench/{name}" for name in tracked(packed.source) if name.startswith("scenarios/")
    }
    assert names == package | scenarios | BUILT
    assert len(scenarios) > 30


def test_an_sdist_has_the_c_sources_with_their_headers_and_no_tests(packed: Packed) -> None:
    with tarfile.open(packed.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    sources = {name for name in tracked(packed.source) if name.startswith("csrc/")}
    assert sources <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "setup.py"} <= names
    assert "bench/_revision" in names
    assert not [name for name in names if name.startswith("tests")]


def test_the_wheel_of_the_checkout_and_that_of_the_sdist_are_the_same_bytes(
    packed: Packed,
) -> None:
    assert packed.wheel.name == packed.again.name
    assert packed.wheel.read_bytes() == packed.again.read_bytes()


def test_one_wheel_is_for_all_pythons_from_the_oldest_on(packed: Packed) -> None:
    assert re.fullmatch(r"vnetbench-.+-cp311-abi3-linux_\w+\.whl", packed.wheel.name)


def test_the_metadata_is_complete_and_valid(packed: Packed) -> None:
    from packaging.metadata import Metadata  # noqa: PLC0415

    with zipfile.ZipFile(packed.wheel) as wheel:
        names = wheel.namelist()
        [text] = [wheel.read(name) for name in names if name.endswith(".dist-info/METADATA")]
    metadata = Metadata.from_email(text, validate=True)
    assert metadata.license_expression == "MIT"
    assert metadata.license_files == ["LICENSE"]
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert str(metadata.version) == bench.__version__
    assert "Typing :: Typed" in (metadata.classifiers or [])
    assert not metadata.project_urls
    assert message_from_bytes(text)["Description-Content-Type"] == "text/markdown"
    assert "\n# vnetbench\n\nA performance benchmark suite" in f"\n{metadata.description}"


# ---- installed ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it; returns its bin."""
    base = tmp_path_factory.mktemp("installed")
    pins = re.findall(r"^[\w.-]+==\S+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    (base / "pins.txt").write_text("\n".join(pins))
    run(sys.executable, "-m", "venv", base / "venv", cwd=base)
    bin_ = base / "venv" / "bin"
    pip = (bin_ / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    # Some of what it needs is published as source only.
    run(*pip, "-r", ROOT / "requirements-build.lock", cwd=base)
    pinned = ("--constraint", base / "pins.txt", "--no-build-isolation", "--use-pep517")
    run(*pip, *pinned, packed.wheel, cwd=base)
    return bin_


def test_it_names_the_revision_it_was_built_from(installed: Path, tmp_path: Path) -> None:
    found = revision(ROOT)
    assert found is not None
    line = run(installed / "vnetbench", "--version", cwd=tmp_path).stdout
    shown = re.sub("[0-9a-f]{40}", lambda m: m[0][:12], found)
    assert line.startswith(f"vnetbench {bench.__version__} ({shown}), extension: ")


def test_it_lists_shows_measures_and_compares_in_any_folder(
    installed: Path, tmp_path: Path
) -> None:
    require_root_namespaces()
    vnetbench, folder = installed / "vnetbench", tmp_path / "a folder"
    folder.mkdir()
    listed = json.loads(run(vnetbench, "list", "veth", "macvlan", "--json", cwd=folder).stdout)
    assert [path["name"] for path in listed["scenarios"]] == ["veth", "macvlan"]
    assert listed["scenarios"][0]["runs"]
    assert "path: client" in run(vnetbench, "show", "veth", cwd=folder).stdout
    tiny = ("--blocks", 1, "--probe", "rtt", "--arm", "native")
    run(vnetbench, "run", "veth", *tiny, cwd=folder)
    [kept] = (folder / "results").iterdir()
    assert list(folder.iterdir()) == [folder / "results"], "nothing but the result set is left"
    found = json.loads((kept / "run.json").read_text())["environment"]
    assert found["git_revision"] == revision(ROOT)
    run(vnetbench, "run", "veth", *tiny, "-o", "other", cwd=folder)
    compared = run(vnetbench, "compare", kept, "other", cwd=folder).stdout
    assert "veth" in compared


def test_it_makes_a_report(installed: Path, tmp_path: Path) -> None:
    kept = ROOT / "results" / "ledger-baseline"
    run(installed / "vnetbench", "report", kept, "-o", "report.html", cwd=tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!")


def test_it_names_what_guests_lack_and_not_their_program(installed: Path, tmp_path: Path) -> None:
    asked = "from bench.guests import image; print(image._AGENT.read_bytes()[:4])"
    assert run(installed / "python", "-c", asked, cwd=tmp_path).stdout == "b'\\x7fELF'\n"


def test_it_names_no_revisions_where_there_is_no_checkout(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "vnetbench", "ab", "HEAD~1", "HEAD", cwd=tmp_path, status=2)
    [line] = done.stderr.splitlines()
    assert "HEAD~1 is neither a scenario" in line
    assert "nor a revision" in line


def test_an_ordinary_user_can_use_it(installed: Path, tmp_path: Path) -> None:
    require_root_namespaces()
    require_ordinary_user()
    folder = tmp_path / "his"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    tiny = ("--blocks", "1", "--probe", "rtt", "--arm", "native")
    done = as_nobody(
        str(installed / "vnetbench"),
        *("run", "veth", "tun-relay", *tiny),
        python=installed / "python",
        readable=(installed.parent, folder),
        cwd=folder,
        env={},
    )
    assert done.returncode == 0, done.stderr
    [kept] = (folder / "results").iterdir()
    assert (kept / "summary.json").stat().st_uid == NOBODY


def test_a_type_checker_sees_its_types(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "uses.py").write_text(
        "from pathlib import Path\n"
        "from bench.results import load\n"
        "reveal_type(load(Path('x')).run.format)\n"
        "load(3)\n"
    )
    words = ("--python-executable", installed / "python", "--strict", "--cache-dir", os.devnull)
    done = run(sys.executable, "-m", "mypy", *words, "uses.py", cwd=tmp_path, status=1)
    assert 'Revealed type is "int"' in done.stdout.replace("builtins.", "")
    assert 'Argument 1 to "load" has incompatible type "int"; expected "Path"' in done.stdout
    assert "Found 1 error" in done.stdout
