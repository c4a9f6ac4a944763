"""The machine is the same before, while and after a scenario is up, however the program ends."""

import gc
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from beside import installed
from cage import Cage, cage, kill, until
from capabilities import require_program
from files import NAMES, PEERS, ROOT, STRESS, shipped
from live import live, ping

from bench.probes import prove
from bench.probes.echo import responder

pytestmark = pytest.mark.slow

BUSY = Path(__file__).with_name("busy.py")
KILLS = 15 * STRESS
KILLS_OF_EACH = 3 * STRESS
MACVTAP = "macvtap"
MOMENT = 1.5
"""Seconds after the start within which a busy program is killed; more often early than late, as
setting up takes less of them than measuring."""


def machine() -> dict[str, Any]:
    """What a program could leave on the machine, as seen from where the tests run."""
    return {
        "links": output("ip", "-j", "-d", "link"),
        "addresses": output("ip", "-j", "address"),
        "routes": output("ip", "-j", "route", "show", "table", "all"),
        "rules": output("ip", "-j", "rule"),
        "sysctls": sysctls(),
        "named namespaces": names_in(Path("/run/netns")),
        "mounts": Path("/proc/self/mountinfo").read_text(),
    }


def output(*command: str) -> Any:
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return without_clocks(json.loads(text or "[]"))


def without_clocks(value: Any) -> Any:
    """Without the entries that count down by themselves."""
    clocks = ("valid_life_time", "preferred_life_time", "expires", "gc_timer", "ageing_timer")
    if isinstance(value, dict):
        return {key: without_clocks(v) for key, v in value.items() if key not in clocks}
    return [without_clocks(v) for v in value] if isinstance(value, list) else value


def sysctls() -> dict[str, str]:
    found = {}
    for folder, _, names in os.walk("/proc/sys/net"):
        for name in names:
            with suppress(OSError):  # some can only be written
                found[f"{folder}/{name}"] = Path(folder, name).read_text(errors="replace")
    return {name: value for name, value in found.items() if not name.endswith("_conntrack_count")}


def names_in(folder: Path) -> list[str] | None:
    return sorted(os.listdir(folder)) if folder.exists() else None


def children() -> set[int]:
    """The processes whose parent is this one, dead ones that nobody reaped included."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # The name in the second field may hold anything; the parent comes after the ")".
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == os.getpid():
                    found.add(int(entry.name))
    return found


@pytest.mark.usefixtures("tuns")
def test_scenarios_come_and_go_and_the_machine_notices_nothing() -> None:
    gc.collect()  # lest what earlier tests left be closed between the two lists
    before, descriptors, mine = machine(), os.listdir("/proc/self/fd"), children()
    home = os.readlink("/proc/self/ns/net")
    for name in NAMES:
        with live(shipped(name).scenario) as topology:
            ping(topology)
            assert machine() == before, f"while {name} was up"
        assert os.readlink("/proc/self/ns/net") == home
    assert machine() == before
    assert children() == mine
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


@pytest.mark.usefixtures("namespaces")
def test_an_error_while_it_is_up_leaves_nothing_either() -> None:
    gc.collect()  # lest what earlier tests left be closed between the two lists
    before, descriptors, mine = machine(), os.listdir("/proc/self/fd"), children()
    with pytest.raises(ZeroDivisionError):
        fail_inside("bridge")
    assert machine() == before
    assert children() == mine
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


def fail_inside(name: str) -> None:
    """Make an error of one's own while a scenario is up and an echo server runs in it."""
    with live(shipped(name).scenario) as topology, responder(prove(topology, name)):
        raise ZeroDivisionError


# ---- killed ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def caged() -> Iterator[Cage]:
    with cage() as made:
        yield made


