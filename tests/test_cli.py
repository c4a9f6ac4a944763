"""The command line: every mistake is one line and has its exit status."""

import subprocess
import sys
from pathlib import Path

import pytest
from files import ROOT
from program import vnetbench
from screens import complaint

from bench.scenario.load import scenarios_in

LONG = "x" * 300


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["run", "--profile", "eternal"], "'eternal' is not one of 'quick', 'standard'"),
        (["run", "nowhere"], 'no scenario "nowhere"; expected the path of a .toml file or one of'),
        (["run", "veth", "veth"], "veth is asked for twice"),
        (["run", "veth", "-p", "mtu"], 'expected "name=value"'),
        (["run", "veth", "-p", "batch=16"], 'no selected scenario has a parameter "batch"'),
        (["show", "veth", "-p", "mtu=1400,1500"], "give one value for each parameter"),
        (
            ["show", "tun-udp", "-p", "batch=65"],
            "-p batch=65: tun-udp: batch: expected a whole number from 1 to 64",
        ),
        (["show", LONG], "no scenario"),
        (["show", f"{LONG}.toml"], "File name too long"),
        (["compare", LONG, LONG], "File name too long"),
        (["trend"], "Missing argument 'DIR..."),
        (["trend", LONG], "is not a folder; expected result sets, or what holds them"),
        (["gate", "--baseline", LONG], "File name too long"),
        (["export", "csv", "results"], "'csv' is not one of"),
        (["run", "veth", "-o", LONG], "File name too long"),
        (["run", "veth", "-o", "/proc/1/nothing"], "/proc/1/nothing"),
        (["run", "--resume", "nowhere"], "there is no run to resume"),
        (["shell", "veth", "attic"], "veth has no host attic; it has client, server"),
        (["capture", "veth"], "Missing option '-o'"),
        (["ledger", "nowhere"], 'no scenario "nowhere"'),
        (["ledger", "veth", "--load", "sctp"], "'sctp' is not one of 'udp', 'tcp'"),
        (["ledger", "veth", "--size", "15"], "15 is not in the range 16<=x<=1400"),
        (["ledger", "veth", "--load", "tcp", "--size", "99"], "--size is of datagrams"),
        (["pump", "--tun", "\udcff", "--listen", "192.0.2.1:1"], "--route"),
    ],
)
def test_a_mistake_is_answered_in_one_line_with_status_2(arguments: list[str], says: str) -> None:
    assert says in complaint(*arguments)


def test_a_drawing_can_be_printed_in_any_encoding() -> None:
    done = vnetbench("show", "veth", env={"PYTHONIOENCODING": "latin-1"})
    assert "path: client:eth0 \\u2192 server:eth0" in done.stdout


def test_a_reader_that_has_had_enough_gets_no_complaint() -> None:
    line = f"{sys.executable} -m bench show flannel-udp --commands | head -1"
    done = subprocess.run(
        ("sh", "-c", line), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.startswith("# flannel-udp")
    assert done.stderr == ""


def test_a_broken_file_among_the_scenarios_comes_last_and_breaks_no_other(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_bytes(b"\xff = [")
    for name in ("vxlan", "veth"):
        (tmp_path / f"{name}.toml").write_text((ROOT / f"scenarios/{name}.toml").read_text())
    assert list(scenarios_in(tmp_path)) == ["veth", "vxlan", "broken"]


def test_the_program_that_forks_has_one_thread() -> None:
    code = (
        "import os, bench.cli, pyperf;"
        "assert os.listdir('/proc/self/task') == [str(os.getpid())], os.listdir('/proc/self/task')"
    )
    subprocess.run((sys.executable, "-c", code), cwd=ROOT, check=True)
