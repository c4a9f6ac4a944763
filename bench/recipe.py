"""A variant as the shell commands that build it by hand, in named namespaces."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_interface

from bench.forwarders import commands as forwarder_commands
from bench.scenario import Scenario, Variant, parse_ref, server_address
from bench.topology.plan import Arm, in_arm, plan


def shell_commands(variant: Variant, arm: Arm) -> list[str]:
    """Commands to be typed in order, as root; the last lines, comments, say how to try and undo."""
    scenario = in_arm(variant.scenario, arm)
    hosts = [name for name, host in scenario.hosts.items() if not host.is_guest]
    stop = ["kill $(jobs -p)"] if scenario.forwarders else []
    return [
        f"# {variant.name}, {arm} arm: {scenario.title}",
        *(f"ip netns add {host}" for host in hosts),
        *(step.command() for step in plan(scenario, arm)),
        *forwarder_commands(scenario),
        f"# try it:  {_attempt(scenario, hosts)}",
        "# undo it: " + "; ".join([*stop, *(f"ip netns delete {host}" for host in hosts)]),
    ]


def _attempt(scenario: Scenario, namespaces: Sequence[str]) -> str:
    """A command that succeeds where the path carries packets."""
    client, server = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
    if scenario.proxied:  # which passes no pings on
        there, here = (f"ip netns exec {end.host} iperf3" for end in (server, client))
        return f"{there} -s -1 & {here} -c {server_address(scenario)} -t 1"
    # From a guest there is nothing to type; its answers say as much.
    here = client.host if client.host in namespaces else namespaces[0]
    target = client if server.host == here else server
    address = ip_interface(scenario.device(target).addresses[0]).ip
    return f"ip netns exec {here} ping -c 3 {address}"
