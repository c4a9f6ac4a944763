"""What each switch of the pump gives: `python tests/bench_switches.py [ROUNDS]`.

On `flannel-udp`, native arm: flannel's loop, then one switch after the other added to it, then
those that stand beside them. Each row is measured once a round, in turns; medians. Printed as a
table in Markdown, which docs/pump.md keeps.
"""

# ruff: noqa: T201 - printing a table is what this script is for

import sys
from statistics import median

from bench_pump import Measure, Subject, goodput, once, packet_rate, rtt

OFFLOAD = ("trust=anyone", "readiness=on", "batch=16", "tun_offload=on", "udp_offload=on")
BUFFERS = (*OFFLOAD, "buffer=4194304", "queue_length=5000")
ALL = (*BUFFERS, "linger=50", "scheduler=batch")
ROWS: dict[str, tuple[str, ...]] = {
    "flannel's loop": ("trust=anyone",),
    "+ `readiness=on`": OFFLOAD[:2],
    "+ `batch=16`": OFFLOAD[:3],
    "+ `tun_offload=on`": OFFLOAD[:4],
    "+ `udp_offload=on`": OFFLOAD,
    "+ `buffer=4194304`": BUFFERS[:-1],
    "+ `queue_length=5000`": BUFFERS,
    "+ `linger=50`": ALL[:-1],
    "+ `scheduler=batch`": ALL,
    "+ `trust=sources` (`pump=fast`)": (*ALL[1:], "trust=sources"),
    "`pump=fast,cpu=1`": ("pump=fast", "cpu=1"),
    "`pump=fast,io=uring`": ("pump=fast", "io=uring"),
    "`pump=fast,wait=spin,linger=0`": ("pump=fast", "wait=spin", "linger=0"),
    "`pump=fast,wait=busy`": ("pump=fast", "wait=busy"),
    "`pump=fast,queues=2`": ("pump=fast", "queues=2"),
    "`udp_offload=on` alone": ("trust=anyone", "udp_offload=on"),
    "`tun_offload=on` alone": ("trust=anyone", "tun_offload=on"),
    "`buffer=4194304` alone": ("trust=anyone", "buffer=4194304"),
}
MEASURES: dict[str, tuple[Measure, float, str]] = {
    "TCP goodput": (goodput, 1e-9, "Gbit/s"),
    "loss-free packet rate": (packet_rate, 1e-3, "k/s"),
    "RTT": (rtt, 1e6, "µs"),
}


def main(rounds: int) -> None:
    values: dict[tuple[str, str], list[float]] = {}
    for turn in range(rounds):
        rows = list(ROWS.items())
        for row, overrides in rows if turn % 2 else rows[::-1]:
            for name, (measure, _, _) in MEASURES.items():
                value = once(Subject("flannel-udp", overrides), measure)
                values.setdefault((row, name), []).append(value)
                print(f"{turn + 1}/{rounds} {row}: {name} {value:.4g}", file=sys.stderr)
    print(f"| switches | {' | '.join(MEASURES)} |")
    print(f"|---|{'---:|' * len(MEASURES)}")
    for row in ROWS:
        cells = (
            f"{median(values[row, name]) * scale:.3g} {unit}"
            for name, (_, scale, unit) in MEASURES.items()
        )
        print(f"| {row} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
