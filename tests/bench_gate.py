"""How often the gate errs: false alarms and power by simulation, as the table of docs/trust.md.

Blocks scatter by 14 % and whole sessions by 5 %, in every cell by itself, as real ones do.
"""

import argparse
import sys

from imagined import Machine, a_gated_run
from test_gate_errors import PATHS, fails

SLOWER = (1.0, 1.05, 1.2, 1.3, 1.4, 1.5, 1.75, 2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, nargs="*", default=[4, 6, 10])
    parser.add_argument("--gates", type=int, default=100, help="of each; 10 times for no change")
    parser.add_argument("--paths", type=int, default=len(PATHS), help="4 cells each")
    asked = parser.parse_args()
    for blocks in asked.blocks:
        run = a_gated_run(PATHS[: asked.paths], blocks)
        for slower in SLOWER:
            gates = asked.gates * (10 if slower == 1 else 1)
            machine = Machine(blocks)
            failed = sum(fails(machine, run, slower) for _ in range(gates))
            sys.stdout.write(
                f"{blocks:3} blocks, {slower - 1:4.0%} slower: {failed} of {gates} gates fail\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
