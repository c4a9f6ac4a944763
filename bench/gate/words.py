"""What the gate's report says, whatever it is written in: the words and the figures."""

from __future__ import annotations

from collections.abc import Iterator

from bench.gate.decide import Decision
from bench.gate.rules import STAGES
from bench.gate.session import Finding
from bench.metrics import METRICS
from bench.units import format_value, format_visible

HEADINGS = ("path", "metric", "arm", "baseline", "now", "change", "visible", "verdict")
"""Of the columns that `row` gives."""
_SMALL = 1000


def headline(decision: Decision) -> str:
    """The whole in a sentence."""
    count = len(decision.findings)
    if decision.verdict == "failed":
        failed = sum(found.fails for found in decision.findings)
        title = next(stage.title for stage in STAGES if stage.id == decision.decided_by)
        return f"failed: {_count(failed, 'confirmed regression')}, decided by {title}"
    if decision.verdict == "incomplete":
        problems = _count(len(decision.problems), "thing")
        where = " on this machine" if decision.excused else ""
        return (
            f"incomplete: {problems} could not be measured or compared{where}, nothing else got "
            "worse"
        )
    unconfirmed = sum(found.confirmed is False for found in decision.findings)
    if unconfirmed:
        return f"passed: {unconfirmed} of {count} cells got worse once and not again"
    return f"passed: no regression shown in {count} cells"


def row(found: Finding) -> tuple[str, ...]:
    """The figures of one cell, in the order of `HEADINGS`."""
    return (
        found.variant,
        METRICS[found.metric].title,
        found.arm,
        _figure(found.old, found.unit),
        _figure(found.new, found.unit),
        "" if found.change is None else f"{found.change:+.1%}",
        _visible(found),
        verdict(found),
    )


def verdict(found: Finding) -> str:
    """The verdict, and what the second look made of it."""
    if found.verdict != "worse":
        return f"{found.verdict}, once" if found.confirmed is False else found.verdict
    if not found.suspicious:
        return "worse (advice)"
    return {True: "worse, twice", False: "worse, once", None: "worse"}[found.confirmed]


def sentence(found: Finding) -> str:
    """One cell in a line of its own."""
    change = "" if found.change is None else f" ({found.change:+.1%})"
    old, new = _figure(found.old, found.unit), _figure(found.new, found.unit)
    return f"{found.name}: {old} → {new}{change}, {verdict(found)}"


def smallest_effects(decision: Decision) -> Iterator[str]:
    """For each metric that was timed, the smallest change that this run could have seen."""
    timed = [found for found in decision.findings if found.tolerance is None]
    for metric in dict.fromkeys(found.metric for found in timed):
        seen = [found.visible for found in timed if found.metric == metric]
        known = sorted(value for value in seen if value is not None)
        if not known:
            reason = next(found.reason for found in timed if found.metric == metric)
            yield f"{metric}: no change could have been seen; {reason}"
            continue
        ends = dict.fromkeys(format_visible(value) for value in (known[0], known[-1]))
        never = len(seen) - len(known)
        yield f"{metric}: the smallest change that could have been seen is {' to '.join(ends)}" + (
            f"; {never} of {len(seen)} cells have too few blocks to show any" if never else ""
        )


def _visible(found: Finding) -> str:
    if found.tolerance is not None:
        return f"> {_figure(found.tolerance, found.unit)}"
    return format_visible(found.visible)


def _figure(value: float, unit: str) -> str:
    """Counts have no unit that their title does not say."""
    if unit.endswith("/packet") or unit == "1":
        return f"{value:.2f}" if abs(value) < _SMALL else f"{value:.0f}"
    return format_value(value, unit)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
