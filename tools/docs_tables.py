"""The tables of documents, as Markdown: of the ladder, of `why`, of metrics and probes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from docs_sets import Explained, Figures
from docs_words import bounded, percent, seconds, table

from bench.metrics import METRICS
from bench.probes import PROBES, Probe
from bench.topology import Arm
from bench.units import format_value, significant
from bench.why.claims import CLAIMS
from bench.why.design import MEASURES
from bench.why.model import Effect, Estimate, Gap, Share

_ARMS = tuple(str(arm) for arm in Arm)
_FEW = 0.001
"""Of a cause in a packet: less is written as less than this."""


def ladder(figures: Figures, metrics: Sequence[str]) -> str:
    """A row for each path: every metric in both arms, with where its interval ends."""
    columns = [(metric, arm) for metric in metrics for arm in _ARMS]
    headings = [f"{METRICS[metric].title}, {arm}:" for metric, arm in columns]
    return _cells(figures, figures.paths, columns, headings)


def cells(figures: Figures, paths: Sequence[str], metrics: Sequence[str]) -> str:
    """A row for each path, a column for each metric, in the native arm."""
    columns = [(metric, _ARMS[0]) for metric in metrics]
    return _cells(figures, paths, columns, [f"{METRICS[metric].title}:" for metric in metrics])


def _cells(
    figures: Figures,
    paths: Sequence[str],
    columns: Sequence[tuple[str, str]],
    headings: Sequence[str],
) -> str:
    rows = ([f"`{path}`", *(_cell(figures, path, *column) for column in columns)] for path in paths)
    return table(["path", *headings], rows)


def _cell(figures: Figures, path: str, metric: str, arm: str) -> str:
    if not figures.has(path, metric, arm):
        return "-"
    found = figures(path, metric, arm)
    return f"{found} ({found.spread})"


def loads(figures: Figures, shares: Sequence[int]) -> str:
    """A row for each path: its base rate, and what so many per cent of it are as a load.

    Each load stands there with its share of the packet rate that the path has in the set.
    """
    rows = (
        [
            f"`{path}`",
            format_value(figures.base_rate(path), "packet/s"),
            *(
                f"{format_value(figures.base_rate(path) * share / 100, 'packet/s')} "
                f"({percent(load_shares(figures, share)[path])})"
                for share in shares
            ),
        ]
        for path in figures.paths
    )
    return table(["path", "base rate:", *(f"{share} % of it:" for share in shares)], rows)


def load_shares(figures: Figures, share: int) -> dict[str, float]:
    """By path, the load of a delay as a share of the path's packet rate, of small packets."""
    return {
        path: figures.base_rate(path) * share / 100 / figures(path, "packet_rate_64").value
        for path in figures.paths
    }


def largest_step(figures: Figures, metric: str, paths: Sequence[str]) -> tuple[str, Estimate]:
    """Between which neighbours a metric falls the most: the later one, and the factor."""
    steps = {
        after: figures(before, metric) / figures(after, metric)
        for before, after in itertools.pairwise(paths)
    }
    return max(steps.items(), key=lambda item: item[1].value)


# ---- of `why` -----------------------------------------------------------------------------------


def gap(why: Explained, measure: str, fast: str = "") -> str:
    """A gap cause by cause: counts, price, and what that makes, in the native and parity arms."""
    native, parity = (why.gap(measure, arm, fast) for arm in _ARMS)
    prices = {price.cause: price for price in why.answer.prices[f"{measure},{Arm.NATIVE}"]}
    others = {share.cause: share for share in parity.shares}
    headings = ["cause", f"{native.fast}:", f"{native.slow}:", "price of one:", "time:"]
    headings += ["share of the gap:", "share, parity:"]
    rows = [
        [f"*{native.fast}*", "", "", "", seconds(native.fast_time), "", ""],
        *(
            [
                share.title,
                _count(share.fast),
                _count(share.slow),
                format_value(prices[share.cause].seconds.value, "s", 2),
                seconds(share.seconds),
                bounded(share.share, "percent"),
                percent(others[share.cause].share) if share.cause in others else "",
            ]
            for share in native.shares
        ),
        [
            *("*not explained*", "", "", "", seconds(native.residual)),
            *(bounded(native.residual_share, "percent"), percent(parity.residual_share)),
        ],
        [f"*{native.slow}*", "", "", "", seconds(native.slow_time), "", ""],
    ]
    return table(headings, rows)


