"""`vnetbench` with a `why` that has few causes, doses and techniques: python small_why.py …"""

import bench.why.design
from bench.cli import main
from bench.why.causes import CAUSES
from bench.why.factors import FACTORS

KEPT = ("copies", "calls")
TECHNIQUE = "readiness"
DOSES = (64,)


def shrink() -> None:
    """Leave out, for this process, what makes a run long."""
    for id_ in CAUSES.keys() - KEPT:
        del CAUSES[id_]
    for id_ in FACTORS.keys() - {TECHNIQUE}:
        del FACTORS[id_]
    bench.why.design.DOSES = DOSES


if __name__ == "__main__":
    shrink()
    main()
