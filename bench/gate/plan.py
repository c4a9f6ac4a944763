"""What is measured: the same as the baseline, as it is now; and once more, what got worse."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from bench import environment, forwarders, loads
from bench import run as runner
from bench.errors import UsageError
from bench.gate.budget import blocks_within, needed
from bench.probes import PROBES
from bench.results import ResultSet, Run
from bench.scenario import Variant, find, variants

if TYPE_CHECKING:
    from bench.compare import Key

_PROFILES = tuple(runner.BLOCKS)


def measure_again(
    baseline: ResultSet,
    probes: Sequence[str] = (),
    *,
    seed: int,
    budget: float | None = None,
) -> tuple[dict[str, Variant], Run]:
    """The run that measures now what `baseline` measured, and its variants by name.

    probes: only these of the baseline's. budget: seconds that it and a second look may take; it has
    fewer blocks then. Raises UsageError where this vnetbench cannot measure the same, or so few
    blocks that they could show nothing.
    """
    asked = baseline.run.asked
    if not baseline.finished:
        raise UsageError(f"{baseline.path}: its run has not finished; resume it, or take another")
    if asked.profile not in _PROFILES:
        raise UsageError(
            f"{baseline.path}: is of vnetbench {asked.profile}; a gate measures again what "
            "vnetbench run has measured"
        )
    if unknown := [probe for probe in asked.probes if probe not in PROBES]:
        raise UsageError(
            f"{baseline.path}: {', '.join(unknown)}: not a probe of this vnetbench; measure a new "
            "baseline"
        )
    if absent := [probe for probe in probes if probe not in asked.probes]:
        raise UsageError(
            f"{baseline.path}: has no probe {', '.join(absent)}; it has {', '.join(asked.probes)}"
        )
    chosen = _variants(baseline)
    wanted = [probe for probe in asked.probes if not probes or probe in probes]
    settings = {probe: asked.settings[probe] for probe in wanted}
    planned = dict.fromkeys((t.variant, t.arm, t.probe) for t in baseline.run.plan)
    cells = [key for key in planned if key[2] in wanted]
    blocks, least = asked.blocks, needed(baseline, wanted)
    if budget is not None:
        block = runner.estimate_seconds(runner.plan_cells(cells, 1, seed), settings)
        blocks = blocks_within(budget, block, least, blocks)
    run = Run(
        asked=msgspec.structs.replace(
            asked, probes=tuple(wanted), settings=settings, blocks=blocks, seed=seed
        ),
        variants=runner.records(chosen),
        environment=msgspec.to_builtins(environment.fingerprint()),
        plan=tuple(runner.plan_cells(cells, blocks, seed)),
    )
    # A delay is another one at another load: the baseline's own is taken, not searched anew.
    return chosen, loads.go_by(run, baseline.run)


def confirmation(run: Run, keys: Collection[Key], seed: int, blocks: int | None = None) -> Run:
    """The run that measures a part of `run` once more, in another order.

    blocks: how many, where its time is limited; else as many as `run` asked for.
    """
    blocks = run.asked.blocks if blocks is None else blocks
    cells = [
        key for key in dict.fromkeys((t.variant, t.arm, t.probe) for t in run.plan) if key in keys
    ]
    return Run(
        purpose="second look",
        asked=msgspec.structs.replace(run.asked, seed=seed, blocks=blocks),
        variants={
            name: msgspec.structs.replace(record, facts={})
            for name, record in run.variants.items()
            if any(name == variant for variant, _, _ in cells)
        },
        environment=run.environment,
        plan=tuple(runner.plan_cells(cells, blocks, seed)),
    )


def _variants(baseline: ResultSet) -> dict[str, Variant]:
    """The variants of the baseline as their files say now."""
    asked = baseline.run.asked
    found = {v.name: v for v in variants(find(asked.scenarios), asked.overrides)}
    for name in baseline.run.variants:
        if name not in found:
            raise UsageError(
                f"{baseline.path}: there is no {name} any more; measure a new baseline"
            )
        forwarders.check(found[name])
    return {name: found[name] for name in baseline.run.variants}
