"""The pump's bars: `python tests/bench_pump.py [ROUNDS] [BAR...]`, printed as `make bench-pump`.

Each bar is a ratio of two variants, measured one after the other, in turns, `ROUNDS` times in one
run on freshly built namespaces; the figure is the median of the ratios of neighbours, with their
range. Native arm, CUBIC. Nothing is asserted: a bar is for a person to look at.
"""

# ruff: noqa: T201 - printing a table is what this script is for

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.forwarders import forwarding
from bench.lossless import lossless_rate
from bench.probes import PROBES, prove
from bench.probes.base import Path
from bench.scenario import Variant, find, variants
from bench.topology import build

FLANNEL = ("pump=flannel",)
FAST = ("pump=fast",)

Measure = Callable[[Path], float]


@dataclass(frozen=True)
class Subject:
    """A scenario with some parameters."""

    scenario: str
    overrides: tuple[str, ...] = ()

    def variant(self) -> Variant:
        [variant] = variants(find([self.scenario]), self.overrides)
        return variant


@dataclass(frozen=True)
class Bar:
    """What is measured, of what against what; `at_least`: whether more is better."""

    what: str
    measure: Measure
    subject: Subject
    against: Subject
    bar: float
    stretch: float
    at_least: bool = True

    def met(self, ratio: float) -> str:
        def holds(limit: float) -> bool:
            return ratio >= limit if self.at_least else ratio <= limit

        return "stretch" if holds(self.stretch) else "met" if holds(self.bar) else "MISSED"


def goodput(path: Path) -> float:
    """bit/s of one TCP stream."""
    return sample("tcp_goodput", path, {"warmup": 1, "duration": 2})


def rtt(path: Path) -> float:
    """Seconds of a round trip."""
    return sample("rtt", path, PROBES["rtt"].settings["quick"])


def packet_rate(path: Path) -> float:
    """Datagrams of 64 bytes a second, none lost."""
    return lossless_rate(path, size=64, seconds=0.5, buffer=1 << 22).rate


def sample(probe: str, path: Path, settings: Mapping[str, Any]) -> float:
    values = PROBES[probe].measure(path, settings).samples[probe]
    return median(values)


def once(subject: Subject, measure: Measure) -> float:
    variant = subject.variant()
    with build(variant.scenario) as topology, forwarding(topology):
        return measure(prove(topology, variant.name))


BARS = {
    "goodput": Bar(
        "TCP goodput, flannel-udp: fast against flannel's loop",
        goodput,
        Subject("flannel-udp", FAST),
        Subject("flannel-udp", FLANNEL),
        10,
        15,
    ),
    "vxlan": Bar(
        "TCP goodput: flannel-udp, fast, against kernel VXLAN",
        goodput,
        Subject("flannel-udp", FAST),
        Subject("vxlan"),
        0.8,
        1.0,
    ),
    "rate": Bar(
        "loss-free 64-byte packet rate, flannel-udp: fast against flannel's loop",
        packet_rate,
        Subject("flannel-udp", FAST),
        Subject("flannel-udp", FLANNEL),
        3,
        5,
    ),
    "spin": Bar(
        "RTT, tun-relay: spinning on a CPU of its own against flannel's loop, blocking",
        rtt,
        Subject("tun-relay", ("pump=flannel", "wait=spin", "cpu=1")),
        Subject("tun-relay", FLANNEL),
        0.7,
        0.5,
        at_least=False,
    ),
    "block": Bar(
        "RTT, flannel-udp: blocking, all offloads on, against flannel's loop",
        rtt,
        Subject("flannel-udp", FAST),
        Subject("flannel-udp", FLANNEL),
        1.05,
        0.9,
        at_least=False,
    ),
    "tap": Bar(
        "TCP goodput: tap-bridge, fast, against kernel bridge",
        goodput,
        Subject("tap-bridge", FAST),
        Subject("bridge"),
        0.5,
        0.8,
    ),
}


def main(rounds: int, names: list[str]) -> None:
    for name in names or list(BARS):
        bar = BARS[name]
        pairs = []
        for turn in range(rounds):
            order = (bar.subject, bar.against)
            values = {s: once(s, bar.measure) for s in (order if turn % 2 else order[::-1])}
            pairs.append((values[bar.subject], values[bar.against]))
        ratios = sorted(a / b for a, b in pairs)
        middle = math.exp(median(math.log(r) for r in ratios))
        sign = "≥" if bar.at_least else "≤"
        print(f"{bar.what}")
        print(
            f"    {median(a for a, _ in pairs):.4g} against {median(b for _, b in pairs):.4g}: "
            f"{middle:.3g}x [{ratios[0]:.3g}, {ratios[-1]:.3g}] of {rounds}; "
            f"bar {sign} {bar.bar}x, stretch {sign} {bar.stretch}x: {bar.met(middle)}",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7, sys.argv[2:])
