"""A variant as the shell commands that build it by hand, in named namespaces."""

from __future__ import annotations

from bench.forwarders import commands as forwarder_commands
from bench.scenario import Variant, parse_ref, server_address
from bench.topology.plan import Arm, in_arm, plan


def shell_commands(variant: Variant, arm: Arm) -> list[str]:
    """Commands to be typed in order, as root; the last lines, comments, say how to try and undo."""
    scenario = in_arm(variant.scenario, arm)
    client = parse_ref(scenario.endpoints.client).host
    hosts = list(scenario.hosts)
    stop = ["kill $(jobs -p)"] if scenario.forwarders else []
    return [
        f"# {variant.name}, {arm} arm: {scenario.title}",
        *(f"ip netns add {host}" for host in hosts),
        *(step.command() for step in plan(scenario, arm)),
        *forwarder_commands(scenario),
        f"# try it:  ip netns exec {client} ping -c 3 {server_address(scenario)}",
        "# undo it: " + "; ".join([*stop, *(f"ip netns delete {host}" for host in hosts)]),
    ]
