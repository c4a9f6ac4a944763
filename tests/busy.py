"""A program for the tests to kill: it builds, forwards, proves and measures, again and again.

    python busy.py SEED [SCENARIO[NAME=VALUE,...] ...]

Prints a line when the first scenario is about to be built, and another for each that follows.
"""

import random
import sys
from collections.abc import Sequence

from files import NAMES

from bench.forwarders import forwarding
from bench.probes import PROBES, prove
from bench.scenario import Variant, find, variants
from bench.topology import build

SETTINGS = {"processes": 1, "values": 1, "warmups": 1, "seconds": 0.01}


def main(seed: int, names: Sequence[str]) -> None:
    order = random.Random(seed)
    while True:
        for name in order.sample(names, len(names)):
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()
            with build(variant(name).scenario) as topology, forwarding(topology):
                PROBES["rtt"].measure(prove(topology, name), SETTINGS)


def variant(name: str) -> Variant:
    """A shipped scenario, with parameters if any stand in brackets."""
    base, _, parameters = name.removesuffix("]").partition("[")
    [found] = variants(find([base]), parameters.split(",") if parameters else [])
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:] or NAMES)
