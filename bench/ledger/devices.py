"""What each device of each host has counted of its own."""

from __future__ import annotations

from typing import TypedDict

from bench.ledger.subject import Subject


class DeviceCounts(TypedDict):
    """Of one device."""

    rx_packets: int
    rx_bytes: int
    tx_packets: int
    tx_bytes: int
    tx_dropped: int


def read(subject: Subject) -> dict[tuple[str, str], DeviceCounts]:
    """(Host, device) → counts."""
    topology = subject.path.topology
    return {
        (host, device): {
            "rx_packets": traffic.rx_packets,
            "rx_bytes": traffic.rx_bytes,
            "tx_packets": traffic.tx_packets,
            "tx_bytes": traffic.tx_bytes,
            "tx_dropped": traffic.tx_dropped,
        }
        for host in topology.scenario.hosts
        for device, traffic in topology.traffic(host).items()
    }
