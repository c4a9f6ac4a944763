"""`vnetbench pump` as a program: what it carries, what it prints, what it refuses."""

import json
import os
import re
import signal
import socket
import threading

import pytest
from cage import until
from live import ECHO, inside_run, ip
from wire import (
    LISTEN,
    OURS,
    ROUTE,
    THEIRS,
    USUAL,
    Wire,
    counters,
    pumping,
    run_lines,
    start,
    stranger,
)

from bench.cli.pump import pump as command
from bench.errors import UsageError
from bench.topology import inside

pytestmark = pytest.mark.usefixtures("tuns")

UNREACHABLE, TIME_EXCEEDED = 3, 11
IP_RECVERR = 11  # the socket module has it only from Python 3.14 on


def send_tcp(sender: int, receiver: int, address: str, size: int = 300_000) -> None:
    """Send random bytes over TCP; they must arrive as they are."""
    data, received = os.urandom(size), bytearray()
    with inside(receiver):
        listener = socket.create_server((address, 5000))
    with inside(sender):
        client = socket.socket()
    with listener, client:
        client.settimeout(10)
        client.connect((address, 5000))
        accepted, _ = listener.accept()
        thread = threading.Thread(target=send_all, args=(client, data))
        thread.start()
        with accepted:
            accepted.settimeout(10)
            while chunk := accepted.recv(65536):
                received += chunk
        thread.join()
    assert bytes(received) == data


def send_all(sock: socket.socket, data: bytes) -> None:
    with sock:
        sock.sendall(data)


# ---- carrying -------------------------------------------------------------------------------


def test_a_peer_that_is_not_ours_is_pinged_and_pings(wire: Wire) -> None:
    with pumping(wire.ours, *USUAL), stranger(wire):
        for size in (56, 1472 - 28):
            inside_run(wire.ours, *ECHO, THEIRS, "3", str(size))
            inside_run(wire.theirs, *ECHO, OURS, "3", str(size))


def test_tcp_crosses_to_and_from_a_peer_that_is_not_ours(wire: Wire) -> None:
    with pumping(wire.ours, *USUAL), stranger(wire):
        send_tcp(wire.ours, wire.theirs, THEIRS)
        send_tcp(wire.theirs, wire.ours, OURS)


def test_the_most_specific_route_is_taken(wire: Wire) -> None:
    nowhere = "--route=10.244.0.0/16=192.0.2.77:8285"
    with pumping(wire.ours, *USUAL[:2], nowhere, ROUTE), stranger(wire):
        inside_run(wire.ours, *ECHO, THEIRS)


@pytest.mark.parametrize("kind", ["tun", "tap"])
def test_two_devices_in_two_namespaces_are_joined(wire: Wire, kind: str) -> None:
    there = f"/proc/{os.getpid()}/fd/{wire.theirs}"
    with pumping(wire.ours, f"--{kind}=one", f"--{kind}=two@{there}", device="one"):
        run_lines(wire.theirs, f"ip address add {THEIRS}/16 dev two", "ip link set two up mtu 1472")
        inside_run(wire.ours, *ECHO, THEIRS, "3")
        inside_run(wire.theirs, *ECHO, OURS, "3", str(1472 - 28))


def test_a_device_that_exists_is_used_and_left_in_place(wire: Wire) -> None:
    run_lines(wire.ours, "ip tuntap add dev flannel0 mode tun")
    before = ip(wire.ours, "link", "show", "flannel0")[0]["ifindex"]
    with pumping(wire.ours, *USUAL) as pump, stranger(wire):
        inside_run(wire.ours, *ECHO, THEIRS)
        pump.terminate()
        assert pump.wait(10) == 0
        assert ip(wire.ours, "link", "show", "flannel0")[0]["ifindex"] == before


def test_a_device_that_it_made_goes_with_it(wire: Wire) -> None:
    with pumping(wire.ours, *USUAL) as pump:
        pump.terminate()
        assert pump.wait(10) == 0
        assert "flannel0" not in {link["ifname"] for link in ip(wire.ours, "link")}


# ---- counters -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_it_prints_its_counters_when_it_is_told_to_end(wire: Wire, name: str) -> None:
    with pumping(wire.ours, *USUAL) as pump, stranger(wire):
        inside_run(wire.ours, *ECHO, THEIRS, "7", "100")
        pump.send_signal(signal.Signals[name])
        found = counters(pump)
        assert pump.wait(10) == 0
        assert pump.stderr
        assert pump.stderr.read() == ""
    packet = 20 + 8 + 100
    for name_of_port, direction in (
        ("port0", "rx"),
        ("port1", "tx"),
        ("port1", "rx"),
        ("port0", "tx"),
    ):
        assert found[f"{name_of_port}.{direction}_packets"] == 7
        assert found[f"{name_of_port}.{direction}_bytes"] == 7 * packet


