"""Programs of others as forwarders: they carry packets, say what they are, leave nothing behind."""

import os
import re
import shutil
from pathlib import Path

import pytest
from beside import installed
from capabilities import require
from files import PEERS, ROOT, load_text, shipped
from guests import has_guests

from bench import programs
from bench.errors import CannotMeasure, MissingCapability, ScenarioError
from bench.forwarders import check, commands, forwarding
from bench.probes import prove
from bench.process import FOLDER
from bench.scenario import shipped_peers
from bench.scenario.model import Program
from bench.topology import Arm, build

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("arm", Arm)
@pytest.mark.parametrize("name", [name for name in PEERS if not has_guests(name)])
def test_datagrams_cross_every_device_that_the_file_says(name: str, arm: Arm) -> None:
    installed(name)
    scenario = shipped(name).scenario
    with build(scenario, arm) as topology, forwarding(topology) as running:
        path = prove(topology, name, running)
        assert len(path.forwarders) == len(scenario.forwarders)


@pytest.mark.parametrize("name", programs.names())
def test_a_program_says_its_version_and_has_a_scenario(name: str) -> None:
    used = {
        forwarder.program
        for peer in PEERS
        for forwarder in shipped(peer).scenario.forwarders
        if isinstance(forwarder, Program)
    }
    assert name in used
    tool = programs.tool(name)
    require(tool.missing() is None, str(tool.missing()))
    assert re.match(r"\d", tool.installed_version())


def test_its_files_are_for_its_eyes_only_and_gone_with_it() -> None:
    installed("socat")
    with build(shipped("socat").scenario) as topology, forwarding(topology) as running:
        for forwarder in running:
            root = Path(f"/proc/{forwarder.child.pid}/root")
            assert (root / "run").stat().st_dev != os.stat("/run").st_dev
    assert not Path(FOLDER).exists()


def test_a_program_that_is_not_installed_is_a_skip_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    scenario = shipped("socat").scenario
    with (
        build(scenario) as topology,
        pytest.raises(MissingCapability, match="socat is not installed; `make peers`"),
        forwarding(topology),
    ):
        pass


def test_a_program_that_ends_at_once_is_an_error_with_what_it_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "socat"
    program.write_text('#!/bin/sh\n[ "$1" = -V ] || { echo my disk is on fire; exit 5; }\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with (
        build(shipped("socat").scenario) as topology,
        pytest.raises(CannotMeasure, match="status 5; it last said: my disk is on fire"),
        forwarding(topology),
    ):
        pass


def test_a_program_that_carries_nothing_is_an_error_that_says_how_far_packets_came(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It opens its device, and sends everything to the wrong port."""
    real = shutil.which("socat")
    require(real is not None, "socat is not installed")
    program = tmp_path / "socat"
    program.write_text(f'#!/bin/sh\nexec {real} "$1" $(echo "$2 $3" | sed s/:1194,/:1195,/)\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with (
        build(shipped("socat").scenario) as topology,
        forwarding(topology) as running,
        pytest.raises(CannotMeasure, match=r"no echo .* packets were seen on client:tun0"),
    ):
        prove(topology, "socat", running)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('program = "socat"', 'program = "dog"', "no program dog; expected one of"),
        (
            'program = "socat"',
            'program = "socat"\noptions = { cipher = "rot13" }',
            "socat has no such option",
        ),
        ('listen = "192.0.2.1:1194"\n', "", 'expected "address:port" of its socket'),
        ('routes = { "10.8.0.2/32" = "192.0.2.2:1194" }\n', "", "has routes to its peers"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    text = shipped_peers()["socat"].read_text()
    with pytest.raises(ScenarioError, match=re.escape(said)):
        check(load_text(text.replace(old, new, 1), tmp_path))


def test_the_commands_that_are_shown_are_what_is_run() -> None:
    installed("socat")
    scenario = shipped("socat").scenario
    first, second = commands(scenario)
    assert first.startswith("ip netns exec client socat")
    assert second.startswith("ip netns exec server socat")


def test_the_folder_of_peers_is_installed_with_the_package() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert '"peers/*.toml"' in text
    assert '"bench.programs"' in text
