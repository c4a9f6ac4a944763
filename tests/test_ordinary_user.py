"""Somebody who is not root can do everything, given user namespaces and /dev/net/tun."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from capabilities import require, require_program
from files import ROOT

pytestmark = pytest.mark.usefixtures("tuns")

NOBODY = 65534
TUN = os.makedev(10, 200)
MEASURE = """
from bench.forwarders import forwarding
from bench.probes import PROBES, prove
from bench.scenario import load, shipped_scenarios
from bench.topology import build, enter_user_namespace_if_needed

enter_user_namespace_if_needed()
with build(load(shipped_scenarios()["flannel-udp"]).scenario) as topology, forwarding(topology):
    path = prove(topology, "flannel-udp")
    settings = {"processes": 1, "values": 1, "warmups": 1, "seconds": 0.01}
    print(PROBES["rtt"].measure(path, settings).samples["rtt"])
"""
SING = """
from bench.quality import canary
from bench.quality.watch import watching
from bench.topology import enter_user_namespace_if_needed

enter_user_namespace_if_needed()
with watching() as watch:
    song = canary.sing()
print(*sorted(song), *(n for n in ("other_load", "interrupts") if watch.figures[n] is not None))
"""


def closed_above(folder: Path) -> Path | None:
    """The highest directory on the way to `folder` that not everybody may pass."""
    way = (*reversed(folder.parents), folder)
    return next((place for place in way if not place.stat().st_mode & 0o001), None)


def opened() -> Iterator[str]:
    """Commands after which everybody can read the interpreter, its packages and this checkout.

    A home directory is often closed to others. Nothing is changed on it: a fresh one is mounted
    over it, with what is needed put back in its place.
    """
    needed = {Path(folder).resolve() for folder in (sys.base_prefix, sys.prefix, ROOT)}
    behind: dict[Path, list[Path]] = {}
    for folder in sorted(needed):
        closed = closed_above(folder)
        if closed is not None:
            behind.setdefault(closed, []).append(folder)
    for closed, folders in behind.items():
        yield "mount -t tmpfs -o mode=755 none /mnt"
        for number, folder in enumerate(folders):
            yield f"mkdir /mnt/{number}; mount --bind {shlex.quote(str(folder))} /mnt/{number}"
        yield f"mount -t tmpfs -o mode=755 none {shlex.quote(str(closed))}"
        for number, folder in enumerate(folders):
            place = shlex.quote(str(folder))
            yield f"mkdir -p {place}; mount --move /mnt/{number} {place}"


def as_nobody(*arguments: str, tun_mode: str = "666") -> subprocess.CompletedProcess[str]:
    """Run this Python as a user without rights, with a /dev/net/tun of that mode.

    In a mount namespace of its own, so that the machine's device and directories stay as they are.
    """
    script = [
        "set -e",
        *opened(),
        "mount -t tmpfs none /dev/net",
        f"mknod -m {tun_mode} /dev/net/tun c {os.major(TUN)} {os.minor(TUN)}",
        "cd /",
        f"exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --no-new-privs "
        + shlex.join((sys.executable, *arguments)),
    ]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.run(
        ("unshare", "--mount", "--propagation=private", "sh", "-c", "\n".join(script)),
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module", autouse=True)
def user_namespaces() -> None:
    """Skip where an ordinary user may not make user namespaces."""
    require_program("setpriv")
    attempt = "import os, subprocess; raise SystemExit(subprocess.call(['unshare', '-Ur', 'true']))"
    done = as_nobody("-c", attempt)
    require(done.returncode == 0, f"needs user namespaces for ordinary users: {done.stderr}")


def test_the_user_of_these_tests_has_no_rights() -> None:
    done = as_nobody("-c", "import os; print(os.getuid()); os.listdir('/proc/1/fd')")
    assert done.stdout == f"{NOBODY}\n"
    assert "PermissionError" in done.stderr


def test_scenarios_with_and_without_tun_devices_carry_packets() -> None:
    done = as_nobody("-m", "bench", "list", "veth", "flannel-udp", "tap-bridge")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.rstrip().endswith("yes")]
    assert [row.split()[0] for row in rows] == ["veth", "flannel-udp", "tap-bridge"], done.stdout


def test_a_path_can_be_measured() -> None:
    done = as_nobody("-c", MEASURE)
    assert done.returncode == 0, done.stderr
    assert 1e-6 < float(done.stdout.strip("[]\n")) < 0.1


def test_a_run_is_watched_and_its_canary_has_all_parts() -> None:
    done = as_nobody("-c", SING)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["loopback", "memcpy", "system_call", "other_load", "interrupts"]


def test_a_ledger_holds_what_the_pump_and_proc_know_and_says_why_not_more() -> None:
    done = as_nobody("-m", "bench", "ledger", "flannel-udp", "--packets", "500", "--json")
    assert done.returncode == 0, done.stderr
    (ledger,) = json.loads(done.stdout)
    for item, predicted in ledger["predicted"].items():
        assert ledger["per_packet"][item] == pytest.approx(predicted, rel=0.02), item
    assert ledger["unobserved"].keys() == {"trace"}
    assert set(ledger["reasons"]) == {"wakeups", "segments_per_skb", "drops"}
    assert ledger["sound"]


def test_where_the_tun_device_is_closed_the_rest_still_works_and_the_reason_is_given() -> None:
    done = as_nobody("-m", "bench", "list", "veth", "tun-relay", tun_mode="600")
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "yes" in text
    assert "no: client: cannot" in text
    assert "Permission denied" in text


def test_where_user_namespaces_are_off_the_message_says_what_to_do() -> None:
    """In a user namespace that may have no further ones, as on a machine that forbids them."""
    limited = (
        "echo 0 > /proc/sys/user/max_user_namespaces; "
        f"exec setpriv --bounding-set=-all --inh-caps=-all {shlex.quote(sys.executable)} "
        "-m bench list veth"
    )
    call = f"import os; os.execvp('unshare', ['unshare', '-Ur', 'sh', '-c', {limited!r}])"
    done = as_nobody("-c", call)
    assert done.returncode == 3
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert "cannot create network namespaces as an ordinary user" in done.stderr
    assert "user.max_user_namespaces" in done.stderr
