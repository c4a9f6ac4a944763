"""`vnetbench pump` with its switches, with routes that change, and over IPv6."""

import os
import select
import signal
import socket
import subprocess
from contextlib import ExitStack
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cage import until
from live import ECHO, inside_run
from wire import LISTEN, ROUTE, THEIRS, USUAL, Wire, counters, pumping, run_lines, start, stranger

from bench import native
from bench.forwarders.queues import PumpConfig, QueueCounters, ports_of_queues, run
from bench.forwarders.sockets import buffers, udp_sockets
from bench.native import PortKind
from bench.presets import preset
from bench.topology import inside

pytestmark = pytest.mark.usefixtures("tuns")

NOWHERE = "10.244.2.0/24=192.0.2.77:8285"
THERE = "10.244.2.0/24=192.0.2.2:8285"


def descriptors(pid: int, device: str) -> list[str]:
    """What the kernel says of each descriptor of the device that the process has."""
    entries = [entry.read_text() for entry in Path(f"/proc/{pid}/fdinfo").iterdir()]
    return [text for text in entries if f"iff:\t{device}\n" in text]


def tasks(pid: int) -> list[str]:
    """What the kernel says of each thread of the process."""
    return [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]


def udp_ports(pid: int) -> list[str]:
    """Local addresses of the UDP sockets in the process's namespace."""
    rows = Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]
    return [row.split()[1] for row in rows]


def line_of(pump: subprocess.Popen[str]) -> str:
    """The next line on standard error."""
    assert pump.stderr
    assert select.select([pump.stderr], [], [], 10)[0], "it says nothing"
    return pump.stderr.readline()


# ---- switches -------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--preset=flannel",), ("--preset=fast",)])
def test_any_preset_talks_to_a_peer_that_is_not_ours(wire: Wire, options: tuple[str, ...]) -> None:
    with pumping(wire.ours, *USUAL, *options), stranger(wire):
        for size in (56, 1472 - 28):
            inside_run(wire.ours, *ECHO, THEIRS, "3", str(size))


def test_with_offload_the_device_has_a_virtio_header(wire: Wire) -> None:
    with pumping(wire.ours, *USUAL, "--tun-offload=on"):
        said = inside_run(wire.ours, "ip", "-d", "link", "show", "flannel0")
        assert "vnet_hdr on" in said
    with pumping(wire.ours, *USUAL, "--preset=fast", "--tun-offload=off"):
        assert "vnet_hdr on" not in inside_run(wire.ours, "ip", "-d", "link", "show", "flannel0")


@pytest.mark.parametrize(("sockets", "count"), [("reuseport", 3), ("shared", 1)])
def test_several_queues_are_as_many_descriptors_and_threads(
    wire: Wire, sockets: str, count: int
) -> None:
    options = (*USUAL, "--queues=3", f"--sockets={sockets}")
    with pumping(wire.ours, *options) as pump, stranger(wire):
        # The device is held before its other queues are open and their threads run.
        until(lambda: len(tasks(pump.pid)) >= 1 + 3, "there are the threads of the queues")
        until(lambda: len(descriptors(pump.pid, "flannel0")) == 3, "each has its descriptor")
        assert udp_ports(pump.pid).count("010200C0:205D") == count
        for _ in range(4):
            inside_run(wire.ours, *ECHO, THEIRS, "2")
        pump.send_signal(signal.SIGTERM)
        found = counters(pump)
        assert pump.wait(10) == 0
    assert found["port0.rx_packets"] == found["port1.rx_packets"] == 8, "summed over the queues"


def test_a_queue_that_dies_takes_the_others_with_it(wire: Wire) -> None:
    with ExitStack() as stack, inside(wire.ours):
        fds = [native.tun_open("flannel0", PortKind.TUN, queues=True) for _ in range(2)]
        for fd in fds:
            stack.callback(os.close, fd)
        settings = {**preset("none"), "queues": 2}
        sockets = udp_sockets(ip_address("192.0.2.1"), 8285, settings, stack)
        dead = os.open("/dev/null", os.O_RDONLY)  # not the socket that the second thread expects
        stack.callback(os.close, dead)
        ports = ports_of_queues([PortKind.TUN, PortKind.UDP], [fds, [sockets[0].fileno(), dead]])
        router = native.Router({ip_network("10.244.2.0/24"): (ip_address("192.0.2.2"), 8285)})
        stop = os.eventfd(0)
        stack.callback(os.close, stop)
        with pytest.raises(OSError, match=r".+"):
            run(PumpConfig(settings, router), ports, QueueCounters(2), stop)


def test_threads_run_on_the_cpus_they_are_given(wire: Wire) -> None:
    cpu = min(os.sched_getaffinity(0))
    with pumping(wire.ours, *USUAL, f"--cpu={cpu}") as pump:
        until(lambda: f"Cpus_allowed_list:\t{cpu}\n" in "".join(tasks(pump.pid)), "one is there")


def test_a_cpu_that_is_not_there_ends_it_with_a_clear_error(wire: Wire) -> None:
    with start(wire.ours, "-m", "bench", "pump", *USUAL, "--cpu=1023") as pump:
        assert pump.wait(10) == 3
        assert pump.stderr
        assert "cannot run on CPU 1023: Invalid argument" in pump.stderr.read()


