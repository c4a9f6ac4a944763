"""How a command ends: with a status that is documented, and never with a traceback."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from comparing import two_sets
from files import ROOT
from program import PROGRAM, environment
from screens import complaint, here

from bench.errors import EXIT_STATUSES

DEFECT = """
import sys
from bench.cli import main, scenarios
del scenarios.variants
sys.argv = ["vnetbench", "show", "veth"]
main()
"""


def shell(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A line of sh, in which $V is the command."""
    return subprocess.run(
        ("sh", "-c", line),
        env=environment({"V": " ".join(PROGRAM), **variables}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def status_of(line: str) -> tuple[int, str]:
    """The status of the first command of a pipe, and what stood on standard error."""
    done = shell(f"{{ {line.partition('|')[0]}; echo $? >&2; }} | {line.partition('|')[2]}")
    *said, status = done.stderr.splitlines()
    return int(status), "\n".join(said)


# ---- each status --------------------------------------------------------------------------------


def test_what_is_asked_for_and_done_ends_with_0() -> None:
    assert here("show", "veth").status == 0


def test_a_regression_ends_with_1(tmp_path: Path) -> None:
    two_sets(tmp_path, tcp_goodput=0.5)
    assert here("compare", tmp_path / "old", tmp_path / "new").status == 1


def test_bad_usage_ends_with_2() -> None:
    complaint("show", "veth", "--arm", "none", status=2)


def test_what_cannot_be_done_here_ends_with_3() -> None:
    line = complaint(
        *(
            "pump",
            "--tun",
            "a@nowhere",
            "--listen",
            "127.0.0.1:9999",
            "--route",
            "10.0.0.0/8=127.0.0.1:9",
        ),
        status=3,
    )
    assert line == (
        "pump: tun a@nowhere: /run/netns/nowhere: No such file or directory; ip netns lists those "
        "that have names"
    )


def test_a_defect_ends_with_70_in_one_line_that_names_the_place() -> None:
    done = subprocess.run(
        (sys.executable, "-c", DEFECT),
        env=environment({}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (70, "")
    assert re.fullmatch(
        r"vnetbench: internal error, please report: NameError: .* \(scenarios\.py:\d+\)\n",
        done.stderr,
    )


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interrupt_ends_with_130(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    os.mkfifo(folder / "run.json")  # who reads it waits for what is never written
    with begun("compare", folder, folder) as program, read_by_somebody(folder / "run.json"):
        wait_until(lambda: sleeps(program.pid))
        program.send_signal(getattr(signal, name))
        out, err = program.communicate(timeout=20)
    assert (program.returncode, out, err) == (130, "", "vnetbench: interrupted\n")


@pytest.mark.parametrize("command", ["show flannel-udp --commands", "list veth", "run --help"])
def test_a_reader_that_is_gone_ends_it_with_141_and_silence(command: str) -> None:
    # `true` reads nothing; the sleep gives it time to be gone.
    assert status_of(f"sleep 0.1; $V {command} | true") == (141, "")


def test_a_regression_is_not_confused_with_a_reader_that_is_gone(tmp_path: Path) -> None:
    two_sets(tmp_path)
    line = f"sleep 0.1; $V compare {tmp_path}/old {tmp_path}/new | true"
    assert status_of(line) == (141, "")


def test_the_documentation_and_the_help_have_every_status() -> None:
    rows = re.findall(
        r"^\| (\d+) \| (.*) \|$", (ROOT / "docs/commands.md").read_text(), re.MULTILINE
    )
    assert {int(status): meaning for status, meaning in rows} == EXIT_STATUSES
    shown = " ".join(here("--help").out.split())
    for status, meaning in EXIT_STATUSES.items():
        assert f"{status} {meaning}" in shown


# ---- interrupts at any time ---------------------------------------------------------------------


@contextmanager
def begun(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The command, running, and interruptible even where whoever tests ignores Ctrl-C."""
    with subprocess.Popen(
        ["env", "--default-signal=INT", *PROGRAM, *map(str, arguments)],
        env=environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            yield program
        finally:
            program.kill()


@contextmanager
def read_by_somebody(fifo: Path) -> Iterator[None]:
    """Once somebody has opened it, and as long as there is nothing to be read."""
    ends: list[int] = []

    def opened() -> bool:
        with suppress(OSError):  # ENXIO: nobody reads
            ends.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        return bool(ends)

    wait_until(opened)
    try:
        yield
    finally:
        os.close(ends[0])


def sleeps(pid: int) -> bool:
    """Whether a process waits for something, and for some time.

    Python misses a signal that comes right before a system call that waits.
    """
    for _ in range(5):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
            return False
        time.sleep(0.02)
    return True


def _has(kind: str, pid: int, number: signal.Signals) -> bool:
    """Whether a process ignores ("Ign") a signal, or has a handler for it ("Cgt")."""
    mask = re.search(rf"Sig{kind}:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(mask and int(mask[1], 16) & 1 << (number - 1))


def has_handler(pid: int, number: signal.Signals) -> bool:
    return _has("Cgt", pid, number)


def imports(pid: int) -> bool:
    """Whether Python itself has started, and something of what the command needs is there."""
    mapped = Path(f"/proc/{pid}/maps").read_text()
    return "_cffi_backend" in mapped and not has_handler(pid, signal.SIGINT)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_ctrl_c_at_any_time_is_no_traceback() -> None:
    statuses = set()
    for delay in (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0):
        with begun("list", "veth", "bridge") as program:
            # Until then it is Python that starts, which nobody can keep from complaining.
            wait_until(lambda program=program: imports(program.pid))
            time.sleep(0.005 + delay)
            program.send_signal(signal.SIGINT)
            _, said = program.communicate(timeout=20)
        statuses.add(program.returncode)
        assert program.returncode in (0, 130, -signal.SIGINT), said
        assert said in ("", "vnetbench: interrupted\n"), (delay, said)
    assert -signal.SIGINT in statuses, "the first one comes while modules are imported"


# ---- standard streams ---------------------------------------------------------------------------


def test_output_that_finds_no_room_is_said_in_one_line() -> None:
    for command in ("show veth", "list veth", "show veth --json", "--help"):
        done = shell(f"$V {command} > /dev/full")
        assert (done.returncode, done.stderr) == (
            2,
            "vnetbench: standard output: cannot be written: No space left on device\n",
        )


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_lead_nowhere_and_do_no_harm(closed: str, tmp_path: Path) -> None:
    done = shell(f"$V show veth --json {closed}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "" or ">&-" not in closed.split()
    done = shell(f"$V show vteh {closed}")
    assert done.returncode == 2


@pytest.mark.usefixtures("namespaces")
def test_files_stay_whole_where_standard_output_is_closed(tmp_path: Path) -> None:
    done = shell(f"$V capture veth -o {tmp_path}/pcaps >&-")
    assert (done.returncode, done.stderr) == (0, "")
    captured = sorted((tmp_path / "pcaps").iterdir())
    assert [file.name for file in captured] == ["client-eth0.pcap", "server-eth0.pcap"]
    assert all(file.read_bytes()[:4] == b"\x4d\x3c\xb2\xa1" for file in captured)
