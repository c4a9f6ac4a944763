"""Our own forwarder: the packet pump of `csrc/`, in a process of its own."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from bench import native
from bench.devices import DeviceRef, Tun, parse_ref
from bench.endpoint import parse_endpoint, show_endpoint
from bench.etcd import follow, server
from bench.etcd.client import PORT, Client
from bench.forwarders.base import Running
from bench.forwarders.queues import PumpConfig, QueueCounters, ports_of_queues, run
from bench.forwarders.sockets import buffers, udp_sockets
from bench.process import Send, spawn
from bench.scenario.control import ADDRESS
from bench.scenario.model import Pump, Scenario
from bench.topology import Topology

_READY_TIMEOUT = 5.0


def problems(scenario: Scenario, spec: Pump) -> Iterator[tuple[str, str]]:
    """Say where switches do not go together, or not with the pump's ports."""
    reason = native.pump_refusal(_kinds(scenario, spec), spec.switches)
    if reason is not None:
        yield "switches", reason


@contextmanager
def running(topology: Topology, specs: Sequence[Pump]) -> Iterator[list[Running]]:
    """Run the pumps `specs` in `topology` and yield them once they have their sockets open."""
    with ExitStack() as stack:
        if any(spec.routes_from == "etcd" for spec in specs):
            stack.enter_context(server.serving(topology))
            server.lease_all(server.client_of(topology), topology.scenario)
        yield [stack.enter_context(_running(topology, spec)) for spec in specs]


@contextmanager
def _running(topology: Topology, spec: Pump) -> Iterator[Running]:
    refs = [parse_ref(text) for text in spec.devices]
    kinds = _kinds(topology.scenario, spec)
    fds = [topology.held(ref) for ref in refs]
    counters = QueueCounters(spec.switches["queues"])

    def task(send: Send) -> None:
        with ExitStack() as stack:
            ports, granted = list(fds), None
            if spec.listen:
                endpoint = parse_endpoint(spec.listen)
                sockets = udp_sockets(*endpoint, spec.switches, stack)
                ports.append([sock.fileno() for sock in sockets])
                granted = buffers(sockets[0])
            config = PumpConfig(spec.switches, _router(spec))
            if config.router and spec.routes_from == "etcd":
                own, _ = parse_endpoint(str(spec.listen))
                follow.start(Client(ADDRESS), own, config.router, _READY_TIMEOUT / 2)
            send({"buffers": granted})
            # Only a queue that dies writes to this eventfd: the pump ends with its process.
            run(config, ports_of_queues(kinds, ports), counters, os.eventfd(0))

    name = f"pump {'-'.join(map(str, refs))}"
    keep = [fd for queues in fds for fd in queues]
    with spawn(name, task, netns=topology.netns(refs[0].host), keep=keep) as child:
        granted = child.receive(_READY_TIMEOUT)["buffers"]
        for ref in refs:
            topology.release(ref)
        facts = {"switches": _shown(spec.switches), "buffers": granted}
        if spec.routes_from == "etcd":
            facts["etcd"] = server.version()
        yield Running(name, child, counters.read, facts)


def commands(scenario: Scenario, specs: Sequence[Pump]) -> list[str]:
    """The command lines that start these pumps in named namespaces."""
    return [_command(scenario, spec) for spec in specs]


def _command(scenario: Scenario, spec: Pump) -> str:
    refs = [parse_ref(text) for text in spec.devices]
    words = ["ip", "netns", "exec", refs[0].host, *_own_command(), "pump"]
    for ref, kind in zip(refs, _kinds(scenario, spec), strict=False):
        where = "" if ref.host == refs[0].host else f"@{ref.host}"
        words += [f"--{kind.name.lower()}", f"{ref.device}{where}"]
    if spec.listen:
        words += ["--listen", spec.listen]
    if spec.routes_from == "etcd":
        words += ["--etcd", show_endpoint(ADDRESS, PORT)]
    for prefix, hop in _static(spec).items():
        words += ["--route", f"{prefix}={hop}"]
    for name, value in spec.switches.items():
        if value != native.switches()[name].initial:
            words += [option(name), str(native.switches()[name].show(value))]
    return f"{shlex.join(words)} &"


def option(switch: str) -> str:
    """The option of `vnetbench pump` for a switch."""
    return f"--{switch.replace('_', '-')}"


def _own_command() -> list[str]:
    """How to start this very vnetbench from any directory."""
    installed = Path(sys.executable).with_name("vnetbench")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "bench"]


def _router(spec: Pump) -> native.Router | None:
    if not spec.listen:
        return None
    return native.Router({ip_network(p): parse_endpoint(hop) for p, hop in _static(spec).items()})


def _static(spec: Pump) -> Mapping[str, str]:
    """The routes that it starts with."""
    return spec.routes if spec.routes_from == "static" else {}


def _kinds(scenario: Scenario, spec: Pump) -> list[native.PortKind]:
    kinds = [_kind(scenario, parse_ref(text)) for text in spec.devices]
    return [*kinds, native.PortKind.UDP] if spec.listen else kinds


def _kind(scenario: Scenario, ref: DeviceRef) -> native.PortKind:
    return native.PortKind.TUN if isinstance(scenario.device(ref), Tun) else native.PortKind.TAP


def _shown(settings: native.Settings) -> dict[str, Any]:
    return {name: native.switches()[name].show(value) for name, value in settings.items()}