def _count(value: float) -> str:
    if 0 < value < _FEW:
        return f"under {_FEW}"
    return significant(value, 3) if value else "0"


def bridge(why: Explained) -> str:
    """The gaps of a stream in factors."""
    rows = [
        [
            f"`{found.slow}` / `{found.fast}`",
            *(
                bounded(part, "factor")
                for part in (found.ratio, found.offload, found.rest, found.kept)
            ),
        ]
        for found in why.answer.bridges
    ]
    headings = ["paths", "the whole:", "= offload that the fast one has:", "x the gap without:"]
    return table([*headings, "x what the slow one keeps:"], rows)


def ablation(why: Explained, measure: str) -> str:
    """What techniques save, and what prices and counts say that they should."""
    whole = why.ablation(measure).gap.value
    headings = ["technique", "saves:", "of the gap:", "by prices and counts:", "alone:", "last:"]
    return table([*headings, "the two ways"], _effects(why.ablation(measure).effects, whole))


def _effects(effects: Iterable[Effect], whole: float) -> Iterator[list[str]]:
    for effect in effects:
        yield [
            effect.title,
            bounded(effect.saved, "seconds"),
            percent(effect.saved.value / whole),
            bounded(effect.predicted, "seconds"),
            seconds(effect.alone),
            seconds(effect.last),
            "agree" if effect.agrees else "disagree",
        ]


def disagreements(why: Explained) -> list[str]:
    """Of which techniques the two ways say different things."""
    return [
        f"{effect.title} ({MEASURES[found.measure]})"
        for found in why.answer.ablations
        for effect in found.effects
        if found.arm == Arm.NATIVE and not effect.agrees
    ]


def claims(why: Explained) -> str:
    """What is commonly said, and what became of it here."""
    rows = (
        [claim.claim, f"**{why.verdicts[id_].word}**", "; ".join(why.verdicts[id_].figures)]
        for id_, claim in CLAIMS.items()
    )
    return table(["what is said", "here", "figures"], rows)


def named(found: Gap, least: float) -> list[Share]:
    """The causes of at least such a share of a gap that are certain, the largest first."""
    return [s for s in found.shares if s.share.value >= least and s.share.certain]


# ---- of metrics and probes ----------------------------------------------------------------------


def metrics(*ids: str) -> str:
    """Metrics that probes of these ids give, each with unit and direction."""
    given = dict.fromkeys(metric for id_ in ids for metric in PROBES[id_].metrics)
    rows = (
        [f"`{m.id}`", m.unit, m.better, f"{m.description[0].upper()}{m.description[1:]}"]
        for m in (METRICS[id_] for id_ in given)
    )
    return table(["metric", "unit", "better", "what it is"], rows)


def probes(chosen: Mapping[str, Probe] = PROBES) -> str:
    """Every probe: how long a trial takes in each profile, and where it can be used."""
    profiles = list(next(iter(chosen.values())).settings)
    rows = (
        [
            f"`{probe.id}`",
            *(f"{probe.duration(probe.settings[profile]):.0f} s" for profile in profiles),
            "yes" if probe.default else "with `--probe`",
            "yes" if probe.guests else "no",
        ]
        for probe in chosen.values()
    )
    headings = ["probe", *(f"{profile}:" for profile in profiles)]
    return table([*headings, "in a run that names none", "in guests"], rows)


TABLES = {
    "ladder_table": ladder,
    "cells_table": cells,
    "largest_step": largest_step,
    "loads_table": loads,
    "load_shares": load_shares,
    "gap_table": gap,
    "bridge_table": bridge,
    "ablation_table": ablation,
    "claims_table": claims,
    "disagreements": disagreements,
    "metrics_table": metrics,
    "probes_table": probes,
    "named": named,
}
"""What templates may call, by name."""
