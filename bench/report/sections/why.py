"""Why one path is slower than another: the answer of `vnetbench why`, where a set is one of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.errors import UsageError
from bench.probes.priced import PAYLOAD
from bench.report.model import Block, Column, Field, Picture, Section, Table, Words
from bench.report.naming import reason, slug
from bench.report.sources import Sources
from bench.units import capitalised, format_value
from bench.why import written
from bench.why.design import MEASURES
from bench.why.model import Ablation, Answer, Effect, Estimate, Gap, Share
from bench.why.picture import techniques, waterfalls
from bench.why.sentences import sentences

_LEAD = (
    f"Where the time of a packet of {PAYLOAD} bytes goes. Every cause is counted on both paths and "
    "has its price measured: how much longer a packet takes with one more of it. Count times price "
    "is what it accounts for. What the pump's techniques save is found out in two ways: by "
    "measuring every combination of them, and from counts and prices."
)


def make(sources: Sources) -> Section | None:
    """The answers of all sets that are of `vnetbench why`."""
    named = zip(sources.names, sources.sets, sources.answers, strict=True)
    asked = [(name, results, found) for name, results, found in named if found is not None]
    if not asked:
        return None
    blocks: list[Block] = []
    notes: list[str] = []
    for number, (name, results, answer) in enumerate(asked, start=1):
        if isinstance(answer, UsageError):
            notes.append(f"{name}: no answer: {reason(answer, results, name)}")
            continue
        several = name if len(asked) > 1 else ""
        blocks += (_told_apart(block, number, several) for block in _blocks(answer))
        notes += (f"{several}: {text}" if several else text for text in _notes(answer))
    title = "Why one path is slower"
    return Section("why", title, _LEAD, tuple(blocks), tuple(notes))


def _told_apart(block: Block, number: int, name: str) -> Block:
    """A block of one of several answers: with a name of its own, and the set's in its title."""
    if not name:
        return block
    if isinstance(block, Table | Picture):
        return replace(block, name=f"{block.name}-{number}", title=f"{name}: {block.title}")
    return replace(block, title=f"{name}: {block.title}")


def _blocks(answer: Answer) -> Iterator[Block]:
    """What the figures say, then for each measure its picture and its tables."""
    yield Words(tuple(sentences(answer)), "What the figures say")
    pictures = {picture.name: picture for picture in waterfalls(answer)}
    for measure in MEASURES:
        picture = pictures.get(f"why-{measure}")
        if picture is not None:
            yield picture
        gaps = [gap for gap in answer.gaps if gap.measure == measure]
        for fast in dict.fromkeys(gap.fast for gap in gaps):
            yield _gap_table([gap for gap in gaps if gap.fast == fast], answer)
        ablations = [found for found in answer.ablations if found.measure == measure]
        if ablations:
            yield techniques(ablations)
        for found in ablations:
            yield _ablation_table(found)


def _notes(answer: Answer) -> Iterator[str]:
    blocks = {gap.measure: gap.blocks for gap in answer.gaps}
    told = ", ".join(f"{MEASURES[measure]}: {count}" for measure, count in blocks.items())
    yield (
        f"Figures are per packet of {PAYLOAD} bytes that arrived, one way; intervals are of 95 %, "
        f"over blocks ({told}). In the arm parity, segmentation and receive offload are off on "
        "every device. The counts and the price of a cause are those of the first arm that has "
        "them; what it accounts for in an arm comes from that arm's own."
    )
    yield (
        "Times are not the medians of “Path by path”: here the lowest value of each trial counts, "
        "and each block's own level is taken out before the median over blocks"
    )
    for found in answer.ablations:
        if found.interactions:
            titles = {effect.factor: effect.title for effect in found.effects}
            pair = max(found.interactions, key=lambda pair: abs(pair.saved.value))
            yield (
                f"{MEASURES[found.measure]}, {found.arm}: the strongest interaction is that of "
                f"“{'” and “'.join(titles[id_] for id_ in pair.factors)}”, which save "
                f"{written.time_and_interval(pair.saved)} together beyond what each saves alone"
            )
    yield from answer.notes


# ---- causes -------------------------------------------------------------------------------------


