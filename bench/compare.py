"""Two result sets side by side: what changed, how sure that is, and what could not be seen.

`docs/comparing.md` explains the verdicts to the reader who has to believe them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from bench.conditions import alike
from bench.counts import TOLERANCES, CountRow, judge_counts
from bench.errors import UsageError
from bench.metrics import METRICS
from bench.quality.words import notes as quality_notes
from bench.results import Cell, Failure, PlannedTrial, ResultSet, Series
from bench.units import counted
from bench.verdict import Pair, Row, judge

Key = tuple[str, str, str]
"""Variant, arm and probe: what is planned, before it is known which cells come of it."""

Family = Callable[[Cell], tuple[str, float]]
"""Cell → the family of cells that it is judged with, and that family's margin."""

MARGIN = 0.05
_SHOWN_FACTS = 10


class LeftOut(msgspec.Struct, frozen=True):
    """What both sets have, or should have, and could not be compared, or not in every block."""

    name: str
    reason: str


class Partly(msgspec.Struct, frozen=True):
    """A cell that has values in only `blocks` of the `planned` blocks of the set at `path`.

    reason: why a trial of it failed, empty where none did and the probe left its metric out.
    """

    name: str
    path: str
    blocks: int
    planned: int
    reason: str

    @property
    def said(self) -> str:
        """All but the name."""
        why = self.reason or "its trials did not fail, their warnings may say why"
        return f"{self.path}: only in {self.blocks} of {self.planned} blocks: {why}"

    def __str__(self) -> str:
        return f"{self.name}: {self.said}"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All of it.

    rows: what was timed. counts: what was counted. refused: cells that are not the same thing in
    both sets. failed: what was not measured in one of the sets, or failed more often in the new
    one. partly: cells that were compared and miss blocks of a set. unknown: metrics of a later
    version.
    differences: of the machines and of what was found inside the namespaces.
    """

    format: int = 1
    old: str
    new: str
    margin: float
    rows: list[Row]
    counts: list[CountRow]
    refused: list[LeftOut]
    failed: list[LeftOut]
    partly: list[Partly]
    unknown: list[LeftOut]
    only_old: list[str]
    only_new: list[str]
    differences: list[str]
    notes: list[str]

    @property
    def left_out(self) -> Iterator[tuple[str, str, str]]:
        """What has no verdict, or not one of every block: what it is, which cell, and why."""
        yield from (("not comparable", item.name, item.reason) for item in self.refused)
        yield from (("not measured", item.name, item.reason) for item in self.failed)
        yield from (("partly measured", item.name, item.said) for item in self.partly)
        yield from (("skipped", item.name, item.reason) for item in self.unknown)
        yield from ((f"only in {self.old}", name, "") for name in self.only_old)
        yield from ((f"only in {self.new}", name, "") for name in self.only_new)

    @property
    def uncertain(self) -> Iterator[str]:
        """Why there is no verdict on some, each reason with how many it is of."""
        rows: tuple[tuple[str, Sequence[CountRow | Row]], ...]
        rows = (("count", self.counts), ("cell", self.rows))
        for noun, judged in rows:
            reasons = Counter(row.reason for row in judged if row.reason)
            yield from (f"cannot tell: {text} ({counted(n, noun)})" for text, n in reasons.items())

    def exit_code(self, *, strict: bool) -> int:
        """0 no regression shown, 1 regression, 3 something has no verdict that should have one."""
        verdicts: set[str] = {row.verdict for row in self.rows}
        verdicts |= {row.verdict for row in self.counts}
        if verdicts & {"slower", "worse"}:
            return 1
        if self.refused or self.failed:
            return 3
        return 3 if strict and (self.unknown or "cannot tell" in verdicts) else 0


def compare(
    old: ResultSet,
    new: ResultSet,
    margin: float = MARGIN,
    *,
    family: Family | None = None,
    null: float | None = None,
    changed: bool = False,
) -> Comparison:
    """Compare `new` with `old`. margin: changes of times up to this fraction do not matter.

    family: how the timed cells are divided for the correction, by default not at all. null: see
    `bench.verdict.judge`.
    changed: also compare what a scenario's file says otherwise now, and list that as a difference.

    Raises UsageError if a set is unfinished or they have nothing comparable in common.
    """
    if not 0 <= margin < math.inf:
        raise UsageError(f"margin {100 * margin:g} %: expected 0 or more")
    for results in (old, new):
        if not results.finished:
            raise UsageError(f"{results.path}: its run has not finished; resume it, then compare")
    keys = _common_keys(old, new)
    notes: list[str] = []
    before, after = (_whole_blocks(results, notes) for results in (old, new))
    refused, unknown, kept = [], [], []
    for cell in (cell for cell in before if cell in after):
        if cell.metric not in METRICS:
            unknown.append(LeftOut(str(cell), "not a metric this vnetbench knows"))
        elif problem := _unlike(cell, old, new, before[cell], after[cell], changed=changed):
            refused.append(LeftOut(str(cell), problem))
        else:
            kept.append(cell)
    absent = _absent(keys, (old, before), (new, after))
    worse = {k: text for k, text in _failing_more(keys, old, new).items() if k not in absent}
    if not kept and not absent:
        reasons = dict.fromkeys(item.reason for item in (*refused, *unknown))
        raise UsageError(f"{old.path} and {new.path} are not comparable: {'; '.join(reasons)}")
    pairs = [Pair(cell, before[cell], after[cell]) for cell in kept]
    timed = [pair for pair in pairs if pair.cell.metric not in TOLERANCES]
    rows, judged = _judged(timed, family or (lambda _: ("", margin)), null)
    return Comparison(
        old=str(old.path),
        new=str(new.path),
        margin=margin,
        rows=rows,
        counts=judge_counts([pair for pair in pairs if pair.cell.metric in TOLERANCES]),
        refused=refused,
        failed=[
            LeftOut(key_name(key), reason) for key, reason in (*absent.items(), *worse.items())
        ],
        partly=[
            missed
            for cell in kept
            for results, cells in ((old, before), (new, after))
            if (missed := _missed(cell, results, cells[cell]))
        ],
        unknown=unknown,
        only_old=[str(c) for c in before if c not in after and _key(c, before) not in absent],
        only_new=[str(c) for c in after if c not in before and _key(c, after) not in absent],
        differences=[
            *(_changed_scenarios(kept, old, new) if changed else ()),
            *_environment_differences(old, new),
            *_fact_differences(old, new),
        ],
        notes=[*notes, *judged, *quality_notes(old.run, new.run)],
    )


def _judged(pairs: list[Pair], family: Family, null: float | None) -> tuple[list[Row], list[str]]:
    """Judge each family by itself; rows in the order of `pairs`."""
    families: dict[tuple[str, float], list[Pair]] = {}
    for pair in pairs:
        families.setdefault(family(pair.cell), []).append(pair)
    rows: dict[Cell, Row] = {}
    notes: list[str] = []
    for (_, margin), members in families.items():
        found, said = judge(members, margin, null)
        rows |= {pair.cell: row for pair, row in zip(members, found, strict=True)}
        notes += said
    return [rows[pair.cell] for pair in pairs], notes


# ---- what is comparable -------------------------------------------------------------------------


def _common_keys(old: ResultSet, new: ResultSet) -> list[Key]:
    """What both sets have planned, in the old one's order of variants."""
    plans = [dict.fromkeys(map(key_of, results.run.plan)) for results in (old, new)]
    common = [key for key in plans[0] if key in plans[1]]
    if common:
        order = list(old.run.variants)
        return sorted(common, key=lambda key: order.index(key[0]))
    for position, what in enumerate(("scenarios", "arms", "probes")):
        names = [dict.fromkeys(key[position] for key in plan) for plan in plans]
        if not set(names[0]) & set(names[1]):
            has = [f"{r.path} has {', '.join(n)}" for r, n in zip((old, new), names, strict=True)]
            raise UsageError(f"nothing to compare: no {what} in common; {'; '.join(has)}")
    raise UsageError(
        f"nothing to compare: {old.path} and {new.path} have no scenario, arm and probe in common"
    )


