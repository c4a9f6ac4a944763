"""Machines that lack something: every command works or says in one line what to do, never more.

What is lacking is really lacking: a mount namespace hides programs, libraries and devices, and
leaves the machine as it is.
"""

import errno
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from capabilities import require, require_program
from files import ROOT
from nobody import as_nobody, require_ordinary_user
from sets import a_run, noisy, write_set

from bench.devices import TUN_REMEDIES
from bench.results import load

pytestmark = [pytest.mark.usefixtures("tuns"), pytest.mark.slow]

QUICK = ("--blocks", "1", "--arm", "native", "--no-repeat")
RTT = (*QUICK, "--probe", "rtt")
DEFECT = 70
"""Exit status of what is vnetbench's own fault."""

Done = subprocess.CompletedProcess[str]


def vnetbench(
    *arguments: object,
    cwd: Path,
    hide: Sequence[Path] = (),
    read_only: Path | None = None,
    env: Mapping[str, str] | None = None,
    without: Sequence[str] = (),
    before: str = "true",
) -> Done:
    """Run it where files are hidden (under an empty one), or a folder cannot be written to.

    env, without: what the environment has besides ours, and has not. before: a shell command.
    """
    words = [sys.executable, "-m", "bench", *map(str, arguments)]
    script = ["set -e", *(f"mount --bind /dev/null {shlex.quote(str(path))}" for path in hide)]
    if read_only is not None:
        place = shlex.quote(str(read_only))
        script += [f"mount --bind {place} {place}", f"mount -o remount,ro,bind {place}"]
    script += [before, f"cd {shlex.quote(str(cwd))}", f"exec {shlex.join(words)}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **(env or {})}
    for name in without:
        environment.pop(name, None)
    return subprocess.run(
        ("unshare", "--mount", "--propagation=private", "sh", "-c", "\n".join(script)),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def well(done: Done, *statuses: int) -> Done:
    """It ended with one of these, and without a word of Python's."""
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    assert "Error:" not in said, said
    assert done.returncode in (statuses or (0,)), said
    if done.returncode not in (0, 1):
        assert done.stderr.strip(), "a refusal says why"
    return done


def refusal(done: Done, status: int) -> str:
    """The one line with which it was refused."""
    [line] = well(done, status).stderr.splitlines()
    assert line.startswith("vnetbench: ")
    return line


def libraries(name: str) -> list[Path]:
    """The files of a shared library, links resolved."""
    listed = subprocess.run(("/sbin/ldconfig", "-p"), capture_output=True, text=True, check=True)
    found = re.findall(rf"=> (\S*/{re.escape(name)}\S*)", listed.stdout)
    return [Path(path).resolve() for path in found]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A result set, of a path whose name is not ASCII."""
    write_set(tmp_path / "kept", a_run(("veth", "größe"), blocks=2), noisy(1))
    return tmp_path / "kept"


# ---- programs and libraries ---------------------------------------------------------------------


def test_without_libiperf_and_iperf3_the_rest_is_measured_and_what_to_install_is_said(
    tmp_path: Path,
) -> None:
    require_program("iperf3")
    hide = [*libraries("libiperf"), Path(shutil.which("iperf3") or "")]
    env = {"PATH": str(programs_but(tmp_path / "bin", "iperf3"))}
    asked = ("run", "veth", *QUICK, "--probe", "rtt", "--probe", "tcp_goodput", "-o", "a")
    done = well(vnetbench(*asked, cwd=tmp_path, hide=hide, env=env), 3)
    assert "skipped: tcp_goodput[veth,native]" in done.stderr
    assert "libiperf0" in done.stderr
    assert {sample.metric for sample in load(tmp_path / "a").samples} == {"rtt"}


def programs_but(folder: Path, *names: str) -> Path:
    """A folder for PATH that has all programs but these."""
    folder.mkdir()
    for place in ("/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            if program.name not in names and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return folder


def test_without_the_tracer_a_ledger_says_what_it_does_not_see_and_how_to_see_it(
    tmp_path: Path,
) -> None:
    env = {"PATH": str(programs_but(tmp_path / "bin", "bpftrace"))}
    asked = ("ledger", "tun-relay", "--packets", "300")
    done = well(vnetbench(*asked, cwd=tmp_path, env=env))
    assert "not observed" in done.stdout
    assert "bpftrace" in done.stdout


# ---- an ordinary user ---------------------------------------------------------------------------


def test_an_ordinary_user_without_tun_devices_measures_the_rest(tmp_path: Path) -> None:
    require_ordinary_user()
    for mode in ("600", None):
        folder = tmp_path / f"of-mode-{mode}"
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
        asked = ("run", "veth", "tun-relay", *RTT, "-o", "a")
        words = ("-m", "bench", *asked)
        done = well(as_nobody(*words, tun_mode=mode, readable=(folder,), cwd=folder), 3)
        assert "skipped: rtt[tun-relay,native]" in done.stderr
        assert "cannot open /dev/net/tun" in done.stderr
        assert TUN_REMEDIES[errno.EACCES if mode else errno.ENOENT] in done.stderr
        assert {sample.scenario for sample in load(folder / "a").samples} == {"veth"}


@pytest.mark.parametrize("command", [("show", "vxlan"), ("ledger", "veth", "--packets", "200")])
def test_an_ordinary_user_gets_what_needs_no_rights(command: tuple[str, ...]) -> None:
    require_ordinary_user()
    well(as_nobody("-m", "bench", *command, tun_mode=None))


def test_a_folder_that_is_not_his_is_refused_before_anything_is_measured() -> None:
    require_ordinary_user()
    done = as_nobody("-m", "bench", "run", "veth", *RTT)  # in /
    line = refusal(done, 2)
    assert "results" in line
    assert "Permission denied; name another place with -o" in line


# ---- surroundings -------------------------------------------------------------------------------

POOR = {
    "COLUMNS": "40",
    "LINES": "1",
    "TERM": "dumb",
    "LC_ALL": "C",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONUTF8": "0",
}
"""A narrow terminal that can do nothing, in a locale that knows ASCII only."""
UNSAID = ("HOME", "LANG", "USER", "SHELL")


def test_every_command_works_on_40_columns_in_the_c_locale_without_a_home(
    tmp_path: Path, kept: Path
) -> None:
    for arguments in (
        ("list", "veth", "tun-relay"),
        ("show", "flannel-udp"),
        ("show", "flannel-udp", "--commands"),
        ("compare", kept, kept),
        ("trend", kept.parent),
        ("export", "openmetrics", kept, "-o", "metrics"),
    ):
        done = well(vnetbench(*arguments, cwd=tmp_path, env=POOR, without=UNSAID))
        assert done.stderr == "", arguments


def test_a_doctor_without_any_program_says_what_to_install(tmp_path: Path) -> None:
    nothing = "export PATH=/nonexistent"
    done = well(vnetbench("doctor", cwd=tmp_path, env=POOR, without=UNSAID, before=nothing))
    said = done.stdout
    assert said.index("What this machine can measure") < said.index("What makes it noisy")
    assert "  \\u2192 sudo apt-get install bpftrace" in said, "an arrow, which ASCII has not"
    assert "vnetbench doctor --offloads" in " ".join(said.split())


def test_a_run_there_leaves_a_whole_set_that_others_cannot_see_if_they_shall_not(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "a folder, with ümlauts"
    folder.mkdir()
    run = vnetbench(
        *("run", "veth", *RTT), cwd=folder, env=POOR, without=UNSAID, before="umask 077"
    )
    well(run)
    [results] = (folder / "results").iterdir()
    modes = {path.stat().st_mode & 0o077 for path in (results, *results.rglob("*"))}
    assert modes == {0}
    assert (results / "summary.json").exists()


def test_a_checkout_that_cannot_be_written_to_is_run_from(tmp_path: Path) -> None:
    done = vnetbench("run", "veth", *RTT, "-o", tmp_path / "a", cwd=ROOT, read_only=ROOT)
    well(done)
    line = refusal(vnetbench("run", "veth", *RTT, cwd=ROOT, read_only=ROOT), 2)
    assert "Read-only file system; name another place with -o" in line


def test_nothing_to_read_from_and_nowhere_to_write_to_is_no_defect(
    tmp_path: Path, kept: Path
) -> None:
    for arguments in (("list", "veth"), ("compare", kept, kept)):
        words = shlex.join((sys.executable, "-m", "bench", *map(str, arguments)))
        done = subprocess.run(
            ("sh", "-c", f"exec {words} 0<&- 1>&- 2>&-"),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert done.returncode != DEFECT


def test_a_machine_that_may_make_no_namespaces_says_what_to_do(tmp_path: Path) -> None:
    require(Path("/proc/sys/user/max_net_namespaces").exists(), "needs limits of namespaces")
    limited = "echo 0 > /proc/sys/user/max_net_namespaces"
    words = shlex.join((sys.executable, "-m", "bench", "list", "veth"))
    done = subprocess.run(
        ("unshare", "--user", "--map-root-user", "--net", "sh", "-c", f"{limited}; exec {words}"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no: cannot create a network namespace" in well(done).stdout
    assert "sysctl user.max_net_namespaces" in done.stdout


def test_who_has_no_home_hears_nothing_of_fonts() -> None:
    """matplotlib would say where it keeps them instead, before each picture."""
    require_ordinary_user()
    code = (
        "import sys\n"
        "from bench.__main__ import main\n"
        "sys.argv[1:] = ['--version']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    import matplotlib.font_manager\n"
    )
    done = as_nobody("-c", code)
    assert (done.returncode, done.stderr) == (0, "")
