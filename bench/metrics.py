"""The metrics: each a named number with a unit and a direction, defined here and nowhere else.

Units are SI (`bit/s`, `s`, `packet/s`); `units.py` says how each is written for people.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    id: the name used in `samples.csv` and on the command line.
    unit: SI unit of the stored value.
    better: which direction is an improvement.
    title: column heading in tables.
    description: what exactly was measured.
    """

    id: str
    unit: str
    better: Literal["higher", "lower"]
    title: str
    description: str


METRICS: dict[str, Metric] = {
    metric.id: metric
    for metric in (
        Metric(
            id="tcp_goodput",
            unit="bit/s",
            better="higher",
            title="TCP goodput",
            description="iperf3, one stream unless the scenario says more; bytes received in the "
            "interval after warm-up, divided by that interval",
        ),
        Metric(
            id="rtt",
            unit="s",
            better="lower",
            title="RTT",
            description="closed loop with one outstanding UDP datagram of 64 bytes; mean over the "
            "round trips of one pyperf value ('service time')",
        ),
        Metric(
            id="packet_time",
            unit="s",
            better="lower",
            title="Time of a packet",
            description="one way, half a round trip of one outstanding UDP datagram of 1400 bytes, "
            "everything that moves it on one CPU: the sum of what is done for a packet",
        ),
        Metric(
            id="segment_time",
            unit="s",
            better="lower",
            title="Time of a TCP segment",
            description="saturating stream, from its first to its last byte, divided by the "
            "MSS-sized segments that were received",
        ),
    )
}
