"""What the namespaces of a topology really look like, read back from the kernel.

Recorded with the results: what was asked for is in the scenario, what was there is here.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

from pyroute2.ethtool.ioctl import IoctlEthtool

from bench.topology.build import Topology
from bench.topology.namespaces import inside
from bench.topology.plan import sysctls
from bench.topology.sysctl import sysctl_file

_INHERITED = (
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.wmem_default",
    "net.core.wmem_max",
)
"""Sysctls that a namespace cannot change and that matter all the same."""


def facts(topology: Topology) -> dict[str, Any]:
    """Host, but for guests → its sysctls, and its devices with MTU, queue and offload flags.

    `net.ipv4.tcp_congestion_control` is the namespace's default; what the goodput probe's sockets
    used is in iperf3's own report.
    """
    return {host: _host_facts(topology, host) for host in topology.namespaces()}


def _host_facts(topology: Topology, host: str) -> dict[str, Any]:
    with inside(topology.netns(host)):
        devices = {
            link.get("ifname"): {
                "mtu": link.get("mtu"),
                "qdisc": link.get("qdisc"),
                "txqlen": link.get("txqlen"),
                "gso_max_segs": link.get("gso_max_segs"),
                "offloads": _offloads(link.get("ifname")),
            }
            for link in topology.links(host)
            if link.get("ifname") in topology.scenario.hosts[host].devices
        }
        names = [*sysctls(topology.scenario, host), *_INHERITED]
        values = {name: _sysctl(name) for name in names}
    return {"sysctls": values, "devices": devices}


def _offloads(device: str) -> dict[str, bool]:
    with closing(IoctlEthtool(device)) as ethtool:
        flags: dict[str, bool] = ethtool.get_offload_flags()
    return flags


def _sysctl(name: str) -> str | None:
    """The value inside the thread's namespace; None where it does not exist per namespace."""
    try:
        return sysctl_file(name).read_text().strip()
    except OSError:
        return None
