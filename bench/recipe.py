"""A variant as the shell commands that build it by hand, in named namespaces."""

from __future__ import annotations

from ipaddress import ip_interface

from bench.forwarders import commands as forwarder_commands
from bench.scenario import Variant, parse_ref
from bench.topology.plan import Arm, in_arm, plan


def shell_commands(variant: Variant, arm: Arm) -> list[str]:
    """Commands to be typed in order, as root; the last lines, comments, say how to try and undo."""
    scenario = in_arm(variant.scenario, arm)
    client, server = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
    hosts = [name for name, host in scenario.hosts.items() if not host.is_guest]
    # From a guest there is nothing to type; its answers say as much.
    here = client.host if client.host in hosts else hosts[0]
    target = client if server.host == here else server
    address = ip_interface(scenario.device(target).addresses[0]).ip
    stop = ["kill $(jobs -p)"] if scenario.forwarders else []
    return [
        f"# {variant.name}, {arm} arm: {scenario.title}",
        *(f"ip netns add {host}" for host in hosts),
        *(step.command() for step in plan(scenario, arm)),
        *forwarder_commands(scenario),
        f"# try it:  ip netns exec {here} ping -c 3 {address}",
        "# undo it: " + "; ".join([*stop, *(f"ip netns delete {host}" for host in hosts)]),
    ]
