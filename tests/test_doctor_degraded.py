"""The doctor where much is missing: no right, no device, no program; never a traceback."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from files import ROOT
from looking import look
from nobody import as_nobody, as_nobody_confined, require_ordinary_user
from program import environment

from bench.doctor import tools
from bench.doctor.examine import run
from bench.doctor.model import Here, Status

pytestmark = [pytest.mark.usefixtures("tuns"), pytest.mark.slow]

DOCTOR = ("-m", "bench", "doctor", "--json")


def read(done: subprocess.CompletedProcess[str], status: int = 0) -> dict[str, dict[str, str]]:
    assert (done.returncode, done.stderr) == (status, ""), done.stderr + done.stdout
    document: dict[str, Any] = json.loads(done.stdout)
    return {entry["id"]: entry for part in ("can_measure", "noise") for entry in document[part]}


def in_mounts(*lines: str) -> dict[str, dict[str, str]]:
    """The doctor in a mount namespace in which the commands `lines` have been carried out."""
    return read(
        subprocess.run(
            (*mounted(*lines), sys.executable, *DOCTOR),
            env=environment({}),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    )


def mounted(*lines: str) -> list[str]:
    """A command that runs another one there."""
    script = "\n".join(["set -e", *lines, 'exec "$@"'])
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh"]


@pytest.fixture(scope="module")
def ordinary() -> dict[str, dict[str, str]]:
    """What an ordinary user is told, without the right to open a tun."""
    require_ordinary_user()
    return read(as_nobody(*DOCTOR, tun_mode="600"))


def test_an_ordinary_user_can_measure_and_is_told_what_only_root_may(
    ordinary: dict[str, dict[str, str]],
) -> None:
    assert ordinary["namespaces"]["found"] == "can be made, as root in a user namespace"
    assert ordinary["device_veth"]["status"] == "ok"
    assert ordinary["tracer"]["status"] == "missing"
    assert ordinary["tracepoints"]["status"] in ("unknown", "ok")
    assert ordinary["other_load"]["status"] in ("ok", "noisy")
    assert ordinary["core_company"]["status"] in ("ok", "noisy")


def test_a_tun_device_that_is_closed_is_missing_and_the_command_opens_it(
    ordinary: dict[str, dict[str, str]],
) -> None:
    assert ordinary["tun"]["status"] == "missing"
    assert ordinary["tun"]["found"] == "Permission denied"
    assert ordinary["tun"]["mend"].startswith("sudo chmod 666 /dev/net/tun")
    assert ordinary["tun_offload"]["status"] == "unknown"
    assert "linux-image" not in ordinary["io_uring"]["mend"], "it is not the kernel's fault"


def test_every_lack_of_an_ordinary_user_has_something_to_do(
    ordinary: dict[str, dict[str, str]],
) -> None:
    lacks = [e for e in ordinary.values() if e["status"] in ("missing", "noisy")]
    assert lacks
    assert all(entry["mend"] for entry in lacks)


def test_a_tun_device_that_is_not_there_is_made_by_the_command() -> None:
    hide = "mount -t tmpfs none /dev/net"
    found = look("tun", *mounted(hide))
    assert found["found"] == "No such file or directory"
    make = found["mend"].partition(" (")[0].replace("sudo ", "")
    assert look("tun", *mounted(hide, make))["status"] == "ok"


def test_without_iperf3_and_its_library_goodput_is_missing_and_all_else_is_there() -> None:
    libraries = subprocess.run(
        ["sh", "-c", "ldconfig -p | sed -n 's/.*libiperf.so.0.* => //p'"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    hide = [f"mount --bind /dev/null {shlex.quote(str(Path(p).resolve()))}" for p in libraries]
    found = in_mounts(*hide, "export PATH=/nonexistent")
    assert found["iperf"]["status"] == "missing"
    assert found["iperf"]["mend"] == "sudo apt-get install libiperf0"
    assert found["probes"]["found"].startswith("not tcp_goodput, cpu")
    assert found["device_veth"]["status"] == "ok"
    assert found["tracer"]["mend"].startswith("sudo apt-get install bpftrace")
    assert {found[id_]["mend"] for id_ in found if id_.startswith("program_")} == {"make peers"}


def test_where_there_is_no_checkout_no_make_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    mends = {
        checkout: {
            found.id: found.mend
            for found in run(tools.checks(), Here(checkout=checkout))
            if found.status is Status.MISSING
        }
        for checkout in (True, False)
    }
    assert "make peers" in mends[True].values()
    assert mends[True].keys() == mends[False].keys()
    assert not [mend for mend in mends[False].values() if "make " in mend]
    assert mends[False]["program_socat"] == "sudo apt-get install socat"
    assert mends[False]["etcd"] == "sudo apt-get install etcd-server"
    assert mends[False]["guests"].startswith("sudo apt-get install ")


def test_where_no_namespaces_can_be_made_the_tables_still_stand_and_the_status_is_3() -> None:
    require_ordinary_user()
    found = read(as_nobody_confined(*DOCTOR), status=3)
    assert found["namespaces"]["status"] == "missing"
    assert found["namespaces"]["mend"] == "sudo sysctl -w user.max_user_namespaces=15000"
    assert found["device_veth"]["found"] == "needs network namespaces"
    assert found["cpus"]["status"] in ("ok", "noisy")


def test_a_folder_without_room_is_found_with_another_way(tmp_path: Path) -> None:
    folder = shlex.quote(str(tmp_path))
    room = look("room", *mounted(f"mount -t tmpfs -o size=1m none {folder}", f"cd {folder}"))
    assert (room["status"], room["found"]) == ("missing", "1 MiB free, of 200 wanted")
    assert "-o DIR" in room["mend"]
