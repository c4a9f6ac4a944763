"""Programs of others as forwarders: each in a namespace of its host, with files of its own.

Such a program opens a tun or tap that is there already, with its addresses and its MTU, as whoever
runs it without root would have it; so all of them find the same devices. Its configuration and
keys are written into a file system in memory that only it can see and that vanishes with it
(`process.execute`), so there is nothing to clean up however it, or we, end.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from bench import programs
from bench.devices import DeviceRef, Tun, parse_ref
from bench.endpoint import parse_endpoint
from bench.errors import CannotMeasure
from bench.forwarders.base import Running
from bench.native import Address
from bench.process import FOLDER, Child, execute
from bench.programs import End, Launch, Proxied, Secrets, Tool, Value
from bench.scenario.model import Program, Scenario
from bench.scenario.proxies import gateway
from bench.topology import Topology

_NETNS = "netns"
"""The file by which a proxy finds the namespace of its tap."""
_READY_TIMEOUT = 15.0
_LOOK = 0.005


def problems(scenario: Scenario, spec: Program) -> Iterator[tuple[str, str]]:
    """Say where a program is asked for what it does not have."""
    if spec.program not in programs.names():
        yield "program", f"no program {spec.program}; expected one of {', '.join(programs.names())}"
        return
    tool = programs.tool(spec.program)
    ref = parse_ref(spec.devices[0])
    kind = _kind(scenario, ref)
    if kind not in tool.kinds:
        yield "devices", f"{spec.program} cannot have a {kind}"
    if tool.proxy and spec.sockets is None:
        yield "sockets", f"{spec.program} is a proxy; expected the host where its sockets are"
    elif spec.sockets is not None and not tool.proxy:
        yield "sockets", f"{spec.program} has its sockets where its device is; expected none"
    elif spec.sockets is not None and (reason := tool.refusal(_proxied(scenario, spec))):
        yield "devices", f"{spec.program}: {reason}"
    if scenario.device(ref).mtu > tool.largest_mtu:
        yield "devices", f"{spec.program} carries no MTU above {tool.largest_mtu}, as {ref} has"
    if len({*spec.routes.values(), *spec.peers}) > 1 and not tool.several:
        yield "peers" if spec.peers else "routes", f"{spec.program} has one peer; expected no other"
    for name, value in spec.options.items():
        key = f"options.{name}"
        if name not in tool.options:
            known = ", ".join(tool.options) or "none"
            yield key, f"{spec.program} has no such option; it has {known}"
        elif value not in tool.options[name]:
            yield key, f"expected one of {', '.join(map(str, tool.options[name]))}"


@contextmanager
def running(topology: Topology, specs: Sequence[Program]) -> Iterator[list[Running]]:
    """Run the programs `specs`; raises MissingCapability where one is not installed."""
    versions = {name: programs.tool(name).installed_version() for name in _names(specs)}
    found: list[Running] = []
    with ExitStack() as stack:
        launches = _launches(topology.scenario, specs)
        deadline = time.monotonic() + _READY_TIMEOUT
        for spec in specs:  # all first: a new process has what we hold until it comes to close it
            topology.release(parse_ref(spec.devices[0]))
        for spec, (end, _, launch) in zip(specs, launches, strict=True):
            ref = parse_ref(spec.devices[0])
            child = stack.enter_context(
                execute(
                    f"{spec.program} {ref}",
                    launch.arguments,
                    netns=topology.netns(end.host),
                    files=launch.files,
                    namespaces={_NETNS: topology.netns(ref.host)} if end.proxied else {},
                )
            )
            found.append(Running(child.name, child, facts=_facts(spec, versions[spec.program])))
            _wait_until_listening(launch, child, deadline)
        for spec, (_, _, launch), one in zip(specs, launches, found, strict=True):
            _wait_until_ready(topology, parse_ref(spec.devices[0]), launch, one.child, deadline)
        yield found


def commands(scenario: Scenario, specs: Sequence[Program]) -> list[str]:
    """The command lines that start these programs in named namespaces, each with its files.

    With keys of their own: asked again, it gives others.
    """
    for name in _names(specs):
        programs.tool(name).installed_version()
    return [_by_hand(end, launch) for end, _, launch in _launches(scenario, specs)]


def _by_hand(end: End, launch: Launch) -> str:
    """A program as it is started by hand: in a shell of its own, if it has files or is configured.

    ip(8) gives that a mount namespace, so what it mounts goes with it, as in a run.
    """
    inside = ["ip", "netns", "exec", end.host]
    if not launch.files and not launch.afterwards and not end.proxied:
        return f"{shlex.join([*inside, *launch.arguments])} &"
    lines = [f"{shlex.join([*inside, 'sh'])} <<'END' &"]
    if end.proxied:
        lines.append(f"exec 3< /run/netns/{end.proxied.host}")  # the next line hides it
    lines += ["mount -t tmpfs tmpfs /run", "umask 077"]
    if end.proxied:
        lines.append(f"install -D /dev/null {end.proxied.netns}")
        lines.append(f"mount --bind /proc/self/fd/3 {end.proxied.netns} && exec 3<&-")
    for name, content in launch.files.items():
        path = f"{FOLDER}/{name}"
        lines += [f"install -D /dev/null {path}", f"cat > {path} <<'FILE'"]
        lines += [content.decode().removesuffix("\n"), "FILE"]
    for arguments in launch.afterwards:
        lines.append(f"until {shlex.join(arguments)} 2> /dev/null; do sleep 0.1; done &")
    return "\n".join([*lines, f"exec {shlex.join(launch.arguments)}", "END"])


def _names(specs: Sequence[Program]) -> list[str]:
    return list(dict.fromkeys(spec.program for spec in specs))


def _launches(scenario: Scenario, specs: Sequence[Program]) -> list[tuple[End, Tool, Launch]]:
    """For each spec its end, its program and how to start it."""
    made: dict[int, tuple[End, Tool, Launch]] = {}
    for name in _names(specs):
        tool = programs.tool(name)
        mine = [i for i, spec in enumerate(specs) if spec.program == name]
        ends = _ends(scenario, [specs[i] for i in mine], tool)
        secrets: Secrets = tool.secrets(ends)
        for i, end in zip(mine, ends, strict=True):
            made[i] = (end, tool, tool.launch(end, ends, secrets))
    return [made[i] for i in range(len(specs))]


def _ends(scenario: Scenario, specs: Sequence[Program], tool: Tool) -> list[End]:
    numbers = {spec.listen: i for i, spec in enumerate(specs)}
    ends = []
    for i, spec in enumerate(specs):
        ref = parse_ref(spec.devices[0])
        proxied = _proxied(scenario, spec) if spec.sockets else None
        address, port = _socket(scenario, spec, proxied)
        routes = {ip_network(prefix): numbers[hop] for prefix, hop in spec.routes.items()}
        defaults: dict[str, Value] = {name: values[0] for name, values in tool.options.items()}
        ends.append(
            End(
                number=i,
                host=spec.sockets or ref.host,
                device=ref.device,
                kind=_kind(scenario, ref),
                mtu=scenario.device(ref).mtu,
                address=address,
                port=port,
                routes=routes,
                peers=sorted({*routes.values(), *(numbers[hop] for hop in spec.peers)}),
                options={**defaults, **spec.options},
                proxied=proxied,
            )
        )
    return ends


def _socket(scenario: Scenario, spec: Program, proxied: Proxied | None) -> tuple[Address, int]:
    """Where the sockets of a program are: its one, or a proxy's many, which have any port."""
    if proxied is None or spec.sockets is None:
        assert spec.listen is not None  # noqa: S101 - `check` has made sure
        return parse_endpoint(spec.listen)
    uplink = scenario.hosts[spec.sockets].devices[proxied.uplink]
    return ip_interface(uplink.addresses[0]).ip, 0


