"""From a measured design to the answer: prices, gaps cause by cause, and what ablation says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from statistics import NormalDist

import numpy as np

from bench.errors import UsageError
from bench.probes import PROBES
from bench.results import ResultSet
from bench.topology import Arm
from bench.why.causes import CAUSES
from bench.why.design import MEASURES, Design
from bench.why.factors import FACTORS
from bench.why.model import (
    Ablation,
    Answer,
    Bridge,
    Effect,
    Estimate,
    Gap,
    Interaction,
    Price,
    Share,
)
from bench.why.observed import Observed, observed
from bench.why.prices import Mean, Prices, predicted, prices, shares
from bench.why.shapley import interaction, shapley

_FEWEST_BLOCKS = 4
"""Blocks below which a bootstrap of them says nothing."""

Means = Mapping[str, Mean]
Values = dict[tuple[str, ...], float]
"""Everything that is estimated, by what it is; one such dictionary for each resample."""


def answer(results: ResultSet, design: Design) -> Answer:
    """Work out the answer from what was measured. Raises UsageError where that is too little."""
    gaps, ablations, notes = [], [], list(design.notes)
    priced: dict[str, list[Price]] = {}
    streams: dict[str, Observed] = {}
    for measure, arm in itertools.product(MEASURES, results.run.asked.arms):
        if measure not in results.run.asked.probes:
            continue
        seen = observed(results, measure, PROBES[measure].metrics[0], arm)
        if seen is None:
            notes.append(f"{measure}, {arm}: no block has all that was to be measured")
            continue
        if measure == "stream":
            streams[arm] = seen
        estimates = _estimate(seen, partial(_values, design=design, every=measure != "serial"))
        priced[f"{measure},{arm}"] = _prices(estimates)
        notes += [f"{measure}, {arm}: {text}" for text in _missing(seen, design, arm, estimates)]
        means = seen.means()
        for fast in (design.fast, *design.others):
            if fast in means and design.slow in means:
                gaps.append(_gap(estimates, means, (measure, arm), design.slow, fast, seen))
        if design.ablated:
            ablations.append(_ablation(estimates, measure, arm, design))
    if not gaps:
        raise UsageError(
            f"{results.path}: no block has all that was to be measured; go on with the run, or see "
            "run.json for what went wrong"
        )
    return Answer(
        results=str(results.path),
        slow=design.slow,
        fast=design.fast,
        others=list(design.others),
        prices=priced,
        gaps=gaps,
        ablations=[found for found in ablations if found is not None],
        bridges=_bridges(streams, design),
        unsound=[
            f"{failure.variant}, {failure.arm}: {failure.reason}"
            for failure in results.run.failures
            if failure.probe == "ledger" and not failure.missing
        ],
        notes=notes,
    )


# ---- everything that is estimated, of one (re)sample ---------------------------------------------


def _values(means: Means, design: Design, every: bool) -> Values:
    found: Values = {("time", name): mean.time for name, mean in means.items()}
    known = prices(means, design.doses, every=every)
    found |= {("price", cause): price for cause, price in known.items()}
    if design.slow in means:
        for fast in (design.fast, *design.others):
            if fast in means:
                found |= _gap_values(means, design.slow, fast, known)
    found |= _ablation_values(means, design, known)
    return found


def _gap_values(means: Means, slow: str, fast: str, known: Prices) -> Values:
    gap = means[slow].time - means[fast].time
    parts = shares(means[slow], means[fast], known)
    residual = gap - sum(parts.values())
    found: Values = {
        ("gap", fast): gap,
        ("ratio", fast): means[slow].time / means[fast].time,
        ("residual", fast): residual,
        ("residual share", fast): _share(residual, gap),
    }
    for cause, seconds in parts.items():
        found["seconds", fast, cause] = seconds
        found["share", fast, cause] = _share(seconds, gap)
    return found


def _share(part: float, whole: float) -> float:
    """Of no gap at all nothing has a share."""
    return part / whole if whole else 0.0


def _ablation_values(means: Means, design: Design, known: Prices) -> Values:
    """Savings, so less time is more; Shapley of the measured times and of the predicted ones."""
    cells = {chosen: means[name] for chosen, name in design.ablations.items() if name in means}
    ids = [id_ for id_ in FACTORS if any(id_ in chosen for chosen in cells)]
    subsets = {frozenset(c) for n in range(len(ids) + 1) for c in itertools.combinations(ids, n)}
    if not ids or not subsets <= cells.keys():
        return {}
    saved = {chosen: -cells[chosen].time for chosen in subsets}
    expected = {chosen: -predicted(cells[chosen], known) for chosen in subsets}
    every = frozenset(ids)
    found: Values = {("best",): cells[every].time}
    by_time, by_price = shapley(saved, ids), shapley(expected, ids)
    for id_ in ids:
        found["saved", id_] = by_time[id_]
        found["predicted", id_] = by_price[id_]
        found["difference", id_] = by_time[id_] - by_price[id_]
        found["alone", id_] = saved[frozenset({id_})] - saved[frozenset()]
        found["last", id_] = saved[every] - saved[every - {id_}]
    for a, b in itertools.combinations(ids, 2):
        found["interaction", a, b] = interaction(saved, a, b)
    return found


def _estimate(seen: Observed, values: Callable[[Means], Values]) -> dict[tuple[str, ...], Estimate]:
    """Each value over all blocks, with the interval that its resamples give."""
    whole = values(seen.means())
    if len(seen.blocks) < _FEWEST_BLOCKS:
        return {key: Estimate(value) for key, value in whole.items()}
    drawn = [values(seen.means(chosen)) for chosen in seen.resamples()]
    # What some resample cannot tell (a dose that made nothing in its blocks) is left out of it.
    tail = _tail(len(seen.blocks))
    return {
        key: _interval(value, [d[key] for d in drawn if key in d], tail)
        for key, value in whole.items()
    }


def _tail(blocks: int) -> float:
    """The share of the resamples to cut off at each end for an interval of 95 %.

    Not 2.5 %: few blocks vary less among themselves than they should, and their spread is known
    badly. Both are made up for as Student's t does it (T. Hesterberg's expanded percentiles, 2014).
    """
    z, f = NormalDist().inv_cdf(0.975), blocks - 1
    student = z + (z**3 + z) / (4 * f) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * f**2)
    return NormalDist().cdf(-student * math.sqrt(blocks / f))


def _interval(value: float, drawn: list[float], tail: float) -> Estimate:
    low, high = np.percentile(drawn or [value], [100 * tail, 100 * (1 - tail)])
    return Estimate(value, float(min(low, value)), float(max(high, value)))


# ---- from values to the answer's parts ----------------------------------------------------------

Estimates = Mapping[tuple[str, ...], Estimate]


def _prices(estimates: Estimates) -> list[Price]:
    return [
        Price(cause=id_, title=cause.title, unit=cause.unit, seconds=estimates["price", id_])
        for id_, cause in CAUSES.items()
        if ("price", id_) in estimates
    ]


def _gap(
    estimates: Estimates, means: Means, of: tuple[str, str], slow: str, fast: str, seen: Observed
) -> Gap:
    parts = [
        Share(
            cause=id_,
            title=cause.title,
            slow=means[slow].counts[id_],
            fast=means[fast].counts[id_],
            seconds=estimates["seconds", fast, id_],
            share=estimates["share", fast, id_],
        )
        for id_, cause in CAUSES.items()
        if ("seconds", fast, id_) in estimates
    ]
    return Gap(
        measure=of[0],
        arm=of[1],
        slow=slow,
        fast=fast,
        blocks=len(seen.blocks),
        slow_time=estimates["time", slow],
        fast_time=estimates["time", fast],
        gap=estimates["gap", fast],
        ratio=estimates["ratio", fast],
        shares=sorted(parts, key=lambda part: -part.seconds.value),
        residual=estimates["residual", fast],
        residual_share=estimates["residual share", fast],
    )


def _ablation(estimates: Estimates, measure: str, arm: str, design: Design) -> Ablation | None:
    ids = [id_ for id_ in FACTORS if ("saved", id_) in estimates]
    if not ids or ("gap", design.fast) not in estimates or design.ablated is None:
        return None
    return Ablation(
        measure=measure,
        arm=arm,
        path=design.ablated,
        time=estimates["time", design.ablated],
        best=estimates["best",],
        gap=estimates["gap", design.fast],
        effects=[
            Effect(
                factor=id_,
                title=FACTORS[id_].title,
                saved=estimates["saved", id_],
                alone=estimates["alone", id_],
                last=estimates["last", id_],
                predicted=estimates["predicted", id_],
                difference=estimates["difference", id_],
            )
            for id_ in ids
        ],
        interactions=[
            Interaction(factors=(a, b), saved=estimates["interaction", a, b])
            for a, b in itertools.combinations(ids, 2)
        ],
    )


def _missing(seen: Observed, design: Design, arm: str, estimates: Estimates) -> Iterator[str]:
    """What was to be measured and was not, and what is left out for it."""
    absent = [name for name in design.names(Arm(arm)) if name not in seen.names]
    if absent:
        yield f"not measured, or in few blocks: {', '.join(absent)}"
    if seen.left_out:
        blocks = ", ".join(map(str, seen.left_out))
        yield f"left out, as not everything was measured in them: blocks {blocks}"
    unpriced = [CAUSES[id_].title for id_ in design.doses if ("price", id_) not in estimates]
    if unpriced:
        yield f"no price, as no dose made more of it: {', '.join(unpriced)}"
    if design.ablated and ("best",) not in estimates:
        yield "no ablation, for which every combination of the techniques is needed"


def _bridges(streams: Mapping[str, Observed], design: Design) -> list[Bridge]:
    """The gap of TCP in factors, for which both arms are needed."""
    if {str(arm) for arm in Arm} - streams.keys():
        return []
    native, parity = streams[Arm.NATIVE], streams[Arm.PARITY]
    found = []
    for fast in (design.fast, *design.others):
        names = {design.slow, fast}
        if not names <= set(native.names) or not names <= set(parity.names):
            continue
        sides = [
            _estimate(seen, partial(_times, slow=design.slow, fast=fast))
            for seen in (native, parity)
        ]
        (slow_n, fast_n), (slow_p, fast_p) = (
            (side["time", design.slow], side["time", fast]) for side in sides
        )
        found.append(
            Bridge(
                slow=design.slow,
                fast=fast,
                ratio=_ratio(slow_n, fast_n),
                offload=_ratio(fast_p, fast_n),
                rest=_ratio(slow_p, fast_p),
                kept=_ratio(slow_n, slow_p),
            )
        )
    return found


def _times(means: Means, slow: str, fast: str) -> Values:
    return {("time", name): means[name].time for name in (slow, fast)}


def _ratio(above: Estimate, below: Estimate) -> Estimate:
    """A ratio of two times, each with its own interval: relative errors add up in squares."""
    ratio = above.value / below.value
    if not (above.low and above.high and below.low and below.high):
        return Estimate(ratio)
    down = np.hypot(np.log(above.value / above.low), np.log(below.high / below.value))
    up = np.hypot(np.log(above.high / above.value), np.log(below.value / below.low))
    return Estimate(ratio, float(ratio * np.exp(-down)), float(ratio * np.exp(up)))
