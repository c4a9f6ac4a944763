"""Our figures beside other tools': `python tests/bench_agreement.py [ROUNDS] [PATH...]`.

`make bench-agreement`. Goodput beside the iperf3 command, and the round-trip time beside sockperf's
ping-pong, in turns in the same namespaces, on the same CPU where ours is bound to one. The figure
is the median of the ratios of neighbours, which what drifts has in common. The packet rate has its
own benchmark (`bench_rate.py`). Ends with 1 where a bar is missed or so few pairs do not show it.
"""

# ruff: noqa: T201 - printing a table is what this script is for

import math
import random
import re
import shutil
import sys
import time
from collections.abc import Callable
from statistics import median

from bench.errors import CannotMeasure
from bench.forwarders import forwarding
from bench.pingpong import PAYLOAD
from bench.probes import PROBES, Path, prove
from bench.probes.echo import quiet_cpu
from bench.probes.tcp_goodput import COMMAND, TcpTest, measure_with
from bench.process import execute
from bench.scenario import find, load
from bench.stats import median_interval
from bench.topology import build, inside

PATHS = ("veth", "vxlan", "flannel-udp")
PORT, SECONDS, START = 5301, 1, 5.0
Take = Callable[[Path], float]


def ours(probe: str) -> Take:
    """The probe as `make bench` runs it; of several values their median."""

    def take(path: Path) -> float:
        measurement = PROBES[probe].measure(path, PROBES[probe].settings["quick"])
        return median(measurement.samples[probe])

    return take


def iperf3(path: Path) -> float:
    """bit/s that arrive, by the command."""
    quick, scenario = PROBES["tcp_goodput"].settings["quick"], path.topology.scenario
    test = TcpTest(
        quick["warmup"], quick["duration"], scenario.streams, scenario.congestion_control
    )
    return measure_with(COMMAND, path, test).samples["tcp_goodput"][0]


def sockperf(path: Path) -> float:
    """Seconds of the median round trip, both ends on the CPU that our probe takes."""
    cpu, address = str(quiet_cpu()), path.server_address
    bound = ["taskset", "-c", cpu, "sockperf"]
    there = ["-i", address, "-p", str(PORT)]
    client = [*bound, "ping-pong", *there, "-m", str(PAYLOAD), "-t", str(SECONDS), "--full-rtt"]
    ends = [path.topology.netns(host) for host in (path.server.host, path.client.host)]
    with execute("sockperf server", [*bound, "server", *there], netns=ends[0]) as serving:
        wait_for_datagrams(ends[0])
        with execute("sockperf", client, netns=ends[1]) as child:
            if child.wait(SECONDS + 15) != 0 or not serving.alive():
                raise CannotMeasure(f"sockperf: {child.output()[-300:]}")
            said = child.output()
    found = re.search(r"percentile 50\.0+ =\s+([\d.]+)", said)
    if not found:
        raise CannotMeasure(f"sockperf: cannot read what it said: {said[-300:]}")
    return float(found[1]) * 1e-6


def wait_for_datagrams(netns: int) -> None:
    """Wait until the server has its UDP socket."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        with inside(netns), open("/proc/thread-self/net/udp") as file:
            if f":{PORT:04X}" in file.read():
                return
        time.sleep(0.01)
    raise CannotMeasure("sockperf: its server did not begin")


def agree(path: Path, rounds: int, mine: Take, theirs: Take) -> list[float]:
    """Logarithms of our figure by theirs, in turns, the first drawn each time."""
    found = []
    for _ in range(rounds):
        pair = dict.fromkeys(random.sample([mine, theirs], 2), 0.0)
        for take in pair:
            pair[take] = take(path)
        found.append(math.log(pair[mine] / pair[theirs]))
    return found


def verdict(low: float, high: float, bar: float) -> str:
    """What the interval of a ratio says of a bar around 1."""
    if 1 - bar <= low and high <= 1 + bar:
        return "met"
    return "missed" if high < 1 - bar or low > 1 + bar else "not shown"


def main(rounds: int, names: list[str]) -> None:
    tools = {
        "tcp_goodput": ("iperf3", "iperf3", iperf3, 0.02),
        "rtt": ("sockperf", "sockperf ping-pong", sockperf, 0.05),
    }
    said = []
    for name in names:
        [file] = find([name])
        for metric, (program, title, theirs, bar) in tools.items():
            if shutil.which(program) is None:
                print(f"{program} is not installed: {metric} is not held against it")
                continue
            with build(load(file).scenario) as topology, forwarding(topology) as forwarders:
                path = prove(topology, name, forwarders)
                logs = agree(path, rounds, ours(metric), theirs)
            ends = median_interval(logs) or (-math.inf, math.inf)
            low, middle, high = (math.exp(x) for x in (ends[0], median(logs), ends[1]))
            print(
                f"{name}: {metric} is {middle:.3f} [{low:.3f} {high:.3f}] of {title}'s, "
                f"{rounds} pairs; bar within {bar:.0%}: {verdict(low, high, bar)}",
                flush=True,
            )
            said.append(verdict(low, high, bar))
    sys.exit(any(each != "met" for each in said))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2:] or list(PATHS))
