"""The pump's bars: `python tests/bench_pump.py [ROUNDS] [BAR...]`, printed as `make bench-pump`.

Each bar is a ratio of two variants, measured one after the other, in turns, `ROUNDS` times in one
run on freshly built namespaces; the figure is the median of the ratios of neighbours, with their
range. Native arm, CUBIC. Nothing is asserted: a bar is for a person to look at.
"""

# ruff: noqa: T201 - printing a table is what this script is for

import math
import random
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path as FilePath
from statistics import median
from typing import Any

from pyroute2 import IPRoute

from bench.forwarders import forwarding
from bench.probes import PROBES, prove
from bench.probes.base import Path
from bench.scenario import Variant, find, variants
from bench.search import Options, search_rates
from bench.topology import build, inside

FLANNEL = ("pump=flannel",)
FAST = ("pump=fast",)
BEST = ("pump=fast", "cpu=1")
"""Both pumps on the second CPU, so that they share its cache and wake nobody but each other."""

Measure = Callable[[Path], float]

SUBNETS = 10_000
"""Routes of the large table: 10.64.0.0/24 and those that follow it."""


@dataclass(frozen=True)
class Subject:
    """A scenario with some parameters; subnets: 1 or SUBNETS routes more for the first pump."""

    scenario: str
    overrides: tuple[str, ...] = ()
    subnets: int = 0

    def variant(self) -> Variant:
        [file] = find([self.scenario])
        with tempfile.TemporaryDirectory() as folder:
            if self.subnets:
                file = with_subnets(file, FilePath(folder), self.subnets)
            [variant] = variants([file], self.overrides)
        return variant


def subnets(count: int) -> list[IPv4Network]:
    first = int(IPv4Address("10.64.0.0"))
    return [IPv4Network((first + 256 * number, 24)) for number in range(count)]


def prefixes(count: int) -> list[IPv4Network]:
    """`count` routes to all of them."""
    return subnets(count) if count == SUBNETS else [IPv4Network("10.64.0.0/10")]


def with_subnets(file: FilePath, folder: FilePath, count: int) -> FilePath:
    """flannel-udp with `count` subnets more behind host-b, all of them the server's."""
    more = ", ".join(f'"{prefix}" = "192.0.2.2:8285"' for prefix in prefixes(count))
    text = file.read_text()
    for old, new in (
        (
            '{ "10.244.2.0/24" = "192.0.2.2:8285" }',
            f'{{ "10.244.2.0/24" = "192.0.2.2:8285", {more} }}',
        ),
        (
            "[hosts.host-a]\n",
            '[hosts.host-a]\nroutes = [{ to = "10.64.0.0/10", dev = "flannel0" }]\n',
        ),
        (
            "[hosts.host-b]\n",
            '[hosts.host-b]\nroutes = [{ to = "10.64.0.0/10", via = "10.244.2.2" }]\n',
        ),
    ):
        assert old in text, old
        text = text.replace(old, new)
    changed = folder / file.name
    changed.write_text(text)
    return changed


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
    return loss_free(path)


def spread_rate(path: Path) -> float:
    """The same to an address in each of SUBNETS subnets in turn, all the server's."""
    order = random.Random(1).sample(subnets(SUBNETS), SUBNETS)
    with inside(path.topology.netns(path.server.host)), IPRoute() as ip:
        [loopback] = ip.link_lookup(ifname="lo")
        ip.route("add", dst="10.64.0.0/10", type="local", table=255, scope=254, oif=loopback)
    return loss_free(path, tuple(str(net[1]) for net in order))


def loss_free(path: Path, destinations: tuple[str, ...] = ()) -> float:
    rate = search_rates(path, 64, Options(goals=(0.0,)), destinations).of(0.0).rate
    assert rate is not None, "no rate was free of loss"
    return rate


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
        Subject("flannel-udp", BEST),
        Subject("flannel-udp", FLANNEL),
        10,
        15,
    ),
    "vxlan": Bar(
        "TCP goodput: flannel-udp, fast, against kernel VXLAN",
        goodput,
        Subject("flannel-udp", BEST),
        Subject("vxlan"),
        0.8,
        1.0,
    ),
    "rate": Bar(
        "loss-free 64-byte packet rate, flannel-udp: fast against flannel's loop",
        packet_rate,
        Subject("flannel-udp", BEST),
        Subject("flannel-udp", FLANNEL),
        3,
        5,
    ),
    "spin": Bar(
        "RTT, tun-relay: spinning on a CPU of its own against flannel's loop, blocking",
        rtt,
        Subject("tun-relay", ("pump=flannel", "wait=spin", "cpu=0")),
        Subject("tun-relay", FLANNEL),
        0.7,
        0.5,
        at_least=False,
    ),
    "block": Bar(
        "RTT, flannel-udp: all offloads on, blocking at once, against flannel's loop",
        rtt,
        Subject("flannel-udp", (*FAST, "linger=0")),
        Subject("flannel-udp", FLANNEL),
        1.05,
        0.9,
        at_least=False,
    ),
    "linger": Bar(
        "RTT, flannel-udp: all offloads on, blocking after 50 us, against flannel's loop",
        rtt,
        Subject("flannel-udp", FAST),
        Subject("flannel-udp", FLANNEL),
        1.05,
        0.9,
        at_least=False,
    ),
    "routes": Bar(
        f"loss-free packet rate to {SUBNETS} subnets: a route for each against one for all",
        spread_rate,
        Subject("flannel-udp", BEST, SUBNETS),
        Subject("flannel-udp", BEST, 1),
        0.97,
        0.99,
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
