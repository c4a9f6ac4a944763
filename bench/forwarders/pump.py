"""Our own forwarder: the packet pump of `csrc/`, in a process of its own."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from bench import native
from bench.errors import UsageError
from bench.forwarders.base import Running
from bench.process import Send, spawn
from bench.scenario.model import DeviceRef, Pump, Scenario, Tun, parse_ref
from bench.topology import Topology

_BUFFER_SIZE = 65535
"""Bytes of the largest packet or frame: an MTU may be raised while the pump runs."""
_READY_TIMEOUT = 5.0


@dataclass(frozen=True)
class PumpConfig:
    """What a pump does, once its descriptors are open.

    icmp_source: address that ICMP errors come from; None is the address that was not reached.
    """

    engine: str
    routes: Mapping[IPv4Network, tuple[IPv4Address, int]]
    icmp_source: IPv4Address | None


def problems(spec: Pump) -> Iterator[tuple[str, str]]:
    """Say where a scenario names an engine that is not there."""
    if spec.engine not in native.engines():
        yield "engine", _no_engine(spec.engine)


def check_engine(engine: str) -> None:
    """Raise UsageError unless the extension has an engine of that name."""
    if engine not in native.engines():
        raise UsageError(f"pump: --engine: {_no_engine(engine)}")


def _no_engine(name: str) -> str:
    return f'there is no engine "{name}"; expected one of {", ".join(native.engines())}'


def udp_socket(address: IPv4Address, port: int) -> socket.socket:
    """A UDP socket bound to `address`:`port` in this thread's namespace. Raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((str(address), port))
    except OSError:
        sock.close()
        raise
    return sock


def parse_endpoint(text: str) -> tuple[IPv4Address, int]:
    """Split "address:port". Raises ValueError."""
    address, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise ValueError(f'"{text}" is not of the form "address:port"')
    return IPv4Address(address), int(port)


@contextmanager
def running(topology: Topology, spec: Pump) -> Iterator[Running]:
    """Run the pump `spec` in `topology` and yield it once it has its socket open."""
    refs = [parse_ref(text) for text in spec.devices]
    kinds = [_port_kind(topology.scenario, ref) for ref in refs]
    ports = [native.Port(kind, topology.held(ref)) for kind, ref in zip(kinds, refs, strict=True)]
    routes = {IPv4Network(p): parse_endpoint(hop) for p, hop in spec.routes.items()}
    config = PumpConfig(spec.engine, routes, icmp_source=None)
    counters = native.Counters()

    def task(send: Send) -> None:
        with ExitStack() as stack:
            opened = list(ports)
            if spec.listen:
                sock = stack.enter_context(udp_socket(*parse_endpoint(spec.listen)))
                opened.append(native.Port(native.PortKind.UDP, sock.fileno()))
            send({"ready": True})
            # Nobody writes to this eventfd: a pump in a topology ends with its process.
            run(config, (opened[0], opened[1]), counters, os.eventfd(0))

    name = f"pump {'-'.join(map(str, refs))}"
    keep = [port.fd for port in ports]
    with spawn(name, task, netns=topology.netns(refs[0].host), keep=keep) as child:
        child.receive(_READY_TIMEOUT)
        for ref in refs:
            topology.release(ref)
        yield Running(name=name, child=child, counters=counters.read)


def run(
    config: PumpConfig,
    ports: tuple[native.Port, native.Port],
    counters: native.Counters,
    stop_fd: int,
) -> None:
    """Move packets until `stop_fd` is readable. Raises OSError when a descriptor has died."""
    native.pump_run(
        ports,
        config.routes,
        counters,
        stop_fd,
        engine=config.engine,
        buffer_size=_BUFFER_SIZE,
        icmp_source=config.icmp_source,
    )


def command(scenario: Scenario, spec: Pump) -> str:
    """The command line that starts this pump in named namespaces."""
    refs = [parse_ref(text) for text in spec.devices]
    words = ["ip", "netns", "exec", refs[0].host, *_own_command(), "pump"]
    for ref in refs:
        kind = _port_kind(scenario, ref).name.lower()
        where = "" if ref.host == refs[0].host else f"@{ref.host}"
        words += [f"--{kind}", f"{ref.device}{where}"]
    if spec.listen:
        words += ["--listen", spec.listen]
    for prefix, hop in spec.routes.items():
        words += ["--route", f"{prefix}={hop}"]
    return f"{shlex.join([*words, '--engine', spec.engine])} &"


def _own_command() -> list[str]:
    """How to start this very vnetbench from any directory."""
    installed = Path(sys.executable).with_name("vnetbench")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "bench"]


def _port_kind(scenario: Scenario, ref: DeviceRef) -> native.PortKind:
    return native.PortKind.TUN if isinstance(scenario.device(ref), Tun) else native.PortKind.TAP
