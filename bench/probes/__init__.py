"""The probes. A new one is a module with a `PROBE` and its name in the tuple below."""

from bench.probes import (
    cpu,
    delay,
    forwarding_rate,
    ledger,
    packet_rate,
    priced,
    rtt,
    tcp_goodput,
)
from bench.probes.base import Measurement, Path, Probe
from bench.probes.proof import path_devices, prove

PROBES: dict[str, Probe] = {
    probe.id: probe
    for probe in (
        tcp_goodput.PROBE,
        rtt.PROBE,
        ledger.PROBE,
        cpu.PROBE,
        priced.SERIAL,
        priced.STREAM,
        *delay.PROBES,
        *packet_rate.PROBES,
        *forwarding_rate.PROBES,
    )
}

__all__ = ["PROBES", "Measurement", "Path", "Probe", "path_devices", "prove"]
