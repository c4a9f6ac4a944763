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
from bench.cli.options import override_option
from bench.errors import UsageError
from bench.process import run_in_foreground
from bench.scenario import find, parse_ref, variants
from bench.topology import Topology, build, enter_user_namespace_if_needed

_PING_TIMEOUT = 5.0


@click.command()
@click.argument("name")
@click.option("-o", "folder", required=True, metavar="DIR", type=click.Path(path_type=Path))
@click.option("-c", "count", default=1, show_default=True, type=click.IntRange(1, 1000))
@override_option
def capture(name: str, folder: Path, count: int, overrides: tuple[str, ...]) -> None:
    """Ping across a scenario and write one pcap file for each device on the path."""
    with _live(name, overrides) as topology:
        captures = capture_ping(topology, count, _PING_TIMEOUT)
    for taken, file in zip(captures, write(captures, folder), strict=True):
        click.echo(f"{len(taken.frames):4} packets on {taken.ref!s:24} {file}")


@click.command()
@click.argument("name")
@click.argument("host", required=False)
@override_option
def shell(name: str, host: str | None, overrides: tuple[str, ...]) -> None:
    """Open a shell inside a live scenario, on HOST (default: the client's)."""
    with _live(name, overrides) as topology:
        hosts = topology.scenario.hosts
        host = host or parse_ref(topology.scenario.endpoints.client).host
        if host not in hosts:
            raise UsageError(f"shell: {name} has no host {host}; it has {', '.join(hosts)}")
        program = os.environ.get("SHELL", "/bin/sh")
        click.echo(f"{host} of {name} (hosts: {', '.join(hosts)}); exit removes it", err=True)
        environment = {**os.environ, "VNETBENCH_HOST": host, "PS1": f"{host}# "}
        status = run_in_foreground([program], topology.netns(host), environment)
    sys.exit(status)


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
