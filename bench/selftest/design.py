"""What a self-test measures: a path, the same path again, and the path with a handicap.

The handicap is some null system calls of every pump for each packet. How many make a slowdown of
so much differs from metric to metric and from machine to machine, so it is found out first.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import msgspec

from bench import environment, forwarders
from bench import run as runner
from bench.ab.model import PROBE_SETTINGS
from bench.ab.variants import again, plan
from bench.errors import CannotMeasure, UsageError
from bench.metrics import worse_by
from bench.probes import PROBES
from bench.quality.rule import REPEATS
from bench.results import Asked, ResultSet, Run
from bench.scenario import Variant
from bench.selftest.model import PLANTED, PROFILE
from bench.why.design import more, variant_of

ARM = "native"
HANDICAP = "null_calls"
CALIBRATION_BLOCKS, _DOSE = 8, 240
"""The dose is one that changes times by half or more, well above what blocks scatter by: what is
planted is a small part of it, so that its error is a small part, too."""


def path_of(text: str) -> Variant:
    """The path under test. Raises UsageError where no pump is on it that could be handicapped."""
    variant = variant_of(text)
    if not variant.scenario.forwarders:
        raise UsageError(f"{text}: has no pump, so nothing can be planted in it; name another")
    forwarders.check(variant)
    return variant


def handicapped(path: Variant, calls: int) -> Variant:
    """The path with so many more null system calls of every pump for each packet."""
    return more(path, {HANDICAP: calls})


def calibration(path: Variant, probes: Sequence[str], seed: int) -> tuple[Run, dict[str, Variant]]:
    """A short run of the path without and with a large handicap."""
    chosen = {v.name: v for v in (path, handicapped(path, _DOSE))}
    cells = [(tuple(chosen), ARM, probe) for probe in probes]
    run = _run(path, chosen, cells, CALIBRATION_BLOCKS, seed)
    return msgspec.structs.replace(run, purpose="calibration"), chosen


def calls_for(results: ResultSet, probes: Sequence[str]) -> dict[str, int]:
    """For each probe, how many null calls make its time longer by PLANTED. Raises CannotMeasure."""
    bare, dosed = results.run.variants
    cells = results.series()
    found = {}
    for probe in probes:
        changes = [
            worse_by(
                cell.metric, cells[cell._replace(variant=bare)].blocks[block], series.blocks[block]
            )
            for cell, series in cells.items()
            if cell.variant == dosed and series.probe == probe
            for block in series.blocks
            if block in cells[cell._replace(variant=bare)].blocks
        ]
        if not changes or (change := math.expm1(statistics.median(changes))) < 2 * PLANTED:
            raise CannotMeasure(
                f"{probe}: {_DOSE} null system calls change it too little to plant anything"
            )
        found[probe] = max(1, round(PLANTED / change * _DOSE))
    return found


def main_run(
    path: Variant, calls: Mapping[str, int], seconds: float, seed: int
) -> tuple[Run, dict[str, Variant]]:
    """The path, the same again, and each probe's own handicap, in every block.

    As many blocks are planned as could be done in so many `seconds`.
    """
    same = again(path)
    planted = {probe: handicapped(path, calls[probe]) for probe in calls}
    chosen = {v.name: v for v in (path, same, *planted.values())}
    cells = [((path.name, same.name, planted[probe].name), ARM, probe) for probe in calls]
    durations = [PROBES[id_].duration(PROBES[id_].settings[PROBE_SETTINGS]) for id_ in calls]
    blocks = 1 + math.ceil(seconds / (3 * sum(durations)))
    return _run(path, chosen, cells, blocks, seed), chosen


def _run(
    path: Variant,
    chosen: Mapping[str, Variant],
    cells: Sequence[tuple[tuple[str, ...], str, str]],
    blocks: int,
    seed: int,
) -> Run:
    probes = tuple(probe for _, _, probe in cells)
    return Run(
        asked=Asked(
            scenarios=(path.name,),
            overrides=(),
            profile=PROFILE,
            settings={id_: dict(PROBES[id_].settings[PROBE_SETTINGS]) for id_ in probes},
            probes=probes,
            arms=(ARM,),
            blocks=blocks,
            seed=seed,
            repeats=REPEATS,
            one_for_all=True,
        ),
        variants=runner.records(chosen),
        environment=msgspec.to_builtins(environment.fingerprint()),
        plan=tuple(plan(cells, blocks, seed)),
    )
