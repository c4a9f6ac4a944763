"""`vnetbench` with a `why` that has few causes, doses and techniques: python small_why.py …"""

from dataclasses import replace

import bench.why.design
from bench.cli import main
from bench.why.causes import CAUSES
from bench.why.factors import FACTORS

KEPT = ("copies", "calls")
STEP = 64
"""Null calls of a dose's step, so many that a short run on a busy machine sees their price."""
TECHNIQUE = "readiness"
DOSES = (4,)


def shrink() -> None:
    """Leave out, for this process, what makes a run long."""
    for id_ in CAUSES.keys() - KEPT:
        del CAUSES[id_]
    instrument = replace(CAUSES["calls"].instrument, step=STEP)
    CAUSES["calls"] = replace(CAUSES["calls"], instrument=instrument)
    for id_ in FACTORS.keys() - {TECHNIQUE}:
        del FACTORS[id_]
    bench.why.design.DOSES = DOSES


if __name__ == "__main__":
    shrink()
    main()
