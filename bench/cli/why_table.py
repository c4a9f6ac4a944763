"""The answer to `vnetbench why`, for people: gaps cause by cause, and what ablation says."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.arms import explained
from bench.cli.tables import print_lines, table_of
from bench.units import format_value
from bench.why import written
from bench.why.design import MEASURES
from bench.why.model import Ablation, Answer, Effect, Estimate, Gap
from bench.why.sentences import sentences

_Item = TypeVar("_Item")


def render_answer(answer: Answer, console: Console) -> None:
    """Print the whole answer: tables first, then what they say."""
    for gaps in _by(answer.gaps, lambda gap: (gap.measure, gap.fast)):
        console.print(_gap_table(gaps, answer))
    for ablations in _by(answer.ablations, lambda found: found.measure):
        console.print(_ablation_table(ablations))
    console.print()
    blocks = {gap.measure: gap.blocks for gap in answer.gaps}
    print_lines(console, explained(gap.arm for gap in answer.gaps))
    print_lines(
        console,
        [
            "Figures per packet of 1400 bytes that arrived, one way; in brackets the 95 % interval "
            f"({', '.join(f'{MEASURES[m]}: {n} blocks' for m, n in blocks.items())}).",
            *(f"Note: {text}" for text in answer.notes),
        ],
    )
    console.print()
    print_lines(console, sentences(answer))


def _gap_table(gaps: list[Gap], answer: Answer) -> Table:
    first = gaps[0]
    table = table_of(f"{MEASURES[first.measure]}: from {first.fast} to {first.slow}", "cause")
    for heading in (first.fast, first.slow, "price"):
        table.add_column(heading, justify="right", no_wrap=True)
    for gap in gaps:
        table.add_column(gap.arm, justify="right", no_wrap=True)
        if gap is first:
            table.add_column("share", justify="right", no_wrap=True)
    _row(table, first.fast, ["", "", ""], [(gap.fast_time, None) for gap in gaps])
    # What has a price in one arm may have none in another, where its doses were not measured.
    by_cause = [{share.cause: share for share in gap.shares} for gap in gaps]
    for cause in dict.fromkeys(cause for parts in by_cause for cause in parts):
        arm, share = next(
            (g.arm, s[cause]) for g, s in zip(gaps, by_cause, strict=True) if cause in s
        )
        prices = {p.cause: p.seconds.value for p in answer.prices[f"{first.measure},{arm}"]}
        counts = [
            written.count(share.fast),
            written.count(share.slow),
            format_value(prices[cause], "s", 2),
        ]
        figures = [
            (parts[cause].seconds, parts[cause].share) if cause in parts else None
            for parts in by_cause
        ]
        _row(table, share.title, counts, figures)
    left = [(gap.residual, gap.residual_share) for gap in gaps]
    _row(table, "not explained", ["", "", ""], left)
    _row(table, first.slow, ["", "", ""], [(gap.slow_time, None) for gap in gaps])
    return table


def _ablation_table(ablations: list[Ablation]) -> Table:
    first = ablations[0]
    table = table_of(f"{MEASURES[first.measure]}: what techniques save {first.path}", "technique")
    others = ablations[1:]
    for heading in (first.arm, "predicted", "alone", "last", *(found.arm for found in others)):
        table.add_column(heading, justify="right", no_wrap=True)
    for effect in first.effects:
        cells = _effect(effect)
        for found in others:
            same = [e for e in found.effects if e.factor == effect.factor]
            cells.append(written.time(same[0].saved) + _mark(same[0]) if same else "")
        table.add_row(Text(effect.title), *map(Text, cells))
    saved = [format_value(found.time.value - found.best.value, "s", 3) for found in ablations]
    table.add_row(Text("all together"), *map(Text, [saved[0], "", "", "", *saved[1:]]))
    strongest = [
        max(found.interactions, key=lambda pair: abs(pair.saved.value))
        for found in ablations
        if found.interactions
    ]
    texts = [
        f"{found.arm}: {' + '.join(pair.factors)} {written.time_and_interval(pair.saved)}"
        for found, pair in zip(ablations, strongest, strict=False)
    ]
    table.caption = Text(
        "Shapley shares of what all save together; predicted: from prices and counts, ! where the "
        f"two differ by more than their interval. Strongest interaction: {'; '.join(texts)}."
    )
    table.caption_justify = "left"
    return table


def _effect(effect: Effect) -> list[str]:
    """The cells of one technique in one arm."""
    return [
        written.time_and_interval(effect.saved),
        written.time_and_interval(effect.predicted) + _mark(effect),
        written.time(effect.alone),
        written.time(effect.last),
    ]


def _mark(effect: Effect) -> str:
    return "" if effect.agrees else " !"


def _row(
    table: Table,
    title: str,
    counts: list[str],
    figures: Sequence[tuple[Estimate, Estimate | None] | None],
) -> None:
    """A line of a gap: of the first arm the time and the share, of others the share alone."""
    cells = ["", ""]
    if figures[0] is not None:
        cells = [written.time(figures[0][0]), written.share(figures[0][1])]
    for figure in figures[1:]:
        cells.append("" if figure is None else _brief(*figure))
    table.add_row(Text(title), *map(Text, counts), *map(Text, cells))


def _brief(time: Estimate, share: Estimate | None) -> str:
    return written.time(time) if share is None else written.percent(share.value)


def _by(items: Sequence[_Item], key: Callable[[_Item], Hashable]) -> list[list[_Item]]:
    """Group `items` by `key`, in the order in which the keys come first."""
    groups: dict[Hashable, list[_Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())
