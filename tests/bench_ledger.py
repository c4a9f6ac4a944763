"""Do independent counts agree, run after run? `python tests/bench_ledger.py [RUNS] [NAME...]`.

Takes the ledger of each scenario, small datagrams, and prints which identity checks failed and how
far predicted and observed counts lie apart at the most. Nothing is asserted.
"""

# ruff: noqa: T201 - printing a table is what this script is for

import sys

from bench.forwarders import forwarding
from bench.ledger import Ledger, Load, take
from bench.probes import prove
from bench.scenario import find, load, shipped_scenarios
from bench.topology import build

LOAD = Load(kind="udp", packets=5_000, size=64, rate=5_000)


def taken(name: str) -> Ledger:
    [file] = find([name])
    with build(load(file).scenario) as topology, forwarding(topology) as forwarders:
        return take(prove(topology, name, forwarders), LOAD, overhead=False)


def worst(ledger: Ledger) -> float:
    """The largest relative difference between predicted and observed copies and traversals."""
    return max(
        abs((ledger.per_packet[item] or 0) / ledger.predicted[item] - 1)
        for item in ("copies", "traversals")
    )


def main(runs: int, names: list[str]) -> None:
    for name in names or list(shipped_scenarios()):
        ledgers = [taken(name) for _ in range(runs)]
        checks = [check for ledger in ledgers for check in ledger.checks]
        applied = [check for check in checks if check.agree is not None]
        failed = [check for check in applied if not check.agree]
        print(
            f"{name}: {sum(ledger.sound for ledger in ledgers)} of {runs} sound, "
            f"{len(failed)} of {len(applied)} checks failed; predicted to observed, at worst "
            f"{max(map(worst, ledgers)):.2%}",
            flush=True,
        )
        for check in failed:
            print(f"    {check.what}: {check.left_count} and {check.right_count}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2:])
