"""Round-trip times of the closed loop: how the values lie, not only their median."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from bench.report import curves, rows
from bench.report.axes import Span, show_shares, show_values, span_of
from bench.report.curves import Line, Panel
from bench.report.model import Picture
from bench.report.naming import slug
from bench.report.rows import Chart, Mark, Row, Series
from bench.report.sources import Sources
from bench.units import format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RTT = "rtt"
_POINTS = 60
"""Of a line; between two hundred values nobody sees more."""


def round_trips(sources: Sources) -> tuple[Picture, ...]:
    """For each arm the distribution of pyperf's values of each path; none where there are none."""
    return tuple(
        picture for arm, values in _values(sources).items() for picture in _pictures(arm, values)
    )


def _values(sources: Sources) -> dict[str, dict[str, list[float]]]:
    """Arm → path (and set, where several have any) → all values in rising order."""
    names = sources.names
    having = [n for n, r in enumerate(sources.sets) if any(s.metric == _RTT for s in r.samples)]
    found: dict[str, dict[str, list[float]]] = {}
    for number in having:
        order = {variant: n for n, variant in enumerate(sources.sets[number].run.variants)}
        for arm in sources.sets[number].run.asked.arms:
            found.setdefault(arm, {})
        mine = [sample for sample in sources.sets[number].samples if sample.metric == _RTT]
        for sample in sorted(mine, key=lambda s: (order[s.variant], s.value)):
            label = f"{sample.variant} ({names[number]})" if len(having) > 1 else sample.variant
            found.setdefault(sample.arm, {}).setdefault(label, []).append(sample.value)
    return {arm: values for arm, values in found.items() if values}


def _pictures(arm: str, values: Mapping[str, list[float]]) -> Iterator[Picture]:
    title = f"Round-trip time, closed loop, {arm}"
    name = slug("round-trips", arm)
    if len(values) > curves.MOST:
        intro = f"{title}: lowest, middle and highest of pyperf's values"
        yield from rows.pictures(name, title, intro, _chart(values))
        return
    span = span_of(value for found in values.values() for value in (found[0], found[-1]))

    def panels(part: Sequence[tuple[str, list[float]]]) -> list[Panel]:
        return [Panel(tuple(_line(*item) for item in part), partial(_dress, span))]

    yield from curves.pictures(name, title, list(values.items()), _told, panels)


def _told(item: tuple[str, list[float]]) -> str:
    label, found = item
    low, middle, high = (format_value(_at(found, share), "s") for share in (0.0, 0.5, 1.0))
    return f"{label}: {low} to {high}, half of {len(found)} values up to {middle}"


def _at(found: Sequence[float], share: float) -> float:
    """The lowest value that at least a share of them reach at most; found: in rising order."""
    return found[max(0, math.ceil(share * len(found)) - 1)]


def _dress(span: Span, axis: Axes) -> None:
    show_values(axis, "x", span, "s", "round-trip time, closed loop")
    show_shares(axis, "y", "share of pyperf's values")


def _line(label: str, found: Sequence[float]) -> Line:
    return Line(label, tuple(_points(found)), ((_at(found, 0.5), 0.5),))


def _points(found: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Steps up from 0 to 1."""
    count = min(len(found), _POINTS)
    before = 0.0
    for number in range(1, count + 1):
        value = _at(found, (number - 1) / max(1, count - 1))
        yield value, before
        before = number / count
        yield value, before


def _chart(values: Mapping[str, list[float]]) -> Chart:
    return Chart(
        series=(Series("middle, with lowest and highest value", 0, "o"),),
        rows=tuple(
            Row(
                label,
                (
                    Mark(
                        0,
                        _at(found, 0.5),
                        found[0],
                        found[-1],
                        format_value(_at(found, 0.5), "s"),
                        bare=len(found) == 1,
                    ),
                ),
            )
            for label, found in values.items()
        ),
        label="round-trip time, closed loop",
        unit="s",
    )
