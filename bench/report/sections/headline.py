"""What one reads who reads no more: the ends of each metric, and how many verdicts there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.report.ends import ends
from bench.report.model import Block, Section, Words
from bench.report.naming import reason
from bench.report.sources import Sources
from bench.results import ResultSet, summarise
from bench.units import counted
from bench.why.experiment import PROFILE
from bench.why.sentences import in_short

if TYPE_CHECKING:
    from bench.compare import Comparison
    from bench.why.model import Answer


def make(sources: Sources) -> Section:
    """The first section; there always is one."""
    blocks: list[Block] = []
    for name, results, answer in zip(sources.names, sources.sets, sources.answers, strict=True):
        title = name if sources.several else ""
        if notices := tuple(_notices(results)):
            blocks.append(Words(notices, title, tone="bad"))
            title = ""
        if said := list(_measured(results, name, answer)):
            about, texts = zip(*said, strict=True)
            blocks.append(Words(texts, title, about=about))
    if sources.several:
        # Where nothing can be compared, what each set has is what one came for.
        blocks.insert(0 if sources.comparable else len(blocks), _compared(sources))
    lead = _several(sources) if sources.several else _origin(sources.sets[0])
    return Section("headline", "In short", lead, tuple(blocks))


# ---- where it comes from ------------------------------------------------------------------------


def _origin(results: ResultSet) -> str:
    """When and where a set was measured, as far as that is known."""
    run, found = results.run, results.run.environment
    cpus, hypervisor = found.get("cpus_online"), found.get("hypervisor")
    where = [
        counted(cpus, "CPU") if isinstance(cpus, int) else "",
        str(found.get("cpu_model") or ""),
        f"under {hypervisor}" if hypervisor and hypervisor != "none" else "",
        f"Linux {found['kernel_release']}" if found.get("kernel_release") else "",
    ]
    machine = ", ".join(filter(None, where)) or "a machine that is not known"
    return (
        f"Measured on {run.started[:10]} with the {run.asked.profile} profile in "
        f"{counted(run.asked.blocks, 'block')} on {machine}. {_spread(results)}"
    )


def _several(sources: Sources) -> str:
    return (
        f"{len(sources.sets)} result sets; where each comes from is under “Environment”. "
        f"{_spread(*sources.sets)}"
    )


def _spread(*sets: ResultSet) -> str:
    """What stands behind a figure: of `vnetbench why` in brackets, else in parentheses."""
    plain = [results for results in sets if results.run.asked.profile != PROFILE]
    said = ["In brackets: the 95 % interval."] if len(plain) < len(sets) else []
    return " ".join([*([_in_parentheses(plain)] if plain else []), *said])


def _in_parentheses(sets: Sequence[ResultSet]) -> str:
    exact = {s.low is not None for results in sets for s in summarise(results)}
    words = {
        frozenset({True}): "the 95 % interval of the median",
        frozenset({False}): "the lowest and the highest block: too few for an interval",
    }
    either = "its 95 % interval or, of too few blocks, the lowest and the highest"
    return f"In parentheses: {words.get(frozenset(exact), either)}."


def _notices(results: ResultSet) -> Iterator[str]:
    """What must be known before any figure is believed."""
    run = results.run
    planned, measured = len(run.plan), len(run.completed)
    if run.status != "complete":
        what = "has not finished" if run.status == "running" else "was interrupted"
        yield f"This run {what}: {measured} of {planned} trials were measured, and only they count."
    for missing, word in ((False, "failed"), (True, "were skipped")):
        count = sum(failure.missing == missing for failure in run.failures)
        if count:
            yield f"{count} of {planned} trials {word}; the reasons are under “Warnings”."


# ---- what was measured --------------------------------------------------------------------------


def _measured(
    results: ResultSet, name: str, answer: Answer | UsageError | None
) -> Iterator[tuple[str, str]]:
    """What is said of the figures of a set: what each is about, and a sentence."""
    if answer is None:
        yield from ends(results)
    elif isinstance(answer, UsageError):
        yield "Why", f"no answer: {reason(answer, results, name)}."
    else:
        yield from in_short(answer)


# ---- several sets -------------------------------------------------------------------------------


def _compared(sources: Sources) -> Words:
    """Each set after the first, compared with the first."""
    texts, worse = [], False
    first, *others = sources.sets
    for results, found in zip(others, sources.comparisons, strict=True):
        if not _planned(first) & _planned(results):
            texts.append("nothing in common, so nothing is compared.")
        elif isinstance(found, UsageError):
            texts.append(f"not compared: {found}.")
        else:
            worse |= bool(_verdicts(found) & {"slower", "worse"})
            texts.append(_totals(found))
    about = tuple(f"{name} after {sources.names[0]}" for name in sources.names[1:])
    return Words(tuple(texts), tone="bad" if worse else "", about=about)


def _planned(results: ResultSet) -> set[tuple[str, str, str]]:
    return {(trial.variant, trial.arm, trial.probe) for trial in results.run.plan}


def _verdicts(found: Comparison) -> set[str]:
    return {row.verdict for row in found.rows} | {row.verdict for row in found.counts}


def _totals(found: Comparison) -> str:
    parts = []
    if found.rows:
        timed = _counts((r.verdict for r in found.rows), ("faster", "slower", "cannot tell"))
        parts.append(f"of {counted(len(found.rows), 'timed cell')} {timed}")
    if found.counts:
        words = ("better", "worse", "same", "cannot tell")
        parts.append(
            f"of {counted(len(found.counts), 'count')} "
            f"{_counts((r.verdict for r in found.counts), words)}"
        )
    if left := len(found.refused) + len(found.failed):
        parts.append(f"{left} could not be compared")
    return "; ".join(parts) + "."


def _counts(verdicts: Iterable[str], words: Sequence[str]) -> str:
    found = Counter(verdicts)
    return ", ".join(f"{found[word]} {word}" for word in words)
