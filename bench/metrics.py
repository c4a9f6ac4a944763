"""The metrics: each a named number with a unit and a direction, defined here and nowhere else.

Units are SI (`bit/s`, `s`, `packet/s`); `units.py` says how each is written for people.
"""

import math
from collections.abc import Iterator
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


DELAY_LOADS = (10, 50, 90)
"""Loads at which delay is measured, in per cent of the base rate (`bench.probes.delay`)."""
DELAY_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


def delay_id(load: int, percentile: str) -> str:
    """The metric of a percentile of the delay at a load."""
    return f"delay_{load}_{percentile}"


PACKET_RATES: dict[int, dict[float, str]] = {
    size: {
        0.0: f"packet_rate_{size}",
        0.001: f"packet_rate_{size}_loss_0.1",
        0.005: f"packet_rate_{size}_loss_0.5",
    }
    for size in (64, 512, 1400)
}
"""Bytes of payload → share that may be lost → id of the metric."""


FORWARDING_RATES: dict[int, str] = {size: f"forwarding_rate_{size}" for size in PACKET_RATES}
"""Bytes of payload → id of the metric."""


def _packet_rates() -> Iterator[Metric]:
    for size, by_loss in PACKET_RATES.items():
        for loss, id_ in by_loss.items():
            goal = f"at most {loss:.1%} are lost" if loss else "none is lost"
            yield Metric(
                id=id_,
                unit="packet/s",
                better="higher",
                title=f"{size} B, {loss:.1%} loss" if loss else f"{size} B packets",
                description=f"UDP datagrams of {size} bytes that arrive each second where so many "
                f"are offered that {goal}, in half of the trials at least (RFC 9971, conditional "
                "throughput)",
            )


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
            id="stream_time",
            unit="s",
            better="lower",
            title="Time of 1400 bytes of a stream",
            description="saturating TCP stream, from its first to its last byte; the time for 1400 "
            "bytes of it that arrived",
        ),
        Metric(
            id="cpu_per_packet",
            unit="s",
            better="lower",
            title="CPU/packet",
            description="CPU time of the whole machine, softirqs included, for each UDP datagram "
            "that arrived; one by one at a fixed modest rate, one way, CPUs kept awake; contains "
            "both endpoints and the generator's timer",
        ),
        Metric(
            id="cpu_per_byte",
            unit="s",
            better="lower",
            title="CPU/byte",
            description="CPU time of the whole machine, softirqs included, for each byte that "
            "arrived of one saturating TCP stream; contains both endpoints and acknowledgements",
        ),
        Metric(
            id="instructions_per_packet",
            unit="1/packet",
            better="lower",
            title="instructions",
            description="instructions of all CPUs, beyond those of an idle machine, for each UDP "
            "datagram that arrived; the datagrams are those of cpu_per_packet; needs a PMU",
        ),
        Metric(
            id="cycles_per_packet",
            unit="1/packet",
            better="lower",
            title="cycles",
            description="cycles in which a CPU was not halted, beyond those of an idle machine, "
            "for each UDP datagram that arrived; as instructions_per_packet",
        ),
        Metric(
            id="syscalls",
            unit="1/packet",
            better="lower",
            title="system calls",
            description="of the ledger: calls of the programs on the path, one way, small UDP "
            "datagrams; useful ones, those in vain (EAGAIN) and the others",
        ),
        Metric(
            id="working_calls",
            unit="1/packet",
            better="lower",
            title="working calls",
            description="of the ledger: those system calls that neither wait (poll, …) nor come "
            "back in vain; unlike the others they do not hang on when a program gets a CPU",
        ),
        Metric(
            id="copies",
            unit="1/packet",
            better="lower",
            title="copies",
            description="of the ledger: copies of a datagram between user and kernel space, one "
            "way; several datagrams copied as one buffer are one copy",
        ),
        Metric(
            id="copied_bytes",
            unit="B/packet",
            better="lower",
            title="bytes copied",
            description="of the ledger: bytes of those copies, headers included",
        ),
        Metric(
            id="memory_copies",
            unit="1/packet",
            better="lower",
            title="copies in memory",
            description="of the ledger: copies of a packet that the pumps make within their own "
            "memory, as they count them; a pump without handicaps makes none",
        ),
        Metric(
            id="traversals",
            unit="1/packet",
            better="lower",
            title="IP traversals",
            description="of the ledger: passes through an IP layer, one way: where a host sends a "
            "packet and where one receives it, to keep or to forward",
        ),
        Metric(
            id="wakeups",
            unit="1/packet",
            better="lower",
            title="wake-ups",
            description="of the ledger: times a thread of a program on the path is woken, one way, "
            "but for the generator, which sleeps between datagrams",
        ),
        Metric(
            id="segments_per_skb",
            unit="1",
            better="higher",
            title="segments per skb",
            description="of the ledger: packets that a device's driver is given at once, as one",
        ),
        *(
            Metric(
                id=delay_id(load, percentile),
                unit="s",
                better="lower",
                title=f"Delay at {load} %, {percentile}",
                description=f"{percentile} of the one-way delay of 64-byte UDP datagrams, from "
                "when each was due until the receiving program had it; open loop, at "
                f"{load} % of the base rate, a packet rate found by a search of its own",
            )
            for load in DELAY_LOADS
            for percentile in DELAY_PERCENTILES
        ),
        *_packet_rates(),
        *(
            Metric(
                id=id_,
                unit="packet/s",
                better="higher",
                title=f"{size} B flood",
                description=f"UDP datagrams of {size} bytes that arrive each second where as many "
                "are offered as the generator can (RFC 2285, forwarding rate at maximum offered "
                "load)",
            )
            for size, id_ in FORWARDING_RATES.items()
        ),
    )
}


def worse_by(metric: str, old: float, new: float) -> float:
    """The logarithm of the factor by which `new` is worse, in the metric's own direction."""
    change = math.log(new / old)
    return change if METRICS[metric].better == "lower" else -change
