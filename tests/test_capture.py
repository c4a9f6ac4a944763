"""What a capture holds, as tcpdump(8) reads it."""

import re
import subprocess
from pathlib import Path

import pytest
from capabilities import require_program, require_tun
from files import NAMES, shipped
from live import live

from bench.capture import Capture, capture, write
from bench.devices import Tun
from bench.errors import CannotMeasure, UsageError
from bench.scenario import parse_ref, trace
from bench.topology import inside

pytestmark = pytest.mark.usefixtures("namespaces")

FIRST_PING = [
    "ARP, Request who-has 10.1.1.3 tell 10.1.1.2, length 28",
    "ARP, Reply 10.1.1.3 is-at 02:00:00:00:00:02, length 28",
    "IP 10.1.1.2 > 10.1.1.3: ICMP echo request, id 30318, seq 1, length 64",
    "IP 10.1.1.3 > 10.1.1.2: ICMP echo reply, id 30318, seq 1, length 64",
]


def captured(name: str, folder: Path, count: int = 1) -> dict[str, Path]:
    """The files of a capture of a shipped scenario, by device."""
    require_program("tcpdump")
    scenario = shipped(name).scenario
    if scenario.forwarders:
        require_tun()
    with live(scenario) as topology:
        taken = capture(topology, count, timeout=5.0)
    return {str(one.ref): file for one, file in zip(taken, write(taken, folder), strict=True)}


def read(file: Path, *options: str) -> list[str]:
    """The packets of a file, a line each, without their time stamps."""
    command = ("tcpdump", "-n", "-r", str(file), *(options or ("-t",)))
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "truncated" not in done.stderr
    return done.stdout.splitlines()


def link_type(file: Path) -> str:
    command = ("tcpdump", "-n", "-r", str(file))
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    [found] = re.findall(r"link-type (\w+)", done.stderr)
    return str(found)


def test_both_ends_of_a_veth_pair_see_the_same_four_packets(tmp_path: Path) -> None:
    files = captured("veth", tmp_path)
    assert list(files) == ["client:eth0", "server:eth0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "client-eth0.pcap",
        "server-eth0.pcap",
    ]
    for file in files.values():
        assert link_type(file) == "EN10MB"
        assert read(file) == FIRST_PING


def test_frames_are_the_same_bytes_at_both_ends_of_a_veth_pair(tmp_path: Path) -> None:
    one, other = (read(file, "-t", "-XX") for file in captured("veth", tmp_path).values())
    assert one == other


def test_each_ping_adds_a_request_and_a_reply(tmp_path: Path) -> None:
    file = captured("veth", tmp_path, count=5)["client:eth0"]
    echoes = [line for line in read(file) if "ICMP echo" in line]
    assert [line.split("seq ")[1][0] for line in echoes] == list("1122334455")


def test_time_stamps_are_those_of_the_packets_in_order(tmp_path: Path) -> None:
    for file in captured("veth", tmp_path, count=3).values():
        stamps = [float(line.split()[0]) for line in read(file, "-tt")]
        assert stamps == sorted(stamps)
        assert abs(file.stat().st_mtime - stamps[-1]) < 10
        assert len(set(stamps)) == len(stamps), "a time of reading would repeat"


@pytest.mark.parametrize("name", NAMES)
def test_every_device_of_the_path_has_a_file_that_shows_the_ping(name: str, tmp_path: Path) -> None:
    scenario = shipped(name).scenario
    ends = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
    files = captured(name, tmp_path)
    assert list(files) == [str(hop.ref) for hop in trace(scenario, *ends)]
    for device, file in files.items():
        tun = isinstance(scenario.device(parse_ref(device)), Tun)
        assert link_type(file) == ("RAW" if tun else "EN10MB")
        inner = [line for line in read(file) if re.search("ICMP6?,? echo", line)]
        carried = [line for line in read(file) if re.search(": UDP, length (84|104)", line)]
        if name == "bridge" and device == "host:docker0":
            assert not inner, "unicast that is only switched does not show on the bridge itself"
        elif name == "tap-bridge" and device == "host:br0":
            assert not inner
        elif carried:  # the underlay of a pump
            assert len(carried) == 2
        else:
            assert len(inner) == 2, device


def test_the_underlay_of_flannels_udp_mode_carries_the_inner_packet_whole(tmp_path: Path) -> None:
    files = captured("flannel-udp", tmp_path)
    inner = packets(files["host-a:flannel0"])
    assert len(inner) == 2
    assert all(packet[9] == 1 for packet in inner), "ICMP"
    frames = [frame for frame in packets(files["host-a:eth0"]) if frame[12:14] == b"\x08\x00"]
    assert len(frames) == len(inner)
    for frame in frames:
        ip, udp = frame[14:34], frame[34:42]
        assert ip[9] == 17
        assert udp[:4] == (8285).to_bytes(2, "big") * 2, "source and destination port"
        assert int.from_bytes(udp[4:6], "big") == 8 + 84
    # The pump takes one from the TTL on the way into the tunnel, and on the way out of it.
    request, reply = (frame[42:] for frame in frames)
    assert without_ttl(request) == without_ttl(inner[0])
    assert without_ttl(reply) == without_ttl(inner[1])
    assert request[8] == inner[0][8] - 1
    assert reply[8] == inner[1][8] + 1


def without_ttl(packet: bytes) -> bytes:
    """An IPv4 packet without what a hop changes: TTL and header checksum."""
    return packet[:8] + packet[9:10] + packet[12:]


def packets(file: Path) -> list[bytes]:
    """The packets of a file as tcpdump prints them in hexadecimal."""
    found: list[bytes] = []
    for line in read(file, "-t", "-xx"):
        if line.startswith("\t0x"):
            found[-1] += bytes.fromhex(line.partition(":")[2])
        else:
            found.append(b"")
    return found


def test_vxlan_shows_as_udp_on_the_underlay_only(tmp_path: Path) -> None:
    files = captured("vxlan", tmp_path)
    assert any("> 192.0.2.2.8472: " in line for line in read(files["host-a:eth0"]))
    for device in ("ctr-a:eth0", "host-a:flannel.1"):
        assert not any("8472" in line for line in read(files[device]))


def test_many_pings_are_all_captured() -> None:
    with live(shipped("veth").scenario) as topology:
        taken = capture(topology, 600, timeout=5)
    echoes = [sum(frame.data[12:14] == b"\x08\x00" for frame in one.frames) for one in taken]
    assert echoes == [1200, 1200]


def test_a_device_that_is_gone_is_named() -> None:
    with live(shipped("veth").scenario) as topology:
        with inside(topology.netns("server")):
            subprocess.run(["ip", "link", "delete", "eth0"], check=True)
        with pytest.raises(CannotMeasure, match=r"client:eth0: cannot be listened to: No such"):
            capture(topology, 1, timeout=0.2)


def test_a_path_that_does_not_answer_is_reported_within_the_deadline() -> None:
    with live(shipped("veth").scenario) as topology:
        with inside(topology.netns("server")):
            subprocess.run(["ip", "address", "flush", "dev", "eth0"], check=True)
        with pytest.raises(CannotMeasure, match=r"client: no echo reply from 10\.1\.1\.3"):
            capture(topology, 1, timeout=0.2)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    taken = [Capture(parse_ref("a:b"), 1, [])]
    with pytest.raises(UsageError, match=r"file: cannot be written"):
        write(taken, tmp_path / "file")