def test_a_buffer_is_as_large_as_asked_beyond_the_machines_limit(wire: Wire) -> None:
    size = int(Path("/proc/sys/net/core/rmem_max").read_text()) * 2
    with ExitStack() as stack, inside(wire.ours):
        settings = {**preset("none"), "buffer": size}
        [sock] = udp_sockets(ip_address("192.0.2.1"), 8285, settings, stack)
        assert min(buffers(sock).values()) >= size


# ---- routes that change ---------------------------------------------------------------------


def test_routes_are_read_from_a_file(wire: Wire, tmp_path: Path) -> None:
    file = tmp_path / "routes"
    file.write_text(f"# the peers\n\n  {THERE}   # theirs\nfd00::/64=192.0.2.9:1\n")
    with pumping(wire.ours, "--tun=flannel0", LISTEN, f"--routes={file}"), stranger(wire):
        inside_run(wire.ours, *ECHO, THEIRS)


def test_a_hangup_puts_the_files_routes_in_the_place_of_the_old(wire: Wire, tmp_path: Path) -> None:
    file = tmp_path / "routes"
    file.write_text(f"{NOWHERE}\n")
    options = ("--tun=flannel0", LISTEN, f"--routes={file}")
    with pumping(wire.ours, *options) as pump, stranger(wire):
        file.write_text(f"{THERE}\n")
        pump.send_signal(signal.SIGHUP)
        until(lambda: echoed(wire), "the new route is in force")
        assert pump.poll() is None


def echoed(wire: Wire) -> bool:
    try:
        inside_run(wire.ours, *ECHO, THEIRS, "1", "56", "0.2")
    except AssertionError:
        return False
    return True


def test_a_bad_file_is_one_line_and_the_old_routes_stay(wire: Wire, tmp_path: Path) -> None:
    file = tmp_path / "routes"
    file.write_text(f"{THERE}\n")
    options = ("--tun=flannel0", LISTEN, f"--routes={file}")
    with pumping(wire.ours, *options) as pump, stranger(wire):
        for content in (b"10.0.0.0/8\n", b"\xff", f"{THERE}\n10.0.0.1/8=192.0.2.2:1\n".encode()):
            file.write_bytes(content)
            pump.send_signal(signal.SIGHUP)
            said = line_of(pump)
            assert said.startswith(f"vnetbench: pump: --routes {file}: ")
            assert said.endswith("; the routes stay as they were\n")
        file.unlink()
        pump.send_signal(signal.SIGHUP)
        assert "No such file or directory; the routes stay" in line_of(pump)
        inside_run(wire.ours, *ECHO, THEIRS)


def test_no_packet_is_lost_while_routes_are_replaced(wire: Wire, tmp_path: Path) -> None:
    file = tmp_path / "routes"
    next_file = tmp_path / "next"
    file.write_text(f"{THERE}\n")
    options = ("--tun=flannel0", LISTEN, f"--routes={file}")
    with pumping(wire.ours, *options) as pump, stranger(wire):
        with inside(wire.ours):
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with inside(wire.theirs):
            receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sender, receiver:
            receiver.bind((THEIRS, 7))
            receiver.settimeout(5)
            sender.connect((THEIRS, 7))
            for number in range(300):
                if number % 3 == 0:
                    others = [f"10.{number % 200}.{i}.0/24=192.0.2.77:1" for i in range(200)]
                    next_file.write_text("\n".join([THERE, *others]))
                    next_file.replace(file)  # the pump may be reading it still
                    pump.send_signal(signal.SIGHUP)
                sender.send(number.to_bytes(4, "big"))
                assert int.from_bytes(receiver.recv(64), "big") == number


# ---- IPv6 -----------------------------------------------------------------------------------


def test_a_pump_on_ipv6_carries_both_families(wire: Wire) -> None:
    routes = ("10.244.2.0/24", "fd00:244:2::/48"), ("10.244.1.0/24", "fd00:244:1::/48")
    sides = ((wire.ours, "1", "2", routes[0]), (wire.theirs, "2", "1", routes[1]))
    with ExitStack() as stack:
        for netns, own, other, _ in sides:
            run_lines(
                netns,
                "sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.all.accept_dad=0",
                f"ip address add 2001:db8::{own}/64 dev under nodad",
            )
            assert other != own
        for netns, own, other, prefixes in sides:
            options = [f"--route={prefix}=[2001:db8::{other}]:8285" for prefix in prefixes]
            listen = f"--listen=[2001:db8::{own}]:8285"
            address = f"10.244.{own}.1"
            stack.enter_context(pumping(netns, "--tun=flannel0", listen, *options, address=address))
            run_lines(netns, f"ip address add fd00:244:{own}::1/32 dev flannel0 nodad")
        inside_run(wire.ours, *ECHO, THEIRS, "3")
        inside_run(wire.ours, *ECHO, "fd00:244:2::1", "3")
        inside_run(wire.theirs, *ECHO, "fd00:244:1::1", "3", str(1472 - 48))


def test_a_route_given_twice_goes_to_the_later_peer(wire: Wire) -> None:
    with pumping(wire.ours, *USUAL[:2], f"--route={NOWHERE}", ROUTE), stranger(wire):
        inside_run(wire.ours, *ECHO, THEIRS)