def _gap_table(gaps: Sequence[Gap], answer: Answer) -> Table:
    """A gap in all arms, cause by cause; counts and prices are those of the first that has them."""
    first = gaps[0]
    columns = [
        Column("cause"),
        Column(f"in {first.fast}", number=True),
        Column(f"in {first.slow}", number=True),
        Column("price of one", number=True),
    ]
    for gap in gaps:
        columns += [Column(gap.arm, number=True), Column(f"{gap.arm}: of the gap", number=True)]
    rows = [_whole_row(first.fast, [gap.fast_time for gap in gaps])]
    causes = dict.fromkeys(share.cause for gap in gaps for share in gap.shares)
    rows += [_cause_row(cause, gaps, answer) for cause in causes]
    left = [(gap.residual, gap.residual_share) for gap in gaps]
    rows.append((Field("not explained"), *_dashes(3), *_figures(left)))
    rows.append(_whole_row(first.slow, [gap.slow_time for gap in gaps]))
    return Table(
        slug("why", first.measure, first.fast, first.slow),
        f"{capitalised(MEASURES[first.measure])}: from {first.fast} to {first.slow}",
        tuple(columns),
        tuple(rows),
    )


def _whole_row(path: str, times: Sequence[Estimate]) -> tuple[Field, ...]:
    """What a packet takes over a path."""
    fields = [field for time in times for field in (_time(time), _dash())]
    return (Field(path), *_dashes(3), *fields)


def _cause_row(cause: str, gaps: Sequence[Gap], answer: Answer) -> tuple[Field, ...]:
    """What has a price in one arm may have none in another, where its doses were not measured."""
    found = [next((s for s in gap.shares if s.cause == cause), None) for gap in gaps]
    gap, share = next((g, s) for g, s in zip(gaps, found, strict=True) if s is not None)
    prices = {p.cause: p for p in answer.prices[f"{gap.measure},{gap.arm}"]}
    price = prices[cause].seconds
    return (
        Field(share.title),
        Field(written.count(share.fast), share.fast),
        Field(written.count(share.slow), share.slow),
        Field(format_value(price.value, "s", 2), price.value),
        *_figures([(s.seconds, s.share) if isinstance(s, Share) else None for s in found]),
    )


def _figures(found: Sequence[tuple[Estimate, Estimate] | None]) -> Iterator[Field]:
    for pair in found:
        if pair is None:
            yield from _dashes(2)
        else:
            yield _time(pair[0])
            yield _estimate(written.share(pair[1]), pair[1])


# ---- techniques ---------------------------------------------------------------------------------


def _ablation_table(found: Ablation) -> Table:
    """What each technique saves, by both ways of finding it out."""
    columns = (
        Column("technique"),
        Column("saves, measured", number=True),
        Column("of the gap", number=True),
        Column("saves, by counts and prices", number=True),
        Column("the two ways"),
        Column("added to none of the others", number=True),
        Column("added to all of them", number=True),
    )
    whole = found.time.value - found.best.value
    total = Field(format_value(whole, "s", 3), whole)
    rows = [_effect_row(effect, found) for effect in found.effects]
    rows.append((Field("all together"), total, _of_gap(whole, found), *_dashes(4)))
    return Table(
        slug("why", found.measure, found.arm, "techniques"),
        f"{capitalised(MEASURES[found.measure])}, {found.arm}: what techniques save {found.path}",
        columns,
        tuple(rows),
    )


def _effect_row(effect: Effect, found: Ablation) -> tuple[Field, ...]:
    return (
        Field(effect.title),
        _time(effect.saved),
        _of_gap(effect.saved.value, found),
        _time(effect.predicted),
        _agreement(effect),
        Field(written.time(effect.alone), effect.alone.value),
        Field(written.time(effect.last), effect.last.value),
    )


def _agreement(effect: Effect) -> Field:
    """Whether the two ways differ by more than their interval; without one nobody knows."""
    if effect.difference.low is None:
        return Field("no interval", tone="dim")
    return Field("agree", tone="good") if effect.agrees else Field("differ", tone="bad")


def _of_gap(saved: float, found: Ablation) -> Field:
    if not found.gap.value:
        return _dash()
    share = saved / found.gap.value
    return Field(written.percent(share), share)


# ---- fields -------------------------------------------------------------------------------------


def _time(estimate: Estimate) -> Field:
    return _estimate(written.time_and_interval(estimate), estimate)


def _estimate(text: str, estimate: Estimate) -> Field:
    """A figure with its interval, where it has one."""
    if estimate.low is None or estimate.high is None:
        return Field(text, estimate.value)
    return Field(text, estimate.value, ends=(estimate.low, estimate.high))


def _dash() -> Field:
    return Field("-", tone="dim")


def _dashes(count: int) -> list[Field]:
    return [_dash()] * count
