"""What a packet costs in countable things: predicted by its scenario, and observed."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bench.drawing.recorded import variants_of
from bench.errors import UsageError
from bench.report import bars
from bench.report.bars import Bar
from bench.report.model import Column, Field, Picture, Section, Table
from bench.report.naming import slug
from bench.report.sources import Sources
from bench.results import PlannedTrial, ResultSet, Run

if TYPE_CHECKING:
    from bench.ledger import Ledger
    from bench.scenario import Variant

_PROBE = "ledger"
_PREDICTED = {
    "copies": "copies",
    "traversals": "IP traversals",
    "device_hops": "device hops",
    "useful_calls": "useful calls",
}
"""Items that scenarios predict, and their headings."""
_OBSERVED = {
    "wakeups": "wake-ups",
    "syscalls": "all calls",
    "copied_bytes": "bytes copied",
    "segments_per_skb": "segments per skb",
}
"""Those that nobody predicts: metrics of the probe."""
_DRAWN = ("wakeups", "syscalls")


@dataclass(frozen=True)
class _Path:
    """A path of one set and arm.

    observed: item or metric → median over blocks. predicted: item → what the scenario says.
    why: why something is not predicted, or not observed at all; empty where all is.
    """

    set: str
    variant: str
    arm: str
    observed: Mapping[str, float]
    predicted: Mapping[str, int]
    why: tuple[str, ...]

    @property
    def blank(self) -> bool:
        return not self.observed


def make(sources: Sources) -> Section | None:
    """Predicted beside observed for each path that a ledger was taken of."""
    paths = [
        path
        for results, name in zip(sources.sets, sources.names, strict=True)
        if _PROBE in results.run.asked.probes
        for path in _paths(results, name)
    ]
    if not any(not path.blank for path in paths):
        return None
    arms = list(dict.fromkeys(path.arm for path in paths))
    several = len({path.set for path in paths}) > 1
    blocks: list[Picture | Table] = []
    for arm in arms:
        here = [path for path in paths if path.arm == arm]
        title, name = f"Ledger of a packet, one way, {arm}", slug("ledger", arm)
        blocks += bars.pictures(name, title, _titles(), _bars(here, several))
        blocks.append(_table(f"{name}-table", title, here, several))
    reasons: dict[str, list[str]] = {}
    for path in paths:
        for why in path.why:
            reasons.setdefault(why, []).append(_label(path, several=several))
    return Section(
        "ledger",
        "The ledger",
        "What is done for each packet on its way from client to server, counted and not timed, "
        "beside what theory says of the path. What differs by more than 1 % is marked.",
        tuple(blocks),
        (
            "Wake-ups and calls are observed alone: how often a program waits hangs on when it "
            "gets a CPU, too.",
            *(f"{why}: {', '.join(dict.fromkeys(which))}." for why, which in reasons.items()),
        ),
    )


# ---- what was counted ---------------------------------------------------------------------------


def _paths(results: ResultSet, name: str) -> Iterator[_Path]:
    cells = results.series()
    kept = _kept(results)
    tried = dict.fromkeys((t.variant, t.arm) for t in results.run.plan if t.probe == _PROBE)
    order = {variant: position for position, variant in enumerate(results.run.variants)}
    alone = dict.fromkeys(variant for variant, arm in tried if (variant, arm) not in kept)
    now = variants_of(results.run, alone)
    for variant, arm in sorted(tried, key=lambda key: order[key[0]]):
        ledgers = kept.get((variant, arm), [])
        observed = {
            cell.metric: statistics.median(series.blocks.values())
            for cell, series in cells.items()
            if (cell.variant, cell.arm, series.probe) == (variant, arm, _PROBE)
        }
        observed |= _items(ledgers)
        why = []
        predicted: Mapping[str, int] = {}
        if observed:
            if ledgers:
                predicted, reason = _kept_prediction(ledgers[0])
            else:
                predicted, reason = _prediction(results.run, variant, now[variant])
            why = [f"Not predicted ({reason})"] if reason else []
            if not ledgers:
                why.append("Device hops and useful calls are not kept (no ledger/*.json)")
        else:
            why = [f"Not measured ({reason})" for reason in _failures(results, variant, arm)]
        yield _Path(name, variant, arm, observed, predicted, tuple(why))


def _kept(results: ResultSet) -> dict[tuple[str, str], list[Ledger]]:
    """Variant and arm → the ledgers of its trials, as far as they are kept and can be read."""
    completed = {done.trial for done in results.run.completed}
    found: dict[tuple[str, str], list[Ledger]] = {}
    for trial in results.run.plan:
        if trial.probe == _PROBE and trial.trial in completed:
            ledger = _read(results, trial)
            if ledger is not None:
                found.setdefault((trial.variant, trial.arm), []).append(ledger)
    return found


def _read(results: ResultSet, trial: PlannedTrial) -> Ledger | None:
    # Imported here: taking ledgers needs more than reading them.
    from bench.ledger import Ledger  # noqa: PLC0415

    file = results.path / _PROBE / f"{trial.trial}.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Ledger)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _items(ledgers: Sequence[Ledger]) -> dict[str, float]:
    """The items that scenarios predict: medians over trials of what was observed."""
    found = {}
    for item in _PREDICTED:
        counts = (ledger.per_packet.get(item) for ledger in ledgers)
        values = [count for count in counts if count is not None]
        if values:
            found[item] = statistics.median(values)
    return found


def _failures(results: ResultSet, variant: str, arm: str) -> list[str]:
    """Why there is no ledger: the first reason, or that its turn did not come."""
    reasons = [
        failure.reason
        for failure in results.run.failures
        if (failure.variant, failure.arm, failure.probe) == (variant, arm, _PROBE)
    ]
    return reasons[:1] or ["not reached"]


def _kept_prediction(ledger: Ledger) -> tuple[Mapping[str, int], str]:
    """What the scenario said of the load when the ledger was taken, or why there is nothing."""
    if ledger.predicted:
        return ledger.predicted, ""
    return {}, _silence(str(ledger.load.get("kind", "udp")))


def _prediction(run: Run, variant: str, now: Variant | UsageError) -> tuple[Mapping[str, int], str]:
    """The same where no ledger is kept: what the scenario's file says. now: what it makes now."""
    from bench.ledger import Load  # noqa: PLC0415
    from bench.ledger.predict import expected  # noqa: PLC0415

    if isinstance(now, UsageError):
        return {}, str(now)
    if now.digest != run.variants[variant].sha256:
        return {}, "its scenario file has changed since it was measured"
    try:
        load = Load(**run.asked.settings.get(_PROBE, {}))
    except TypeError as error:  # settings of a later version
        return {}, str(error)
    predicted = expected(now.scenario, load)
    return predicted, "" if predicted else _silence(load.kind)