def _whole_blocks(results: ResultSet, notes: list[str]) -> dict[Cell, Series]:
    """The cells in the order asked, without the block in which an interrupted run was stopped."""
    stopped = _stopped(results)
    if stopped:
        whole = len({trial.block for trial in results.run.plan} - stopped)
        notes.append(f"{results.path}: was interrupted; only its {whole} whole blocks count")
    order = list(results.run.variants)
    found = sorted(results.series().items(), key=lambda item: (order.index(item[0][0]), item[0]))
    whole_blocks = {
        cell: series._replace(
            blocks={b: value for b, value in series.blocks.items() if b not in stopped}
        )
        for cell, series in found
    }
    return {cell: series for cell, series in whole_blocks.items() if series.blocks}


def _stopped(results: ResultSet) -> set[int]:
    return {trial.block for trial in results.run.pending()}


def _missed(cell: Cell, results: ResultSet, series: Series) -> Partly | None:
    """In how many of its whole blocks a cell has a value, if not in all of them."""
    key = (cell.variant, cell.arm, series.probe)
    planned = {t.block for t in results.run.plan if key_of(t) == key} - _stopped(results)
    if len(series.blocks) == len(planned):
        return None
    reason = next(iter(_reasons(results).get(key, ())), "")
    return Partly(str(cell), str(results.path), len(series.blocks), len(planned), reason)


def _unlike(
    cell: Cell, old: ResultSet, new: ResultSet, a: Series, b: Series, *, changed: bool
) -> str | None:
    """Why the cell is not the same thing in both sets."""
    settings = [results.run.asked.settings.get(a.probe, {}) for results in (old, new)]
    records = [results.run.variants[cell.variant] for results in (old, new)]
    given = [record.conditions.get(cell.arm, {}).get(a.probe, {}) for record in records]
    unit = METRICS[cell.metric].unit
    counted = cell.metric in TOLERANCES
    problems = {
        **({} if changed else dict.fromkeys(_scenario_changes(cell.variant, old, new), True)),
        f"{cell.metric} is in {a.unit} and {b.unit}, expected {unit}": {a.unit, b.unit} != {unit},
        f"{cell.metric} was measured by {a.probe} and by {b.probe}": a.probe != b.probe,
        f"{a.probe} was done otherwise: {_changes(*settings)}": settings[0] != settings[1],
        f"{a.probe} was done under other conditions: {_changes(*given)}": not alike(*given),
        "a value of 0 or less has no ratio": not counted
        and min(*a.blocks.values(), *b.blocks.values()) <= 0,
    }
    return next((text for text, is_so in problems.items() if is_so), None)