def test_the_cage_notices_a_namespace_that_is_left(caged: Cage) -> None:
    assert not caged.has_other_namespaces()
    command = caged.command("unshare", "--net", "cat")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin
        assert other.stdout
        other.stdin.write(b"in\n")
        other.stdin.flush()
        other.stdout.readline()
        assert caged.has_other_namespaces()
        assert caged.processes() == [other.pid]
        other.stdin.close()
    until(lambda: not caged.has_other_namespaces(), "no namespace is left")


@pytest.mark.usefixtures("tuns")
@pytest.mark.parametrize("number", range(KILLS))
def test_killed_at_any_moment_it_leaves_no_process_namespace_or_link(
    number: int, caged: Cage
) -> None:
    """Every third time the main process alone, every third all of them, every third Ctrl-C."""
    kill_while_busy(number, caged, ())


@pytest.mark.peers
@pytest.mark.usefixtures("tuns")
@pytest.mark.parametrize("name", [name for name in PEERS if name != MACVTAP])
@pytest.mark.parametrize("number", range(KILLS_OF_EACH))
def test_programs_of_others_are_killed_with_it(number: int, name: str, caged: Cage) -> None:
    installed(name)
    kill_while_busy(number, caged, (name,), 1 + len(shipped(name).scenario.forwarders))


@pytest.mark.peers
@pytest.mark.usefixtures("tuns")
@pytest.mark.parametrize("number", range(KILLS_OF_EACH))
def test_an_etcd_is_killed_with_it(number: int, caged: Cage) -> None:
    require_program("etcd")
    kill_while_busy(number, caged, ("flannel-udp[routes=etcd]",), 4)


@pytest.mark.parametrize("number", range(KILLS_OF_EACH))
def test_a_killed_macvtap_leaves_no_device_node_and_no_mount(number: int) -> None:
    """Outside of the cage: in a user namespace there are no device nodes."""
    installed(MACVTAP)
    nodes, mounts = taps(), Path("/proc/self/mountinfo").read_text()
    command = (sys.executable, str(BUSY), str(number), MACVTAP)
    with busy_with(command) as program:
        assert program.stdout
        assert program.stderr
        assert program.stdout.readline(), program.stderr.read().decode()
        time.sleep(MOMENT * random.random() ** 3)
        assert program.poll() is None, program.stderr.read().decode()
        program.kill()
        program.wait(10)
        # Not equal: those of a namespace that is still being taken down may go meanwhile.
        until(lambda: taps() <= nodes, "all of its device nodes are gone")
    assert Path("/proc/self/mountinfo").read_text() == mounts


def taps() -> set[str]:
    """The device nodes of macvtaps that the kernel has made."""
    return {entry.name for entry in Path("/dev").glob("tap*")}


@contextmanager
def busy_with(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a session of its own that has said it is busy."""
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as program:
        assert program.stdout
        assert program.stderr
        assert program.stdout.readline(), program.stderr.read().decode()
        yield program


def kill_while_busy(number: int, caged: Cage, names: Sequence[str], processes: int = 1) -> None:
    """Start, let it be busy with `names`, kill in one of three ways, and look what is left.

    processes: how many there must have been before it is killed.
    """
    links, mounts, here = caged.links(), caged.mounts(), output("ip", "-j", "link")
    command = caged.command(sys.executable, str(BUSY), str(number), *names)
    with busy_with(command) as program:
        assert program.stderr
        until(lambda: len(caged.processes()) >= processes, f"there are {processes} processes")
        time.sleep(MOMENT * random.random() ** 3)
        assert program.poll() is None, program.stderr.read().decode()
        match number % 3:
            case 0:
                program.kill()
            case 1:
                kill(caged.processes())
            case _:
                program.send_signal(signal.SIGINT)
        program.wait(10)
        until(lambda: not caged.processes(), "all of its processes are gone")
        until(lambda: not caged.has_other_namespaces(), "all of its namespaces are gone")
    assert caged.links() == links == ["lo"]
    assert caged.mounts() == mounts
    assert output("ip", "-j", "link") == here
