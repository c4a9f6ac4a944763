"""A design as a run: what is asked of the probes, and the design that a run was planned by."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec

from bench import environment
from bench import run as runner
from bench.errors import UsageError
from bench.probes import PROBES
from bench.results import Asked, Run
from bench.topology import Arm
from bench.why.design import MEASURES, Design, design, plan

PROFILE = "why"
"""What such a run has for a profile."""
BLOCKS = 8
"""Of `serial`; a stream takes longer and has three quarters of them."""
_LEDGER = {"kind": "echo", "size": 1400, "seconds": 0.2, "values": 1}


def new_run(
    chosen: Design,
    paths: Sequence[str],
    *,
    measures: Sequence[str] = (),
    arms: Sequence[str] = (),
    blocks: int = BLOCKS,
    seed: int | None = None,
) -> Run:
    """Plan the run of a design; `paths` are the texts that it was made of.

    measures, arms: none means all. seed: of the order of trials; None: a random one.
    """
    measures = tuple(dict.fromkeys(measures)) or tuple(MEASURES)
    asked = Asked(
        scenarios=tuple(paths),
        overrides=(),
        profile=PROFILE,
        settings={
            **{id_: dict(PROBES[id_].settings["quick"]) for id_ in measures},
            "ledger": _LEDGER,
        },
        probes=(*measures, "ledger"),
        arms=tuple(dict.fromkeys(arms)) or tuple(map(str, Arm)),
        blocks=blocks,
        seed=random.SystemRandom().randrange(2**32) if seed is None else seed,
    )
    each = {"ledger": 1, "serial": blocks, "stream": max(1, 3 * blocks // 4)}
    wanted = {probe: count for probe, count in each.items() if probe in asked.probes}
    return Run(
        asked=asked,
        variants=runner.records(chosen.variants),
        environment=msgspec.to_builtins(environment.fingerprint()),
        plan=tuple(plan(chosen, [Arm(arm) for arm in asked.arms], wanted, asked.seed)),
    )


def design_of(run: Run) -> Design:
    """The design that a run was planned by; what it needs must be what it was.

    Raises UsageError where it was not planned by one, or a scenario has changed.
    """
    if run.asked.profile != PROFILE:
        raise UsageError("these results are not of vnetbench why; run it anew")
    slow, fast, *beside = run.asked.scenarios
    chosen = design(slow, fast, beside)
    runner.refuse_changed(run, chosen.variants)
    return chosen