def _scenario_changes(variant: str, old: ResultSet, new: ResultSet) -> list[str]:
    """What the scenario's file says otherwise now."""
    mine, other = old.run.variants[variant], new.run.variants[variant]
    changes = _changes(mine.parameters, other.parameters)
    problems = {
        f"the scenario file of {variant} has changed": mine.sha256 != other.sha256,
        f"{variant} has other parameters: {changes}": bool(changes),
    }
    return [text for text, is_so in problems.items() if is_so]


def _changed_scenarios(cells: list[Cell], old: ResultSet, new: ResultSet) -> list[str]:
    variants = dict.fromkeys(cell.variant for cell in cells)
    return [text for variant in variants for text in _scenario_changes(variant, old, new)]


def _changes(old: dict[str, Any], new: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {old.get(key)} → {new.get(key)}"
        for key in dict.fromkeys((*old, *new))
        if old.get(key) != new.get(key)
    )


def _absent(keys: list[Key], *sets: tuple[ResultSet, dict[Cell, Series]]) -> dict[Key, str]:
    """What was planned in both sets and has no value in at least one, and why."""
    reasons: dict[Key, list[str]] = {}
    for results, cells in sets:
        measured = {_key(cell, cells) for cell in cells}
        said = _reasons(results)
        ended = set(map(key_of, results.run.ended()))
        for key in keys:
            if key not in measured:
                without = "gave no figure, its warnings say why" if key in ended else "not reached"
                reason = f"{results.path}: {said.get(key, [without])[0]}"
                reasons.setdefault(key, []).append(reason)
    return {key: "; ".join(texts) for key, texts in reasons.items()}


def _failing_more(keys: list[Key], old: ResultSet, new: ResultSet) -> dict[Key, str]:
    """What failed in a larger share of its trials in the new set than in the old one, and why."""
    before, after = _reasons(old), _reasons(new)
    tried = [Counter(map(key_of, results.run.ended())) for results in (old, new)]
    return {
        key: f"{new.path}: {len(after[key])} of {tried[1][key]} trials failed: {after[key][0]}"
        for key in keys
        # Crosswise, so that nothing is divided by a cell that was never reached.
        if key in after
        and len(after[key]) * tried[0][key] > len(before.get(key, ())) * tried[1][key]
    }


def _reasons(results: ResultSet) -> dict[Key, list[str]]:
    """Why each failed trial failed."""
    found: dict[Key, list[str]] = {}
    for failure in results.run.failures:
        found.setdefault(key_of(failure), []).append(failure.reason)
    return found


def key_of(trial: PlannedTrial | Failure) -> Key:
    """What kind of trial it is."""
    return trial.variant, trial.arm, trial.probe


def key_name(key: Key) -> str:
    """As kinds of trials are named beside cells."""
    variant, arm, probe = key
    return f"{probe}[{variant},{arm}]"


def _key(cell: Cell, cells: dict[Cell, Series]) -> Key:
    return cell.variant, cell.arm, cells[cell].probe


# ---- what else differs --------------------------------------------------------------------------


def _environment_differences(old: ResultSet, new: ResultSet) -> list[str]:
    # Imported here: it is needed for nothing else, and reading a set must not depend on it.
    from bench.environment import Environment, differences  # noqa: PLC0415

    try:
        fingerprints = [msgspec.convert(r.run.environment, Environment) for r in (old, new)]
    except msgspec.ValidationError as error:
        return [f"the machines' fingerprints cannot be compared: {error}"]
    return differences(*fingerprints)


def _fact_differences(old: ResultSet, new: ResultSet) -> list[str]:
    """What differs inside the namespaces, each change once with the number of places."""
    changes: Counter[str] = Counter()
    for name, variant in old.run.variants.items():
        if name not in new.run.variants:
            continue
        other = new.run.variants[name].facts
        for arm in variant.facts.keys() & other.keys():
            before, after = dict(_leaves(variant.facts[arm])), dict(_leaves(other[arm]))
            for path in before.keys() | after.keys():
                values = before.get(path, "absent"), after.get(path, "absent")
                if values[0] != values[1]:
                    changes[f"inside: {path[-1]}: {values[0]} → {values[1]}"] += 1
    lines = [f"{change} ({count} places)" for change, count in sorted(changes.items())]
    hidden = len(lines) - _SHOWN_FACTS
    return lines if hidden <= 0 else [*lines[:_SHOWN_FACTS], f"inside: and {hidden} changes more"]


def _leaves(
    facts: Any, path: tuple[str, ...] = ("facts",)
) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(facts, dict):
        for key, value in facts.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path, facts