def _proxied(scenario: Scenario, spec: Program) -> Proxied:
    ref, host = parse_ref(spec.devices[0]), scenario.hosts[str(spec.sockets)]
    near = gateway(scenario, ref)
    assert near is not None  # noqa: S101 - `check` has made sure
    interfaces = map(ip_interface, scenario.device(ref).addresses)
    return Proxied(
        host=ref.host,
        netns=f"{FOLDER}/{_NETNS}",
        interface=next(interface for interface in interfaces if near in interface.network),
        gateway=near,
        uplink=next(name for name, device in host.devices.items() if device.addresses),
        forwards=ip_address(spec.forwards) if spec.forwards else None,
    )


def _kind(scenario: Scenario, ref: DeviceRef) -> str:
    return "tun" if isinstance(scenario.device(ref), Tun) else "tap"


def _facts(spec: Program, version: str) -> dict[str, Any]:
    tool = programs.tool(spec.program)
    options = {**{name: values[0] for name, values in tool.options.items()}, **spec.options}
    return {
        "program": spec.program,
        "version": version,
        "cipher": tool.cipher(options),
        "options": options,
    }


def _wait_until_listening(launch: Launch, child: Child, deadline: float) -> None:
    while launch.listens and not re.search(launch.listens, child.output()):
        _check_that_it_lives(child)
        if time.monotonic() > deadline:
            raise CannotMeasure(_late(child, f'did not say "{launch.listens}"'))
        time.sleep(_LOOK)


def _check_that_it_lives(child: Child) -> None:
    if not child.alive():
        child.receive(0)  # raises, with what it had to say


def _late(child: Child, missing: str) -> str:
    return f"{child.name}: {missing} in {_READY_TIMEOUT:g} s{child.tail()}"


def _wait_until_ready(
    topology: Topology, ref: DeviceRef, launch: Launch, child: Child, deadline: float
) -> None:
    left = list(launch.afterwards)
    problem = ""
    while True:
        _check_that_it_lives(child)
        try:
            while left and _is_among_its_own(child.pid):
                _run_beside(left[0], child.pid)
                del left[0]
        except OSError as error:  # it does not listen yet
            problem = str(error)
        said = not launch.said or re.search(launch.said, child.output())
        if not left and said and _has_carrier(topology, ref):
            return
        if time.monotonic() > deadline:
            missing = "has not opened its device" if said else f'did not say "{launch.said}"'
            missing = f"could not be configured ({problem})" if left else missing
            raise CannotMeasure(_late(child, missing))
        time.sleep(_LOOK)


def _is_among_its_own(pid: int) -> bool:
    """Whether a new process is where it belongs: its /run is private, after all else.

    Before that, what is meant for it would reach a program of the machine with the same names.
    """
    return os.stat(f"/proc/{pid}/root/run").st_dev != os.stat("/run").st_dev


def _run_beside(arguments: Sequence[str], pid: int) -> None:
    """Carry out a command in the namespaces of process `pid`. Raises OSError where it fails."""
    enter = ["nsenter", f"--target={pid}", "--mount", "--net"]
    try:
        done = subprocess.run(  # noqa: S603 - arguments are ours
            [*enter, *arguments], capture_output=True, timeout=_READY_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"{arguments[0]}: no end in {_READY_TIMEOUT:g} s") from None
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise OSError(f"{arguments[0]}: {' '.join(last)}")


def _has_carrier(topology: Topology, ref: DeviceRef) -> bool:
    [link] = topology.links(ref.host, topology.index(ref.host, ref.device))
    return bool(link.get("carrier"))
