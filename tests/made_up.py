"""Results of `why` that were never measured: prices that are known, any counts, any drift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from bench.probes import PROBES
from bench.probes.priced import Priced
from bench.results import Failure, PlannedTrial, ResultSet, Sample
from bench.results.model import Completed
from bench.topology import Arm
from bench.why.causes import CAUSES, DOSES
from bench.why.design import Design, design, plan
from bench.why.experiment import new_run
from bench.why.model import Estimate, Gap, Share

US = 1e-6
PRICES = {
    "copies": 0.1 * US / 1400,
    "cold_copies": 0.4 * US / 1400,
    "calls": 0.2 * US,
    "polling": 0.3 * US,
    "switches": 0.7 * US,
    "wakeups": 1.1 * US,
    "traversals": 0.9 * US,
    "sockets": 0.5 * US,
    "devices": 1.3 * US,
}
FLANNEL = {
    "copies": 8400.0,
    "calls": 6.0,
    "polling": 5.0,
    "switches": 4.0,
    "wakeups": 3.0,
    "traversals": 6.0,
    "sockets": 2.0,
    "devices": 2.0,
}
KERNEL = {"copies": 2800.0, "switches": 1.0, "wakeups": 1.0, "traversals": 6.0}
"""What a packet has of each cause on flannel's path, and on one without a pump."""
MADE: Mapping[str, Mapping[str, float]] = {
    "copies": {"copies": 12 * 2800},
    "cold_copies": {"cold_copies": 4 * 2800},
    "calls": {"calls": 8},
    "polling": {"polling": 8},
    "switches": {"switches": 4, "polling": 4, "calls": -1},
    "wakeups": {"wakeups": 4, "switches": 4, "polling": 12},
    "traversals": {"traversals": 2, "switches": 0.1},
    "sockets": {"sockets": 4, "calls": 4, "copies": 5600, "traversals": 4},
    "devices": {"devices": 4, "sockets": 4, "calls": 8, "copies": 11200, "traversals": 8},
}
"""What the first dose of each instrument makes more of, in both pumps together."""
SAVED = {"readiness": 5.0, "batch": 0.0, "segmentation": 1.0, "waking": 2.0}
"""How many calls in vain each technique does without."""


def flannel_and_vxlan() -> Design:
    return design("flannel-udp", "vxlan", ["host-gw"])


def counts_of(chosen: Design) -> dict[str, dict[str, float]]:
    """Counts of every variant: paths with a pump alike, those without alike."""
    found = {name: _path(name) for name in chosen.variants}
    for cause, doses in chosen.doses.items():
        for k, name in zip((0, *DOSES), (doses.base, *doses.given), strict=True):
            made = {other: k * more for other, more in MADE[cause].items()}
            found[name] = _sum(_path(name), made)
    for name in chosen.doses["switches"].given:  # whose base is the first dose of hand-offs
        found[name] = _sum(found[name], MADE["wakeups"])
    for ids, name in chosen.ablations.items():
        found[name] = _sum(_path(name), {"polling": -sum(SAVED[id_] for id_ in ids)})
    return found


def _path(name: str) -> dict[str, float]:
    return dict.fromkeys(CAUSES, 0.0) | (KERNEL if name in ("vxlan", "host-gw") else FLANNEL)


def _sum(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {cause: one[cause] + other.get(cause, 0.0) for cause in CAUSES}


def time_of(counts: Mapping[str, float], rest: float = 2 * US) -> float:
    return rest + sum(PRICES[cause] * count for cause, count in counts.items())


@dataclass(frozen=True)
class World:
    """What made-up trials give.

    offset: seconds that a variant takes beside all causes. factor: of a trial's time.
    lost: trials that fail; lacking: a probe that the machine has not.
    """

    offset: Mapping[str, float] = field(default_factory=dict)
    factor: Callable[[PlannedTrial], float] = lambda _: 1.0
    lost: Callable[[PlannedTrial], bool] = lambda _: False
    lacking: str = ""


def results_of(
    chosen: Design,
    folder: Path,
    world: World | None = None,
    *,
    blocks: int = 4,
    arms: Iterable[str] = ("native",),
    measures: Iterable[str] = ("serial",),
) -> ResultSet:
    """A complete run of a design, in a world."""
    world, measures, arms = world or World(), tuple(measures), tuple(arms)
    paths = (chosen.slow, chosen.fast, *chosen.others)
    run = new_run(chosen, paths, measures=measures, arms=arms, blocks=blocks, seed=1)
    trials = plan(chosen, [Arm(arm) for arm in arms], dict.fromkeys(measures, blocks), seed=1)
    counts, samples, completed, failures = counts_of(chosen), [], [], []
    for trial in trials:
        variant, probe = trial.variant, PROBES[trial.probe]
        missing = trial.probe == world.lacking
        if missing or world.lost(trial):
            where = (trial.trial, trial.block, variant, trial.arm, trial.probe)
            failures.append(Failure(*where, reason="made up", missing=missing))
            continue
        time = time_of(counts[variant]) + world.offset.get(variant, 0.0)
        row = (trial.block, trial.trial, time * world.factor(trial))
        samples.append(Sample("made-up", variant, trial.arm, probe.metrics[0], "s", *row))
        completed.append(Completed(trial.trial, "2026-01-01T00:00:00Z"))
        (folder / trial.probe).mkdir(exist_ok=True)
        kept = msgspec.json.encode(Priced(1000, counts[variant]))
        (folder / trial.probe / f"{trial.trial}.json").write_bytes(kept)
    run = msgspec.structs.replace(
        run,
        status="complete",
        plan=tuple(trials),
        completed=tuple(completed),
        failures=tuple(failures),
    )
    return ResultSet(folder, run, tuple(samples), torn=False)


def without(chosen: Design, *names: str) -> Design:
    """A design whose variants are these no longer, as if they could not be had."""
    kept = {name: variant for name, variant in chosen.variants.items() if name not in names}
    return replace(chosen, variants=kept)


def about(value: float, half: float = 0.1) -> Estimate:
    """An estimate whose interval is `half` of it to each side."""
    low, high = sorted((value * (1 - half), value * (1 + half)))
    return Estimate(value, low, high)


def a_share(cause: str, share: Estimate, slow: float = 6.0, fast: float = 0.0) -> Share:
    """Of a gap of 10 µs."""
    ends = [None if end is None else end * 10 * US for end in (share.low, share.high)]
    return Share(
        cause=cause,
        title=CAUSES[cause].title,
        slow=slow,
        fast=fast,
        seconds=Estimate(share.value * 10 * US, *ends),
        share=share,
    )


def a_gap(*shares: Share, arm: str = "native", gap: Estimate | None = None) -> Gap:
    """From vxlan, 20 µs, to flannel-udp, 10 µs more; a tenth of it is not explained."""
    return Gap(
        measure="serial",
        arm=arm,
        slow="flannel-udp",
        fast="vxlan",
        blocks=8,
        slow_time=about(30 * US),
        fast_time=about(20 * US),
        gap=gap or about(10 * US),
        ratio=about(1.5),
        shares=list(shares),
        residual=about(1 * US),
        residual_share=about(0.1),
    )
