"""Virtual machines as hosts: they boot, are measured from within, and leave nothing behind."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path as File

import pyperf
import pytest
from cage import cage, kill, until
from files import ROOT, load_text, shipped
from guests import booted, require_guests
from live import ECHO

from bench.errors import CannotMeasure, MissingCapability, ScenarioError
from bench.forwarders import forwarding, qemu
from bench.guests import Guest, image
from bench.probes import PROBES, Path
from bench.probes.base import refuse_guests
from bench.recipe import shell_commands
from bench.scenario import parse_ref, shipped_peers
from bench.topology import Arm, build, facts

pytestmark = pytest.mark.peers
TEXT = shipped_peers()["qemu-host"].read_text()
WHOLE = 1514
"""Bytes of the largest frame that is one packet."""
PAIR = """
import sys
from files import shipped
from guests import booted

with booted(shipped("qemu-host").scenario):
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    """Two guests on one bridge; every device has counted every datagram."""
    with booted(shipped("qemu").scenario) as proved:
        yield proved


def guest_of(path: Path, host: str = "guest-1") -> Guest:
    place = path.place(host)
    assert isinstance(place, Guest)
    return place


def test_a_guest_has_a_kernel_of_its_own_and_results_say_which(path: Path) -> None:
    own = guest_of(path).read("/proc/sys/kernel/osrelease").strip()
    assert image.find_kernel().image.name == f"vmlinuz-{own}"
    for one in path.forwarders:
        assert one.facts["guest_kernel"] == own
        assert one.facts["accelerator"] in ("kvm", "tcg")
        assert one.facts["version"] == qemu.version()
    assert list(facts(path.topology)) == ["host"]


def test_a_guest_has_the_settings_of_any_host(path: Path) -> None:
    guest = guest_of(path)
    assert guest.read("/proc/sys/net/ipv4/tcp_rmem").split() == ["4096", "131072", "6291456"]
    assert guest.read("/sys/class/net/eth0/mtu").strip() == "1500"
    assert guest.read("/proc/sys/net/ipv6/conf/all/disable_ipv6").strip() == "1"


def test_round_trips_between_guests_are_timed_by_the_clock_of_one(path: Path) -> None:
    settings = {"processes": 2, "values": 3, "warmups": 1, "seconds": 0.02}
    taken = PROBES["rtt"].measure(path, settings)
    values = taken.samples["rtt"]
    assert len(values) == 6
    assert all(1e-6 < value < 1 for value in values)
    assert taken.pyperf is not None
    read = pyperf.Benchmark.loads(taken.pyperf.decode())
    assert read.get_name() == path.name
    assert list(read.get_values()) == values


def test_goodput_between_guests_is_what_the_receiving_one_got(path: Path) -> None:
    tap = parse_ref("host:tap2")
    before = path.topology.traffic(tap.host)[tap.device]
    taken = PROBES["tcp_goodput"].measure(path, {"warmup": 0, "duration": 1})
    after = path.topology.traffic(tap.host)[tap.device]
    [goodput] = taken.samples["tcp_goodput"]
    assert 0.5 < goodput / 8 / (after.tx_bytes - before.tx_bytes) < 1.1


def test_what_cannot_run_inside_a_guest_says_so_in_one_line(path: Path) -> None:
    scenario = path.topology.scenario
    for probe in PROBES.values():
        if probe.id not in ("rtt", "tcp_goodput"):
            with pytest.raises(MissingCapability, match=f"^{probe.id} cannot run inside a guest$"):
                refuse_guests(probe, scenario)
    with pytest.raises(MissingCapability, match=r"^guest-1 is a guest: this cannot be done inside"):
        path.topology.netns("guest-1")


def test_a_program_in_a_guest_that_fails_is_an_error_with_what_it_said(path: Path) -> None:
    guest = guest_of(path)
    with (
        guest.execute("shell", ["sh", "-c", "echo all is lost >&2; exit 3"]) as program,
        pytest.raises(CannotMeasure, match=r"guest-1: shell: .* status 3; .* all is lost"),
    ):
        program.result(10)
    with (
        guest.execute("nothing", ["no-such-program"]) as program,
        pytest.raises(CannotMeasure, match=r"status 127; .* No such file"),
    ):
        program.result(10)


def test_a_program_in_a_guest_ends_with_its_block_and_so_do_its_children(path: Path) -> None:
    guest = guest_of(path)
    with guest.execute("shell", ["sh", "-c", "sleep 1234 & echo on; sleep 4321"]) as program:
        program.await_line("on", 10)
    assert not program.alive()
    with guest.execute("ps", ["ps"]) as listing:
        assert "sleep" not in listing.result(10)


def test_programs_in_a_guest_run_side_by_side_and_their_output_is_kept_apart(path: Path) -> None:
    guest = guest_of(path)
    count = "i=0; while [ $i -lt 2000 ]; do echo {0}; i=$((i+1)); done"
    with (
        guest.execute("a", ["sh", "-c", count.format("a")]) as a,
        guest.execute("b", ["sh", "-c", count.format("b")]) as b,
    ):
        assert b.result(30) == "b\n" * 2000
        assert a.result(30) == "a\n" * 2000


