"""How long `trend` takes over many result sets: `python tests/bench_trend.py [SETS]`.

The sets are of realistic size: eight scenarios, two arms, two probes and four blocks, with the
offloads of every device in `run.json`. The times are of whole processes, from their start to their
end, with the files in the kernel's cache: one history without a change, and one in which every
cell changes three times. The exit status is 1 where one takes more than the 3 seconds allowed for
1,000 sets.
"""

# ruff: noqa: T201 - printing a table is what this script is for

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec
from histories import after, at, put
from sets import a_run, noisy

from bench.environment import fingerprint

SECONDS, ROUNDS = 3.0, 5
NAMES = ("veth", "bridge", "host-gw", "vxlan", "tun-relay", "tun-udp", "flannel-udp", "tap-bridge")
FLAGS = {f"offload-{number}": number % 2 == 0 for number in range(50)}
DEVICE = {"mtu": 1500, "qdisc": "noqueue", "txqlen": 1000, "offloads": FLAGS}
SYSCTLS = {f"net.ipv4.conf.all.setting_{number}": "0" for number in range(8)}
FACTS = {
    host: {"sysctls": SYSCTLS, "devices": {"eth0": DEVICE, "br0": DEVICE}}
    for host in ("client", "host-a", "host-b", "server")
}


def write(folder: Path, sets: int, changes: int) -> None:
    """A history in which the level goes up and down by a tenth `changes` times."""
    run = a_run(variants=NAMES, environment=msgspec.to_builtins(fingerprint()))
    facts = {"native": FACTS, "parity": FACTS}
    variants = {
        name: msgspec.structs.replace(variant, facts=facts)
        for name, variant in run.variants.items()
    }
    for i in range(sets):
        up = i * (changes + 1) // sets % 2
        value = noisy(i, 0.02, **after(0, tcp_goodput=1 - 0.1 * up, rtt=1 + 0.1 * up)(i))
        here = msgspec.structs.replace(
            run, id=f"{i:032x}", variants=variants, started=at(i), finished=at(i)
        )
        put(folder / f"{i:05}", here, value)


def cpu_time() -> float:
    """Seconds that all ended children have spent."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main(sets: int = 1_000) -> None:
    allowed, slow = SECONDS * sets / 1_000, False
    for changes in (0, 3):
        with tempfile.TemporaryDirectory() as place:
            write(Path(place), sets, changes)
            size = sum(file.stat().st_size for file in Path(place, "00000").iterdir())
            taken, begun = [], cpu_time()
            for _ in range(ROUNDS):
                begin = time.perf_counter()
                command = [sys.executable, "-m", "bench", "trend", place]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                taken.append(time.perf_counter() - begin)
            cpu = (cpu_time() - begun) / ROUNDS
        print(
            f"{sets} sets of {size / 1024:.0f} KiB, {changes} changes of every cell: "
            f"{median(taken):.2f} s ({min(taken):.2f} to {max(taken):.2f}, {ROUNDS} times), "
            f"of them {cpu:.2f} s of CPU time"
        )
        slow |= median(taken) > max(allowed, SECONDS)
    sys.exit(slow)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
