"""The packet rate's bars: `python tests/bench_rate.py [ROUNDS] [PATH]` (`make bench-rate`).

How long a search takes and how far ROUNDS of them lie apart; then, one after the other in turns on
the same namespaces, our generator against iperf3 -u at full speed, and our loss-free rate against
the highest rate that iperf3 and sockperf (where they are installed) are seen to carry without loss.
Each figure has its bar beside it; ends with 1 where one is missed.
"""

# ruff: noqa: T201 - printing a table is what this script is for

import json
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from statistics import mean, median, stdev

from bench.errors import CannotMeasure
from bench.forwarders import forwarding
from bench.ledger import snmp
from bench.ledger.observers import minus
from bench.probes import PROBES, prove
from bench.probes.base import Path, wait_for_listener
from bench.process import Child, execute
from bench.scenario import find, load
from bench.search import Options, SearchResult, search_rates
from bench.search.tester import ready_for_trials
from bench.topology import build

SIZE = 64
PORT = 5201
SECONDS = 1
STEP, TRIES = 0.9, 12
"""From one rate that a tool tries to the next lower one, and how many."""
FLOOD = 20e6

LONGEST, SPREAD = 40.0, 0.03
"""Bars of a standard search: its seconds, and the standard deviation of their rates."""
TIMES_IPERF3 = 5
"""Bar of the generator: how many times what iperf3 gets through with the same payload."""


def options(profile: str) -> Options:
    return Options(**PROBES[f"packet_rate_{SIZE}"].settings[profile])


def searches(name: str, rounds: int, profile: str) -> bool:
    """How long searches take, and how much their answers differ: whether within the bars."""
    [file] = find([name])
    scenario = load(file).scenario
    seconds: list[float] = []
    results: list[SearchResult] = []
    for turn in range(rounds):
        with build(scenario) as topology, forwarding(topology) as forwarders:
            path = prove(topology, name, forwarders)
            begin = time.monotonic()
            results.append(search_rates(path, SIZE, options(profile)))
            seconds.append(time.monotonic() - begin)
        print(
            f"{turn + 1}/{rounds} {seconds[-1]:.1f} s, {len(results[-1].trials)} trials: "
            + ", ".join(
                f"{found.rate or 0:.0f} ({found.limited_by})" for found in results[-1].found
            )
            + "".join(f"; {warning}" for warning in results[-1].warnings()),
            file=sys.stderr,
        )
    print(
        f"{name}, {profile}: {rounds} searches of {median(seconds):.1f} s, "
        f"at most {max(seconds):.1f} s; bar {LONGEST:.0f} s"
    )
    within = max(seconds) < LONGEST
    for goal in results[0].options.goals:
        rates = [rate for result in results if (rate := result.of(goal).rate)]
        if len(rates) > 1:
            spread = stdev(rates) / mean(rates)
            within &= spread <= SPREAD
            print(
                f"    loss goal {goal:.1%}: {mean(rates):.0f} packet/s, "
                f"sd {spread:.1%} of {len(rates)}; bar {SPREAD:.0%}"
            )
    return within


# ---- others ---------------------------------------------------------------------------------


def iperf3(path: Path, rate: float) -> tuple[float, float]:
    """Datagrams a second of iperf3 when asked for `rate` (0: all it can), and the share lost."""
    address, bits = path.server_address, int(rate * SIZE * 8)
    server = ["iperf3", "-s", "-1", "-p", str(PORT)]
    client = ["iperf3", "-c", address, "-p", str(PORT), "-u", "-l", str(SIZE), "-t", str(SECONDS)]
    with _running(path, path.server.host, server) as serving:
        wait_for_listener(path.topology.netns(path.server.host), serving, PORT, 5)
        command = [*client, "-b", str(bits), "-J"]
        with _running(path, path.client.host, command) as sending:
            if sending.wait(SECONDS + 15) != 0:
                raise CannotMeasure(f"iperf3: {sending.output()[-300:]}")
            report = json.loads(sending.output())["end"]["sum"]
    return report["packets"] / report["seconds"], report["lost_packets"] / max(1, report["packets"])


