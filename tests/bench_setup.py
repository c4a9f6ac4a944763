"""How long scenarios take to stand up and to go away: `python tests/bench_setup.py [ROUNDS]`.

The shipped scenarios, then stars of 2 to 64 hosts on one bridge. Setting up ends when every
forwarder is ready; tearing down, when the forwarders have ended and our descriptors are closed:
the kernel removes what is left in the background. All in milliseconds, medians over the rounds,
which are interleaved.
"""

# ruff: noqa: T201 - printing a table is what this script is for

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from files import NAMES, load_text, shipped, star

from bench.forwarders import forwarding
from bench.scenario import Variant
from bench.topology import build

STARS = (2, 4, 8, 16, 32, 64)


def once(variant: Variant) -> tuple[float, float]:
    """Seconds of one set-up and one tear-down."""
    with ExitStack() as stack:
        begin = time.perf_counter()
        topology = stack.enter_context(build(variant.scenario))
        stack.enter_context(forwarding(topology))
        up = time.perf_counter()
    return up - begin, time.perf_counter() - up


def main(rounds: int = 15) -> None:
    with tempfile.TemporaryDirectory() as folder:
        subjects = {name: shipped(name) for name in NAMES}
        for hosts in STARS:
            place = Path(folder, str(hosts))
            place.mkdir()
            subjects[f"star of {hosts}"] = load_text(star(hosts), place)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name, variant in subjects.items():
            result = once(variant)
            if number:  # the first round warms up
                taken[name].append(result)
    print(f"{'scenario':14} {'up':>8} {'down':>8} {'both':>8}  ms, median of {rounds}")
    for name, results in taken.items():
        up, down = (median(column) for column in zip(*results, strict=True))
        both = median(map(sum, results))
        print(f"{name:14} {up * 1e3:8.1f} {down * 1e3:8.1f} {both * 1e3:8.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
