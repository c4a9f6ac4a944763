"""What the IP and UDP layers of each namespace have counted: /proc/net/snmp and snmp6.

Anybody may read these. A packet passes an IP layer where a host sends it (OutRequests) and where
one receives it, be it to keep or to forward (InReceives); OutRequests does not count what is
forwarded (RFC 4293, and so it is).
"""

from __future__ import annotations

from pathlib import Path as FilePath

from bench.ledger.subject import Subject
from bench.topology import Topology, inside

_NET = FilePath("/proc/thread-self/net")


def read(subject: Subject) -> dict[str, dict[str, int]]:
    """Host → counter (as "Ip.InReceives", "Ip6.InReceives") → count."""
    return read_all(subject.path.topology)


def read_all(topology: Topology) -> dict[str, dict[str, int]]:
    """The same of the namespaces of `topology`."""
    found = {}
    for host in topology.scenario.hosts:
        with inside(topology.netns(host)):
            found[host] = {**_snmp(), **_snmp6()}
    return found


def _snmp() -> dict[str, int]:
    """The tables of /proc/net/snmp: a line of names, then a line of values, each led by "Ip:"."""
    counts = {}
    lines = [line.split() for line in (_NET / "snmp").read_text().splitlines()]
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        layer = names[0].rstrip(":")
        pairs = zip(names[1:], values[1:], strict=True)
        counts.update({f"{layer}.{name}": int(value) for name, value in pairs})
    return counts


def _snmp6() -> dict[str, int]:
    """The lines of /proc/net/snmp6, such as "Ip6InReceives 12"; none in a kernel without IPv6."""
    file, counts = _NET / "snmp6", {}
    if file.exists():
        for name, value in (line.split() for line in file.read_text().splitlines()):
            layer, six, rest = name.partition("6")
            counts[f"{layer}{six}.{rest}"] = int(value)
    return counts
