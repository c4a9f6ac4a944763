"""QEMU as a forwarder: between a guest's virtio-net and the tap that it has on its host.

It runs in the host's namespace, as a hypervisor does, with nothing but descriptors and files of its
own; the guest dies with it, and it with us.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from bench.devices import Place, parse_ref
from bench.errors import CannotMeasure, MissingCapability
from bench.forwarders.base import Running
from bench.guests import Guest, image
from bench.process import FOLDER, execute
from bench.programs.base import run
from bench.scenario.model import Qemu, Scenario
from bench.topology import Topology
from bench.topology.plan import guest_commands

_PROGRAM = "qemu-system-x86_64"
_BOOT_TIMEOUT = 120.0
"""Seconds, for a machine with much else to do; on an idle one an interpreted guest takes six."""
_TRIAL_TIMEOUT = 5.0
_LOOK = 0.02
_MEMORY = 256
"""MiB."""
_IMAGE = "guest.img"
VHOST = Path("/dev/vhost-net")
_FIRST_WORDS = "Linux version"
_CPU = {"kvm": "host", "tcg": "max"}
_KERNEL_OPTIONS = "console=ttyS0 quiet panic=-1"
_OFFLOADS = tuple(
    f"{side}_{name}" for side in ("guest", "host") for name in ("tso4", "tso6", "ecn", "ufo")
)
"""Of the virtual interface: what the guest can receive, and what it can send."""


def problems(scenario: Scenario, spec: Qemu) -> Iterator[tuple[str, str]]:
    """Nothing that the scenario's own check would not have said."""
    del scenario, spec
    yield from ()


@contextmanager
def running(topology: Topology, specs: Sequence[Qemu]) -> Iterator[list[Running]]:
    """Boot the guests of `specs` side by side. Raises MissingCapability where there can be none."""
    if not specs:
        yield []
        return
    if reason := image.missing():
        raise MissingCapability(reason)
    release = version()
    with ExitStack() as stack:
        machines = []
        for spec in specs:
            accelerator = _accelerator(spec)
            machines.append((_boot(topology, spec, accelerator, stack), accelerator))
        deadline = time.monotonic() + _BOOT_TIMEOUT
        found = []
        for spec, (guest, accelerator) in zip(specs, machines, strict=True):
            guest.wait_until_ready(deadline)
            facts = _facts(spec, release, accelerator, guest)
            found.append(Running(guest.machine.name, guest.machine, facts=facts))
        for guest, _ in machines:
            topology.guests[guest.host] = guest
        yield found


def commands(scenario: Scenario, specs: Sequence[Qemu]) -> list[str]:
    """The command lines that write each guest's file system and boot it, in named namespaces."""
    return [_by_hand(scenario, spec) for spec in specs]


def _by_hand(scenario: Scenario, spec: Qemu) -> str:
    guest, tap = (parse_ref(text) for text in spec.devices)
    file = f"/run/vnetbench-{guest.host}.img"
    network = f"tap,id=net,ifname={tap.device},script=no,downscript=no"
    words = _words(scenario, spec, _accelerator(spec), file, network, "null,id=agent")
    write = shlex.join([sys.executable, "-P", "-m", "bench.guests", file])
    setup = "\n".join(_setup(scenario, spec))
    boot = shlex.join(["ip", "netns", "exec", tap.host, *words])
    return f"{write} <<'END'\n{setup}\nEND\n{boot} </dev/null &"


def version() -> str:
    """Of the QEMU that is installed. Raises MissingCapability where there is none."""
    try:
        said = run(_PROGRAM, "--version").decode().split()
    except CannotMeasure:
        raise MissingCapability(
            f"{_PROGRAM} is not installed; `make peers` does (package qemu-system-x86)"
        ) from None
    return said[said.index("version") + 1]


