"""Where the packets of a trial were dropped: what the kernel and the pumps count of it.

All of it is counted anyway, so it is read before and after. One drop may move several counters; it
is then counted at the first of its places.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath

from bench.devices import Tap, Tun
from bench.interrupts import undisturbed
from bench.probes.base import Path

Counts = dict[str, int]

_SOFTNET = FilePath("/proc/net/softnet_stat")

SOCKET = "socket"
"""The receiver's own: its buffer was full."""
TUN = "tun queue"
"""Of a tun or tap device: whoever reads it did not keep up."""
QDISC = "qdisc"
BACKLOG = "backlog"
"""A CPU's queue of packets that veth, bridge and the like have delivered (netdev_max_backlog).
It belongs to the machine, not to a namespace: drops of somebody else's are in it, too."""
PUMP_SOCKET = "pump socket"
"""A forwarder's UDP socket: its buffer was full."""
PUMP = "pump"
"""What a pump says that it dropped, for whatever reason."""
DEVICE = "device"
"""Of any other kind, sending or receiving."""
ELSEWHERE = "elsewhere"
"""What nobody has counted."""


def count(path: Path) -> Counts:
    """What has been dropped so far, by whoever counts it."""
    # Imported here: the ledger uses the probes, one of which uses this.
    from bench.ledger import snmp  # noqa: PLC0415

    hosts = snmp.read_all(path.topology)
    counts = dict.fromkeys((TUN, "sent", "received", QDISC, BACKLOG, PUMP), 0)
    counts[BACKLOG] = sum(_backlog_drops())
    counts["sockets"] = sum(
        counters.get(name, 0)
        for counters in hosts.values()
        for name in ("Udp.RcvbufErrors", "Udp6.RcvbufErrors")
    )
    for host in hosts:
        declared = path.topology.scenario.hosts[host].devices
        for name, traffic in path.topology.traffic(host).items():
            queue = isinstance(declared.get(name), Tun | Tap)
            counts[TUN if queue else "sent"] += traffic.tx_dropped
            counts["received"] += traffic.rx_dropped
        counts[QDISC] += sum(_qdisc_drops(path, host))
    for forwarder in path.forwarders:
        counters = forwarder.counters() if forwarder.counters else {}
        counts[PUMP] += sum(n for name, n in counters.items() if name.startswith("drop."))
    return counts


def places(before: Counts, after: Counts, missing: int, at_socket: int) -> dict[str, int]:
    """Place → datagrams dropped there, of the `missing`.

    at_socket: what the receiver's own socket counted. More may be counted than is missing: an
    answer to a packet can be dropped, too.
    """
    if missing <= 0:
        return {}
    more = {name: after[name] - before[name] for name in after}
    # A veth whose peer's backlog is full counts that as sent in vain, and its peer as received so.
    devices = (more["sent"] - more[BACKLOG], more["received"] - more[BACKLOG])
    found = {
        SOCKET: at_socket,
        TUN: more[TUN],
        QDISC: more[QDISC],
        BACKLOG: more[BACKLOG],
        PUMP_SOCKET: more["sockets"] - at_socket,
        PUMP: more[PUMP],
        DEVICE: sum(max(0, count) for count in devices),
    }
    found[ELSEWHERE] = missing - sum(max(0, count) for count in found.values())
    return {place: count for place, count in found.items() if count > 0}


def _backlog_drops() -> Iterator[int]:
    """Of each CPU."""
    for line in _SOFTNET.read_text().splitlines():
        yield int(line.split()[1], 16)


def _qdisc_drops(path: Path, host: str) -> Iterator[int]:
    with undisturbed():
        qdiscs = list(path.topology.netlink(host).get_qdiscs())
    for qdisc in qdiscs:
        stats = qdisc.get_attr("TCA_STATS2")
        queue = stats.get_attr("TCA_STATS_QUEUE") if stats else None
        if queue:
            yield queue["drops"]
