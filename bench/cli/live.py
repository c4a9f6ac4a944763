"""`vnetbench capture` and `vnetbench shell`: look into a live scenario."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from bench import forwarders
from bench.capture import capture as capture_ping
from bench.capture import write
from bench.cli.completers import hosts as complete_hosts
from bench.cli.completers import scenarios
from bench.cli.options import examples, json_option, override_option, print_json
from bench.errors import UsageError, did_you_mean
from bench.process import run_in_foreground
from bench.scenario import find, parse_ref, variants
from bench.topology import Topology, build, enter_user_namespace_if_needed

_PING_TIMEOUT = 5.0
_SIGNALLED = 128
"""What shells add to the number of the signal that ended a program."""


@click.command(
    epilog=examples(
        "vnetbench capture veth -o pcaps",
        "vnetbench capture flannel-udp -c 3 -p batch=16 -o pcaps --json",
    )
)
@click.argument("name", shell_complete=scenarios)
@click.option(
    "-o",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where the files go, HOST-DEVICE.pcap.",
)
@click.option(
    "-c",
    "count",
    default=1,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="How many pings.",
)
@json_option
@override_option
def capture(name: str, folder: Path, count: int, as_json: bool, overrides: tuple[str, ...]) -> None:
    """Ping across a scenario and write one pcap file for each device on the path."""
    with _live(name, overrides) as topology:
        captures = capture_ping(topology, count, _PING_TIMEOUT)
    files = write(captures, folder)
    if as_json:
        written = [
            {"host": t.ref.host, "device": t.ref.device, "packets": len(t.frames), "file": str(f)}
            for t, f in zip(captures, files, strict=True)
        ]
        print_json({"format": 1, "captures": written})
        return
    for taken, file in zip(captures, files, strict=True):
        click.echo(f"{len(taken.frames):4} packets on {taken.ref!s:24} {file}")


@click.command(
    epilog=examples("vnetbench shell veth", "vnetbench shell flannel-udp host-a -p mtu=1400")
)
@click.argument("name", shell_complete=scenarios)
@click.argument("host", required=False, shell_complete=complete_hosts)
@override_option
def shell(name: str, host: str | None, overrides: tuple[str, ...]) -> None:
    """Open a shell inside a live scenario, on HOST (default: the client's).

    Exit status: that of the shell.
    """
    with _live(name, overrides) as topology:
        hosts = topology.scenario.hosts
        host = host or parse_ref(topology.scenario.endpoints.client).host
        if host not in hosts:
            near = did_you_mean(host, hosts)
            raise UsageError(f"shell: {name} has no host {host}{near}; it has {', '.join(hosts)}")
        program = os.environ.get("SHELL", "/bin/sh")
        click.echo(f"{host} of {name} (hosts: {', '.join(hosts)}); exit removes it", err=True)
        environment = {**os.environ, "VNETBENCH_HOST": host, "PS1": f"{host}# "}
        status = run_in_foreground([program], topology.netns(host), environment)
    sys.exit(status if status >= 0 else _SIGNALLED - status)


@contextmanager
def _live(name: str, overrides: tuple[str, ...]) -> Iterator[Topology]:
    """The scenario, up and forwarding."""
    found = variants(find([name]), overrides)
    if len(found) > 1:
        raise UsageError("give one value for each parameter; one scenario is brought up")
    forwarders.check(found[0])
    enter_user_namespace_if_needed()
    with build(found[0].scenario) as topology, forwarders.forwarding(topology):
        yield topology