def test_it_prints_its_counters_whenever_it_is_asked_and_goes_on(wire: Wire) -> None:
    with pumping(wire.ours, *USUAL) as pump, stranger(wire):
        for rounds in (1, 2, 3):
            inside_run(wire.ours, *ECHO, THEIRS)
            pump.send_signal(signal.SIGUSR1)
            assert counters(pump)["port0.rx_packets"] == rounds


# ---- errors on the wire ---------------------------------------------------------------------


def icmp_error(netns: int, destination: str, ttl: int = 64) -> tuple[int, int, str]:
    """Type and code of the ICMP error that answers a datagram to `destination`, and its source."""
    with inside(netns):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        sock.settimeout(5)
        sock.sendto(b"lost", (destination, 7))
        with pytest.raises(OSError, match=r"unreachable|No route"):
            sock.recv(2048)
        _, [(_, _, error)], _, _ = sock.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
    # struct sock_extended_err, then the sockaddr_in of whoever sent the error
    return error[5], error[6], socket.inet_ntoa(error[20:24])


@pytest.mark.parametrize("rp_filter", [None, 1, 2], ids=["as found", "strict", "loose"])
def test_who_sends_where_no_route_leads_is_told_so(wire: Wire, rp_filter: int | None) -> None:
    with pumping(wire.ours, *USUAL):
        if rp_filter is not None:
            for where in ("all", "flannel0"):
                inside_run(
                    wire.ours, "sysctl", "-qw", f"net.ipv4.conf.{where}.rp_filter={rp_filter}"
                )
        assert icmp_error(wire.ours, "10.244.9.9") == (UNREACHABLE, 0, "10.244.9.9")


def test_who_sends_with_too_few_hops_is_told_so(wire: Wire) -> None:
    with pumping(wire.ours, *USUAL):
        assert icmp_error(wire.ours, THEIRS, ttl=1)[:2] == (TIME_EXCEEDED, 0)


def test_icmp_errors_come_from_the_address_that_was_asked_for(wire: Wire) -> None:
    with pumping(wire.ours, *USUAL, "--icmp-source=10.244.1.254"):
        assert icmp_error(wire.ours, "10.244.9.9") == (UNREACHABLE, 0, "10.244.1.254")


# ---- refusals -------------------------------------------------------------------------------


def refused(netns: int, *options: str) -> tuple[int, str]:
    """Exit status and what the one line on standard error says."""
    with start(netns, "-m", "bench", "pump", *options) as pump:
        printed, said = pump.communicate(timeout=10)
    assert printed == ""
    assert re.fullmatch(r"vnetbench: pump: [^\n]+\n", said), said
    return pump.returncode, said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "expected --tun and --listen, or two --tun, or two --tap"),
        (["--tun=a"], "expected --tun and --listen"),
        (["--tun=a", "--tap=b"], "expected --tun and --listen"),
        (["--tun=a", "--tun=b", "--tun=c"], "expected --tun and --listen"),
        (["--tap=a", LISTEN, ROUTE], "expected --tun and --listen"),
        (["--tun=a", LISTEN], "--route PREFIX=ADDRESS:PORT"),
        (["--tun=a", "--tun=b", ROUTE], "--route needs --listen"),
        (["--tun=a", LISTEN, "--route=10.0.0.0/8"], "PREFIX=ADDRESS:PORT"),
        (["--tun=a", LISTEN, "--route=10.0.0.1/8=192.0.2.2:8285"], "host bits"),
        (["--tun=a", LISTEN, "--route=10.0.0.0/33=192.0.2.2:8285"], "10.0.0.0/33"),
        (["--tun=a", LISTEN, "--route=10.0.0.0/8=2001:db8::2:8285"], "[address]:port"),
        (["--tun=a", LISTEN, "--route=fd00::1/64=192.0.2.2:8285"], "host bits"),
        (["--tun=a", "--listen=[192.0.2.1]:8285", ROUTE], "--listen [192.0.2.1]:8285"),
        (["--tun=a", LISTEN, "--route=10.0.0.0/8=[2001:db8::2]:8285"], "the family of --listen"),
        (["--tun=a", LISTEN, "--routes=/no/such/file"], "/no/such/file: No such file"),
        ([*USUAL, "--etcd=198.51.100.1:2379"], "--etcd has all routes; expected no --route"),
        (["--tun=a", LISTEN, "--etcd=here"], "--etcd here: expected ADDRESS:PORT"),
        (["--tun=a", "--listen=[2001:db8::1]:1", "--etcd=198.51.100.1:2379"], "--listen of IPv4"),
        (["--tun=a", "--tun=b", "--etcd=198.51.100.1:2379"], "needs --listen"),
        (["--tun=a", LISTEN, "--route=10.0.0.0/8=192.0.2.2:0"], "address:port"),
        (["--tun=a", LISTEN, "--route=10.0.0.0/8=192.0.2.2:65536"], "address:port"),
        (["--tun=a", LISTEN, "--route=10.0.0.0/8=host:8285"], "host"),
        (["--tun=a", LISTEN, "--route=10.0.0.0/8=\n:1"], "ADDRESS:PORT"),
        ([*USUAL, "--batch=65"], "--batch 65: expected a whole number from 1 to 64"),
        ([*USUAL, "--batch=\n"], "expected a whole number from 1 to 64"),
        ([*USUAL, "--tun-offload=yes"], "--tun-offload yes: expected one of off, on"),
        ([*USUAL, "--preset=best"], "--preset best: expected one of none, flannel, fast"),
        ([*USUAL, "--icmp-source=10.0.0.1", "--icmp-source=10.0.0.2"], "one of each family"),
        ([*USUAL, "--icmp-source=me"], "--icmp-source me"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        command.main(options, standalone_mode=False)
    said = str(caught.value)
    assert says in said
    assert said.isprintable()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tun=a"], "vnetbench: pump: expected --tun and --listen"),
        (["--tun=a", "--listen=8285", ROUTE], "vnetbench: pump: --listen 8285"),
    ],
)
def test_a_refusal_is_one_line_and_status_2(wire: Wire, options: list[str], says: str) -> None:
    status, said = refused(wire.ours, *options)
    assert status == 2
    assert said.startswith(says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tun=under", *USUAL[1:]], "tun under: "),
        (["--tun=a-name-that-is-too-long", *USUAL[1:]], "tun a-name-that-is-too-long: "),
        (["--tun=", *USUAL[1:]], "tun : "),
        (["--tun=x%d", *USUAL[1:]], "tun x%d: "),
        (["--tap=taken", "--tap=b"], "tap taken: "),
        (["--tun=a@no-such-namespace", "--tun=b"], "no-such-namespace: No such file"),
        (["--tun=a@/dev/null", "--tun=b"], "/dev/null: "),
        (["--tun=a", "--listen=192.0.2.99:8285", ROUTE], "192.0.2.99:8285: Cannot assign"),
        (["--tun=a", LISTEN, "--etcd=192.0.2.2:9"], "etcd 192.0.2.2:9: Connection refused"),
        (["--tun=a", "--listen=192.0.2.1:7", ROUTE], "192.0.2.1:7: Address already in use"),
    ],
)
def test_what_the_machine_does_not_allow_is_reported(
    wire: Wire, options: list[str], says: str
) -> None:
    run_lines(wire.ours, "ip tuntap add dev taken mode tun")
    with inside(wire.ours):
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with other:
        other.bind(("192.0.2.1", 7))
        status, said = refused(wire.ours, *options)
    assert status == 3
    assert says in said