def _boot(topology: Topology, spec: Qemu, accelerator: str, stack: ExitStack) -> Guest:
    """Start a guest; what stops it is pushed onto `stack`."""
    guest, tap = (parse_ref(text) for text in spec.devices)
    [queue] = topology.held(tap)
    ours, theirs = socket.socketpair()
    stack.enter_context(ours)
    words = _words(
        topology.scenario,
        spec,
        accelerator,
        f"{FOLDER}/{_IMAGE}",
        f"tap,id=net,fd={queue}",
        f"socket,id=agent,fd={theirs.fileno()}",
    )
    with theirs:
        machine = stack.enter_context(
            execute(
                f"qemu {guest.host}",
                words,
                netns=topology.netns(tap.host),
                keep=[queue, theirs.fileno()],
                files={_IMAGE: image.with_setup(_setup(topology.scenario, spec))},
            )
        )
    topology.release(tap)
    return Guest(guest.host, machine, ours)


def _words(
    scenario: Scenario, spec: Qemu, accelerator: str, file: str, network: str, agent: str
) -> list[str]:
    """The command line of a guest.

    file: its file system. network: backend of its interface. agent: of its agent's port.
    """
    nic = parse_ref(spec.devices[0])
    card = ["virtio-net-pci", "netdev=net", f"mac={Place(scenario, nic).mac}", "romfile="]
    card += [] if spec.offload else [f"{name}=off" for name in _OFFLOADS]
    return [
        *(_PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", "q35", "-accel", accelerator, "-cpu", _CPU[accelerator]),
        *("-smp", "1", "-m", str(_MEMORY), "-serial", "stdio"),
        *("-kernel", str(image.find_kernel().image), "-initrd", file, "-append", _KERNEL_OPTIONS),
        *("-netdev", network + (",vhost=on" if spec.vhost else ""), "-device", ",".join(card)),
        *("-device", "virtio-serial-pci", "-chardev", agent),
        *("-device", f"virtserialport,chardev=agent,name={image.PORT}"),
    ]


def _setup(scenario: Scenario, spec: Qemu) -> list[str]:
    """What the guest does before it is ready."""
    nic = parse_ref(spec.devices[0])
    off = [] if spec.offload else [f"agent offloads-off {nic.device}"]
    return [*guest_commands(scenario, nic.host), *off]


def _accelerator(spec: Qemu) -> str:
    """The one to use. Raises MissingCapability where the one that is asked for is not there."""
    if spec.vhost and not VHOST.exists():
        raise MissingCapability(f"vhost needs {VHOST}; modprobe vhost_net")
    if spec.accelerator == "tcg":
        return "tcg"
    obstacle = obstacle_to_kvm()
    if obstacle is None:
        return "kvm"
    if spec.accelerator == "kvm" or spec.vhost:
        raise MissingCapability(f"KVM does not work here: {obstacle}")
    return "tcg"


@cache
def obstacle_to_kvm() -> str | None:
    """Why guests cannot run under KVM, found out by trying.

    A machine that is virtual itself may have the device, and run firmware, but no common kernel.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is not there, or not for us"
    words = [
        *(_PROGRAM, "-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", "q35", "-accel", "kvm", "-cpu", _CPU["kvm"], "-m", str(_MEMORY)),
        *("-serial", "stdio", "-kernel", str(image.find_kernel().image)),
        *("-append", "console=ttyS0 earlyprintk=ttyS0"),
    ]
    deadline = time.monotonic() + _TRIAL_TIMEOUT
    with execute("qemu", words) as machine:
        while time.monotonic() < deadline:
            if _FIRST_WORDS in machine.output():
                return None
            if not machine.alive():
                return f"QEMU has ended{machine.tail()}"
            time.sleep(_LOOK)
    return f"a guest's kernel has not said a word in {_TRIAL_TIMEOUT:g} s"


def _facts(spec: Qemu, release: str, accelerator: str, guest: Guest) -> dict[str, Any]:
    return {
        "program": "qemu",
        "version": release,
        "accelerator": accelerator,
        "vhost": spec.vhost,
        "offload": spec.offload,
        "guest_kernel": guest.release,
        "guest_cpus": 1,
    }
