"""What the namespaces of a topology really look like, read back from the kernel.

Recorded with the results: what was asked for is in the scenario, what was there is here.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from pyroute2.ethtool.ioctl import IoctlEthtool

from bench.topology.build import Topology
from bench.topology.namespaces import inside

_SYSCTLS = (
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.disable_ipv6",
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.wmem_default",
    "net.core.wmem_max",
)
"""`tcp_congestion_control` is the namespace's default; the probes choose theirs per socket."""


def facts(topology: Topology) -> dict[str, Any]:
    """Host → its sysctls, and its devices with MTU and ethtool's offload flags."""
    return {host: _host_facts(topology, host) for host in topology.scenario.hosts}


def _host_facts(topology: Topology, host: str) -> dict[str, Any]:
    with inside(topology.netns(host)):
        devices = {
            link.get("ifname"): {
                "mtu": link.get("mtu"),
                "offloads": _offloads(link.get("ifname")),
            }
            for link in topology.netlink(host).get_links()
            if link.get("ifname") in topology.scenario.hosts[host].devices
        }
        sysctls = {name: _sysctl(name) for name in _SYSCTLS}
    return {"sysctls": sysctls, "devices": devices}


def _offloads(device: str) -> dict[str, bool]:
    with closing(IoctlEthtool(device)) as ethtool:
        flags: dict[str, bool] = ethtool.get_offload_flags()
    return flags


def _sysctl(name: str) -> str | None:
    """The value inside the thread's namespace; None where it does not exist per namespace."""
    try:
        return Path("/proc/sys", *name.split(".")).read_text().strip()
    except OSError:
        return None
