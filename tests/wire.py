"""`vnetbench pump` on one of two hosts, and a peer that is not ours on the other.

ours                                                           theirs
10.244.1.1  flannel0 --- vnetbench pump     peer.py --- flannel0  10.244.2.1
                               |               |
                           192.0.2.1 under === under 192.0.2.2
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cage import until
from files import ROOT
from live import entering, inside_run
from overlay import quiet_namespace

PEER = str(Path(__file__).with_name("peer.py"))
OURS, THEIRS = "10.244.1.1", "10.244.2.1"
LISTEN, ROUTE = "--listen=192.0.2.1:8285", "--route=10.244.2.0/24=192.0.2.2:8285"
USUAL = ("--tun=flannel0", LISTEN, ROUTE)


@dataclass(frozen=True)
class Wire:
    """Two hosts, as descriptors of their namespaces, with a veth pair between them."""

    ours: int
    theirs: int


@contextmanager
def wired() -> Iterator[Wire]:
    """Two hosts and the pair between them."""
    with quiet_namespace() as ours, quiet_namespace() as theirs:
        run_lines(
            ours, f"ip link add under type veth peer under netns /proc/{os.getpid()}/fd/{theirs}"
        )
        for netns, address in ((ours, "192.0.2.1"), (theirs, "192.0.2.2")):
            run_lines(netns, f"ip address add {address}/24 dev under", "ip link set under up")
        yield Wire(ours, theirs)


def run_lines(netns: int, *lines: str) -> None:
    for line in lines:
        inside_run(netns, *line.split())


def start(netns: int, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        entering(netns, sys.executable, *command),
        pass_fds=[netns],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def pumping(
    netns: int, *options: str, address: str = OURS, device: str = "flannel0"
) -> Iterator[subprocess.Popen[str]]:
    """Run `vnetbench pump` and give its device an address once it is there."""
    with start(netns, "-m", "bench", "pump", *options) as pump:
        try:
            until(lambda: pump.poll() is not None or holds(pump.pid, device), "the pump holds it")
            assert pump.poll() is None, pump.stderr and pump.stderr.read()
            run_lines(
                netns,
                f"ip address add {address}/16 dev {device}",
                f"ip link set {device} up mtu 1472",
            )
            yield pump
        finally:
            pump.kill()


def holds(pid: int, device: str) -> bool:
    """Whether the process has the tun or tap device open."""
    with suppress(OSError):  # descriptors come and go
        for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
            if f"iff:\t{device}\n" in entry.read_text():
                return True
    return False


@contextmanager
def stranger(wire: Wire) -> Iterator[None]:
    """A peer that is not ours on the other side."""
    with start(wire.theirs, PEER, "flannel0", "192.0.2.2", "192.0.2.1", "8285") as peer:
        try:
            assert peer.stdout
            assert peer.stdout.readline() == "ready\n", peer.stderr and peer.stderr.read()
            run_lines(
                wire.theirs,
                f"ip address add {THEIRS}/16 dev flannel0",
                "ip link set flannel0 up mtu 1472",
            )
            yield
        finally:
            peer.kill()


def counters(pump: subprocess.Popen[str]) -> dict[str, int]:
    """The JSON object that the pump prints next."""
    assert pump.stdout
    lines: list[str] = []
    while not lines or lines[-1] not in ("}\n", ""):
        lines.append(pump.stdout.readline())
    found: dict[str, int] = json.loads("".join(lines))
    return found