@pytest.mark.slow
@pytest.mark.parametrize("arm", Arm)
def test_packets_of_a_guest_are_one_each_in_the_parity_arm_only(arm: Arm) -> None:
    with booted(shipped("qemu-uplink").scenario, arm) as proved:
        before = proved.topology.traffic("host")["tap1"]
        PROBES["tcp_goodput"].measure(proved, {"warmup": 0, "duration": 1})
        after = proved.topology.traffic("host")["tap1"]
    size = (after.rx_bytes - before.rx_bytes) / (after.rx_packets - before.rx_packets)
    assert (size > 2 * WHOLE) if arm is Arm.NATIVE else (WHOLE / 2 < size <= WHOLE)


def test_a_guest_that_does_not_come_up_is_an_error_with_the_end_of_its_console(
    tmp_path: File,
) -> None:
    require_guests()
    text = TEXT.replace(
        "[hosts.guest.devices]",
        '[hosts.guest]\nsysctls = { "net.ipv4.nonsense" = 1 }\n[hosts.guest.devices]',
    )
    with (
        build(load_text(text, tmp_path).scenario) as topology,
        pytest.raises(CannotMeasure, match=r"qemu guest: exited .* net\.ipv4\.nonsense|nonsense"),
        forwarding(topology),
    ):
        pass


def test_kvm_is_used_where_it_works_and_refused_where_it_only_seems_to(tmp_path: File) -> None:
    require_guests()
    text = TEXT.replace('accelerator = "auto"', 'accelerator = "kvm"')
    scenario = load_text(text, tmp_path).scenario
    obstacle = qemu.obstacle_to_kvm()
    with build(scenario) as topology:
        if obstacle is None:
            with forwarding(topology) as [one]:
                assert one.facts["accelerator"] == "kvm"
        else:
            with pytest.raises(MissingCapability, match="KVM does not work"), forwarding(topology):
                pass


def test_vhost_without_its_device_is_a_skip_that_says_so(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_guests()
    monkeypatch.setattr(qemu, "VHOST", tmp_path / "vhost-net")
    scenario = load_text(TEXT.replace("vhost = false", "vhost = true"), tmp_path).scenario
    with (
        build(scenario) as topology,
        pytest.raises(MissingCapability, match=r"vhost needs .*; modprobe vhost_net"),
        forwarding(topology),
    ):
        pass


def test_without_qemu_it_is_a_skip_that_says_what_to_do(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_guests()
    for name in ("busybox", "iperf3", "ldd"):
        (tmp_path / name).symlink_to(image.tool(name))
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        build(shipped("qemu-host").scenario) as topology,
        pytest.raises(MissingCapability, match=r"qemu-system-x86_64 is not .* `make peers`"),
        forwarding(topology),
    ):
        pass


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '["guest:eth0", "host:tap1"]',
            '["host:tap1", "guest:eth0"]',
            "expected a nic and a tap",
        ),
        ('["guest:eth0", "host:tap1"]', '["host:tap1"]', "expected a nic and a tap"),
        ('vhost = "$vhost"', 'vhost = "$vhost"\nlisten = "10.9.0.1:1"', "not to a socket"),
        ('accelerator = "$accelerator"', 'accelerator = "magic"', "magic"),
        ('ports = ["tap1"]', 'ports = ["tap1", "tap9"]', "has no device tap9"),
        ("[hosts.guest.devices]", "[hosts.guest.devices]\nlo1 = { kind = 'tap' }", "has one nic"),
    ],
)
def test_a_scenario_with_a_guest_that_makes_no_sense_is_refused(
    old: str, new: str, said: str, tmp_path: File
) -> None:
    assert old in TEXT
    with pytest.raises(ScenarioError, match=said):
        load_text(TEXT.replace(old, new), tmp_path)


@pytest.mark.parametrize("whom", ["main", pytest.param("all", marks=pytest.mark.slow)])
def test_killed_while_a_guest_runs_it_leaves_no_process_namespace_or_file(whom: str) -> None:
    require_guests()
    with cage() as caged:
        mounts = caged.mounts()
        command = caged.command(sys.executable, "-c", PAIR)
        folders = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
        with subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": folders},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as program:
            assert program.stdout
            assert program.stdout.readline() == b"up\n"
            assert len(caged.processes()) > 1
            kill([program.pid] if whom == "main" else caged.processes())
            program.wait(10)
            until(lambda: not caged.processes(), "all of its processes are gone")
            until(lambda: not caged.has_other_namespaces(), "all of its namespaces are gone")
        assert caged.mounts() == mounts
        assert not File("/run/vnetbench").exists()


@pytest.mark.slow
def test_the_commands_that_are_shown_boot_a_guest_that_answers() -> None:
    require_guests()
    *lines, try_it, undo_it = shell_commands(shipped("qemu-host"), Arm.NATIVE)
    assert try_it == "# try it:  ip netns exec host ping -c 3 10.9.0.2"
    echo = f"ip netns exec host {' '.join(ECHO)} 10.9.0.2 1 56 0.5"
    script = [
        *(
            "set -e",
            "trap 'kill $(jobs -p)' EXIT",
            "mount -t tmpfs none /run",
            *lines,
            "end=$((SECONDS + 60))",
        ),
        f"until {echo}; do test $SECONDS -lt $end; done",
        *("trap - EXIT", undo_it.removeprefix("# undo it: ")),
    ]
    room = ("unshare", "--mount", "--net", "--propagation=private", "bash")
    done = subprocess.run(
        room, input="\n".join(script), capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