def test_a_device_that_somebody_holds_is_refused(wire: Wire) -> None:
    with pumping(wire.ours, *USUAL):
        status, said = refused(wire.ours, *USUAL)
    assert status == 3
    assert "flannel0: Device or resource busy" in said


def test_udp_trips_without_a_loopback_end_it_with_the_kernels_reason(wire: Wire) -> None:
    run_lines(wire.ours, "ip link set lo down")
    with start(wire.ours, "-m", "bench", "pump", *USUAL, "--udp-trips", "1") as pump:
        printed, said = pump.communicate(timeout=10)
    assert pump.returncode == 3
    assert json.loads(printed)["trip.udp"] == 0
    assert re.fullmatch(r"vnetbench: pump: [^:\n]+: udp_trips needs a loopback that [^\n]+\n", said)


def test_tun_trips_without_a_tun_to_be_had_end_it_with_the_kernels_reason(wire: Wire) -> None:
    every = "for i in $(seq 0 63); do ip tuntap add vnbtrip$i mode tun; done"
    inside_run(wire.ours, "sh", "-c", every)
    with start(wire.ours, "-m", "bench", "pump", *USUAL, "--tun-trips", "1") as pump:
        printed, said = pump.communicate(timeout=10)
    assert pump.returncode == 3
    assert json.loads(printed)["trip.tun"] == 0
    wanted = r"vnetbench: pump: Address already in use: tun_trips needs [^\n]+\n"
    assert re.fullmatch(wanted, said)


def test_each_queue_makes_its_tun_trips_through_a_device_of_its_own(wire: Wire) -> None:
    def found() -> dict[str, str]:
        made = json.loads(inside_run(wire.ours, "ip", "-json", "-4", "address", "show", "up"))
        own = (device for device in made if device["ifname"].startswith("vnbtrip"))
        return {device["ifname"]: device["addr_info"][0]["local"] for device in own}

    expected = {"vnbtrip0": "198.19.255.1", "vnbtrip1": "198.19.255.5"}
    with pumping(wire.ours, *USUAL, "--queues", "2", "--tun-trips", "1"):
        until(lambda: found() == expected, "each queue has a tun")
    until(lambda: not found(), "they are gone with the pump")


def test_a_device_that_is_deleted_ends_it_with_its_counters_and_an_error(wire: Wire) -> None:
    with pumping(wire.ours, *USUAL) as pump:
        run_lines(wire.ours, "ip link delete flannel0")
        assert counters(pump)["port0.rx_packets"] == 0
        assert pump.wait(10) == 3
        assert pump.stderr
        assert re.fullmatch(r"vnetbench: pump: [^\n]+ is gone\n", pump.stderr.read())
