"""Scenarios that are up, and programs that are not ours looking at them from inside."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.errors import MissingCapability
from bench.forwarders import forwarding
from bench.scenario import DeviceRef, Scenario, parse_ref, server_address
from bench.topology import Arm, Topology, build, inside


def require_kernel(scenario: Scenario) -> None:
    """Skip where the kernel is without something the scenario consists of, in CI as well."""
    try:
        with build(scenario):
            pass
    except MissingCapability as lacking:
        if not str(lacking).startswith("this kernel has no"):
            raise
        pytest.skip(str(lacking))


@contextmanager
def live(scenario: Scenario, arm: Arm = Arm.NATIVE) -> Iterator[Topology]:
    """The scenario, up and forwarding."""
    with build(scenario, arm) as topology, forwarding(topology):
        yield topology


def entering(netns: int, *command: str) -> list[str]:
    """The command that runs `command` in a namespace whose descriptor it inherits."""
    return ["nsenter", f"--net=/proc/self/fd/{netns}", *command]


def inside_run(netns: int, *command: str) -> str:
    """What `command` prints in the namespace of descriptor `netns`; it must succeed."""
    done = subprocess.run(
        entering(netns, *command),
        pass_fds=[netns],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def ip(netns: int, *words: str) -> Any:
    """What ip(8) says in JSON."""
    return json.loads(inside_run(netns, "ip", "-j", *words) or "[]")


def packets(topology: Topology) -> dict[DeviceRef, int]:
    """Packets sent and received by every device there is, as ip(8) reports them."""
    return {
        DeviceRef(host, link["ifname"]): sum(
            link["stats64"][way]["packets"] for way in ("rx", "tx")
        )
        for host in topology.scenario.hosts
        for link in ip(topology.netns(host), "-s", "link")
    }


ECHO = (sys.executable, "-I", str(Path(__file__).with_name("echo.py")))
"""The command that pings: address, count and size follow."""


def ping(topology: Topology, count: int = 1, size: int = 56) -> None:
    """Exchange `count` echo requests of `size` bytes of data between the endpoints."""
    scenario = topology.scenario
    client = topology.netns(parse_ref(scenario.endpoints.client).host)
    inside_run(client, *ECHO, str(server_address(scenario)), str(count), str(size))


def mean_packet(topology: Topology, size: int = 4_000_000) -> float:
    """Bytes of the average packet that the server's device takes in when TCP brings `size`."""
    client, server = (
        topology.netns(parse_ref(end).host)
        for end in (topology.scenario.endpoints.client, topology.scenario.endpoints.server)
    )
    with inside(server):
        listener = socket.create_server((str(server_address(topology.scenario)), 5000))
    with inside(client):
        sender = socket.socket()
    with listener, sender:
        sender.settimeout(10)
        sender.connect(listener.getsockname())
        accepted, _ = listener.accept()
        thread = threading.Thread(target=sender.sendall, args=(bytes(size),))
        with accepted:
            accepted.settimeout(10)
            thread.start()
            received = 0
            while received < size:
                received += len(accepted.recv(1 << 20))
            thread.join()
    [link] = ip(server, "-s", "link", "show", parse_ref(topology.scenario.endpoints.server).device)
    counted = link["stats64"]["rx"]
    assert counted["bytes"] > size
    return float(counted["bytes"] / counted["packets"])