def sockperf(path: Path, rate: float) -> tuple[float, float]:
    """The same of sockperf's one-way throughput test, counted by the UDP layers of both ends."""
    address = path.server_address
    server = ["sockperf", "server", "-i", address, "-p", str(PORT)]
    client = ["sockperf", "throughput", "-i", address, "-p", str(PORT), "-m", str(SIZE)]
    mps = "max" if rate == 0 else str(int(rate))
    with _running(path, path.server.host, server) as serving:
        time.sleep(0.3)
        before = snmp.read_all(path.topology)
        with _running(path, path.client.host, [*client, "-t", str(SECONDS), "--mps", mps]) as child:
            if child.wait(SECONDS + 15) != 0 or not serving.alive():
                raise CannotMeasure(f"sockperf: {child.output()[-300:]}")
            said = child.output()
        time.sleep(0.1)
        counted = minus(snmp.read_all(path.topology), before)
    found = re.search(r"Message Rate is (\d+)", said)
    if not found:
        raise CannotMeasure(f"sockperf: cannot read what it said: {said[-200:]}")
    sent = counted[path.client.host]["Udp.OutDatagrams"]
    taken = counted[path.server.host]["Udp.InDatagrams"]
    return float(found[1]), max(0, sent - taken) / sent


def _running(path: Path, host: str, command: list[str]) -> AbstractContextManager[Child]:
    return execute(f"{host}: {command[0]}", command, netns=path.topology.netns(host))


Tool = Callable[[Path, float], tuple[float, float]]
TOOLS: dict[str, Tool] = {"iperf3": iperf3, "sockperf": sockperf}


def loss_free(tool: Tool, path: Path) -> float:
    """The highest rate of a tool of which nothing was lost, from its own maximum downwards.

    0: it lost something at each of them.
    """
    rate, lost = tool(path, 0)
    for _ in range(TRIES):
        if not lost:
            return rate
        rate, lost = tool(path, rate * STEP)
    return rate if not lost else 0.0


def agree(name: str, rounds: int) -> bool:
    """Ours and theirs, in turns, in the same namespaces: whether ours are as far ahead as asked."""
    [file] = find([name])
    tools = {tool: run for tool, run in TOOLS.items() if shutil.which(tool)}
    for tool in TOOLS.keys() - tools.keys():
        print(f"{tool} is not installed: left out")
    floods: dict[str, list[float]] = {"ours": [], **{tool: [] for tool in tools}}
    rates: dict[str, list[float]] = {"ours": [], **{tool: [] for tool in tools}}
    with build(load(file).scenario) as topology, forwarding(topology) as forwarders:
        path = prove(topology, name, forwarders)
        for _ in range(rounds):
            with ready_for_trials(path, SIZE, options("quick")) as tester:
                flood = tester.run(FLOOD, SECONDS)
                floods["ours"].append(flood.received / SECONDS)
            found = search_rates(path, SIZE, options("quick")).of(0.0)
            rates["ours"].append(found.rate or 0)
            for tool, run in tools.items():
                try:
                    sent, lost = run(path, 0)
                    floods[tool].append(sent * (1 - lost))
                    rates[tool].append(loss_free(run, path))
                except CannotMeasure as error:
                    print(error)
    # The bar of the generator is that of the fastest path, on which it is what limits.
    least = {"iperf3": TIMES_IPERF3} if name == "veth" else {}
    ahead = [
        _ahead(f"{name}, at full speed, arrived", floods, least),
        _ahead(f"{name}, without loss", rates, dict.fromkeys(tools, 1)),
    ]
    return all(ahead)


def _ahead(what: str, values: dict[str, list[float]], least: dict[str, int]) -> bool:
    """Print medians and their ratios: whether ours is at least so many times theirs."""
    ours = median(values["ours"])
    print(f"{what}: ours {ours:.0f} packet/s")
    within = True
    for tool in values.keys() - {"ours"}:
        if not values[tool]:
            continue
        theirs = median(values[tool])
        times = ours / theirs if theirs else math.inf
        bar = f"; bar {least[tool]}x" if tool in least else ""
        within &= times >= least.get(tool, 0)
        print(f"    {tool} {theirs:.0f} packet/s: ours is {times:.2f}x{bar}", flush=True)
    return within


def main(rounds: int, name: str) -> None:
    print(f"{os.cpu_count()} CPUs")
    searches(name, rounds, "quick")  # whose bounds are wider than the bar
    within = [searches(name, rounds, "standard"), agree(name, max(1, rounds // 4))]
    sys.exit(not all(within))


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2] if len(sys.argv) > 2 else "veth"
    )
