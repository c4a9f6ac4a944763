"""Tunnels of others: what they encrypt, how they wrap packets, and how they are configured."""

import os
import shutil
import socket
from contextlib import closing, suppress
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from beside import installed
from capabilities import require
from files import load_text, shipped

from bench import programs
from bench.endpoint import parse_endpoint
from bench.errors import CannotMeasure, ScenarioError
from bench.forwarders import check, forwarding, program
from bench.ledger import Load, take, trace
from bench.probes import prove
from bench.scenario import Variant, find, parse_ref, server_address, shipped_peers, variants
from bench.scenario.model import Program
from bench.topology import Topology, build, inside

pytestmark = [pytest.mark.usefixtures("tuns"), pytest.mark.peers]

ENCRYPTING = ("openvpn", "openvpn-bridged", "openvpn-tap", "wireguard-go", "tinc", "fastd")
PACKETS = 20
MARK = b"not for the eyes of the underlay"
_HEADERS = 28
_ETH_P_ALL = 3


def with_each_cipher(name: str) -> list[Variant]:
    """The scenario once with each cipher that its program can do."""
    [variant] = variants(find([name]))
    ciphers = [
        str(value)
        for forwarder in variant.scenario.forwarders
        if isinstance(forwarder, Program)
        for value in programs.tool(forwarder.program).options.get("cipher", ())
    ]
    chosen = [f"cipher={','.join(dict.fromkeys(ciphers))}"] if ciphers else []
    return variants(find([name]), chosen)


CASES = {v.name: v for name in ENCRYPTING for v in with_each_cipher(name)}


@pytest.mark.parametrize("name", CASES)
def test_a_packet_is_one_datagram_outside_and_legible_if_and_only_if_not_encrypted(
    name: str,
) -> None:
    """As large as the device lets packets be, it neither is cut up nor takes another protocol."""
    variant = CASES[name]
    installed(variant.base)
    with build(variant.scenario) as topology, forwarding(topology) as running:
        prove(topology, name, running)
        outer = wrapped(topology)
        [cipher] = {forwarder.facts["cipher"] for forwarder in running}
    assert len(outer) == PACKETS
    for packet in outer:
        assert packet[9] == socket.IPPROTO_UDP
        assert int.from_bytes(packet[6:8]) & 0x3FFF == 0  # no fragment of anything
    assert all((MARK in packet) == (cipher == "none") for packet in outer)
    assert cipher == variant.parameters.get("cipher", "chacha20-poly1305")


def wrapped(topology: Topology) -> list[bytes]:
    """The large IP packets that leave by the underlay while some as large as can be are sent."""
    scenario = topology.scenario
    client, peer = parse_ref(scenario.endpoints.client), scenario.forwarders[0]
    mtu = scenario.device(client).mtu
    assert peer.listen
    address, host = parse_endpoint(peer.listen)[0], parse_ref(peer.devices[0]).host
    with inside(topology.netns(host)):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    with inside(topology.netns(client.host)):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with closing(tap), closing(sender):
        tap.bind(("eth0", _ETH_P_ALL))
        for _ in range(PACKETS):
            payload = (MARK * mtu)[: mtu - _HEADERS]
            sender.sendto(payload, (str(server_address(scenario)), 9))
        found = list[bytes]()
        with suppress(TimeoutError):
            while True:
                # They may be long in coming; what should not come is there soon after the last.
                tap.settimeout(5 if len(found) < PACKETS else 0.5)
                packet = tap.recv(65535)
                if len(packet) > mtu / 3 and IPv4Address(packet[12:16]) == address:
                    found.append(packet)
    return found


@pytest.mark.parametrize("name", ENCRYPTING)
def test_what_is_predicted_of_a_packet_is_what_happens_and_nothing_disagrees(name: str) -> None:
    installed(name)
    require(trace.missing() is None, f"needs to trace: {trace.missing()}")
    load = Load(packets=2000)
    with build(shipped(name).scenario) as topology, forwarding(topology) as running:
        ledger = take(prove(topology, name, running), load, overhead=False)
    assert ledger.predicted.keys() >= {"traversals", "device_hops"}
    for item, predicted in ledger.predicted.items():
        assert ledger.per_packet[item] == pytest.approx(predicted, rel=0.02), item
    assert list(ledger.disagreements()) == []


def test_every_device_has_the_mtu_that_the_scenario_says_whatever_a_program_likes() -> None:
    for name in ENCRYPTING:
        installed(name)
        scenario = shipped(name).scenario
        with build(scenario) as topology, forwarding(topology):
            for ref in (parse_ref(text) for f in scenario.forwarders for text in f.devices):
                [link] = topology.netlink(ref.host).get_links(topology.index(ref.host, ref.device))
                assert link.get("mtu") == scenario.device(ref).mtu


def test_what_configures_a_program_runs_in_its_namespaces_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Tried again until it works; never where its words would mean a device of the machine."""
    installed("wireguard-go")
    log = replace_wg(monkeypatch, tmp_path, "test $(wc -l < $log) -ge 5")
    with build(shipped("wireguard-go").scenario) as topology, forwarding(topology) as running:
        homes = {f"net:[{Path(f'/proc/{one.child.pid}/ns/net').stat().st_ino}]" for one in running}
    tried = log.read_text().split()
    assert len(tried) > len(homes)
    assert set(tried) == homes


def test_a_program_that_cannot_be_configured_is_an_error_that_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed("wireguard-go")
    replace_wg(monkeypatch, tmp_path, "echo I would rather not >&2; exit 1")
    monkeypatch.setattr(program, "_READY_TIMEOUT", 0.5)
    with (
        build(shipped("wireguard-go").scenario) as topology,
        pytest.raises(CannotMeasure, match=r"could not be configured \(wg: I would rather not\)"),
        forwarding(topology),
    ):
        pass


def replace_wg(monkeypatch: pytest.MonkeyPatch, folder: Path, ending: str) -> Path:
    """A wg(8) that makes keys like the real one but does not set a device up; returns its log."""
    real = shutil.which("wg")
    log, wg = folder / "log", folder / "wg"
    log.touch()
    wg.write_text(
        f'#!/bin/sh\nlog={log}\n[ "$1" = setconf ] || exec {real} "$@"\n'
        f"readlink /proc/self/ns/net >> $log\n{ending}\n"
    )
    wg.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return log


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("tinc", "mtu = 1472", "mtu = 1501", "tinc carries no MTU above 1500, as client:tun0 has"),
        ("openvpn", '"none"', '"rot13"', "expected one of none, aes-256-gcm, chacha20-poly1305"),
        ("openvpn-tap", 'program = "openvpn"', 'program = "tinc"', "tinc cannot have a tap"),
        (
            "fastd",
            'routes = { "10.8.0.2/32" = "192.0.2.2:10000" }',
            'routes = { "10.8.0.2/32" = "192.0.2.2:10000", "10.8.0.1/32" = "192.0.2.1:10000" }',
            "fastd has one peer; expected no other",
        ),
    ],
)
def test_what_a_program_cannot_do_is_refused_before_anything_is_built(
    name: str, old: str, new: str, said: str, tmp_path: Path
) -> None:
    text = shipped_peers()[name].read_text()
    assert old in text
    with pytest.raises(ScenarioError, match=said):
        check(load_text(text.replace(old, new), tmp_path))