def _silence(kind: str) -> str:
    """Why a scenario predicts nothing of a kind of load."""
    if kind != "udp":
        return "its load is not of datagrams that go one by one"
    return "the scenario's file predicts nothing"


# ---- the table ----------------------------------------------------------------------------------


def _label(path: _Path, *, several: bool) -> str:
    return f"{path.variant} ({path.set})" if several else path.variant


def _table(name: str, title: str, paths: Sequence[_Path], several: bool) -> Table:
    columns = [Column("path"), *([Column("set")] if several else [])]
    for heading in _PREDICTED.values():
        columns += [
            Column(f"{heading}: predicted", number=True),
            Column(f"{heading}: observed", number=True),
        ]
    columns += [Column(heading, number=True) for heading in _OBSERVED.values()]
    return Table(name, title, tuple(columns), tuple(_fields(path, several) for path in paths))


def _fields(path: _Path, several: bool) -> tuple[Field, ...]:
    fields = [Field(path.variant), *([Field(path.set)] if several else [])]
    for item in _PREDICTED:
        fields += [_predicted(path, item), _observed(path, item)]
    return (*fields, *(_observed(path, metric) for metric in _OBSERVED))


def _predicted(path: _Path, item: str) -> Field:
    if item in path.predicted:
        return Field(str(path.predicted[item]), float(path.predicted[item]))
    return Field("not predicted", tone="dim")


def _observed(path: _Path, item: str) -> Field:
    from bench.ledger.predict import agrees  # noqa: PLC0415

    if item not in path.observed:
        return Field("not measured" if path.blank else "not observed", tone="dim")
    value = path.observed[item]
    text = _figure(value)
    if item not in path.predicted:
        return Field(text, value)
    if agrees(value, path.predicted[item]):
        return Field(text, value, "good")
    return Field(f"{text} (differs)", value, "bad")


def _figure(value: float) -> str:
    return f"{value:.2f}" if value < 1000 else f"{value:.0f}"  # noqa: PLR2004


# ---- the picture --------------------------------------------------------------------------------


def _titles() -> list[str]:
    return [*_PREDICTED.values(), *(_OBSERVED[metric] for metric in _DRAWN)]


def _bars(paths: Sequence[_Path], several: bool) -> list[tuple[str, tuple[Bar, ...]]]:
    """Path → a bar for each title."""
    items = (*_PREDICTED, *_DRAWN)
    return [
        (_label(path, several=several), tuple(_bar(path, item) for item in items)) for path in paths
    ]


def _bar(path: _Path, item: str) -> Bar:
    from bench.ledger.predict import agrees  # noqa: PLC0415

    value, predicted = path.observed.get(item), path.predicted.get(item)
    agreeing = value is None or predicted is None or agrees(value, predicted)
    return Bar(value, predicted, "" if value is None else _figure(value), agreeing)
