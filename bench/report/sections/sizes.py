"""What a packet's size does: goodput and packet rate by payload, and goodput by a parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.metrics import PACKET_RATES
from bench.report import curves
from bench.report.axes import show_at, show_values, span_of
from bench.report.cells import ends_field, interval_notes, interval_title
from bench.report.curves import Line, Panel
from bench.report.model import Column, Field, Picture, Section, Table
from bench.report.naming import slug
from bench.report.sources import Sources
from bench.results import CellSummary, ResultSet, summarise
from bench.units import format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GOODPUT = "tcp_goodput"
_BITS = 8
_RATES = {by_loss[0.0]: size for size, by_loss in PACKET_RATES.items()}
"""Metric of the rate without loss → bytes of payload."""


@dataclass(frozen=True)
class _Path:
    """A path and what was measured of it: at each of what is on the x axis, a summary."""

    label: str
    at: Mapping[float, CellSummary]


_Panels = Callable[[Sequence[_Path], Sequence[_Path]], list[Panel]]
"""Makes the panels of a picture from all paths, which set the axes, and those it shows."""


def make(sources: Sources) -> Section | None:
    """Rates of packets of several sizes, and goodput where a parameter has several values."""
    summaries = [summarise(results) for results in sources.sets]
    varied = list(_by_parameter(sources, summaries))
    blocks = [*_by_payload(sources, summaries), *varied]
    if not blocks:
        return None
    metrics = {*_RATES, *([_GOODPUT] if varied else [])}
    shown = [s for found in summaries for s in found if s.metric in metrics]
    notes = list(interval_notes(shown))
    if any(summary.metric in _RATES for found in summaries for summary in found):
        notes.append(
            "Goodput by payload is the packet rate times the bytes of UDP payload: the highest "
            "rate at which none is lost in half of the trials at least (RFC 9971)."
        )
    tables = [block for block in blocks if isinstance(block, Table)]
    if any(len({row[0].text for row in table.rows}) > curves.MOST for table in tables):
        notes.append(
            f"More than {curves.MOST} paths are not drawn as lines; the tables have them all."
        )
    lead = "A path that pays by the packet carries more the larger packets are; one that pays by "
    return Section(
        "sizes", "Packet sizes", lead + "the byte does not care.", tuple(blocks), tuple(notes)
    )


# ---- packet rates by payload --------------------------------------------------------------------


def _by_payload(
    sources: Sources, summaries: Sequence[Sequence[CellSummary]]
) -> Iterator[Picture | Table]:
    rated = [n for n, found in enumerate(summaries) if any(s.metric in _RATES for s in found)]
    names = sources.names
    by_arm: dict[str, dict[str, dict[float, CellSummary]]] = {}
    for number in rated:
        for summary in summaries[number]:
            if summary.metric in _RATES:
                label = (
                    f"{summary.variant} ({names[number]})" if len(rated) > 1 else (summary.variant)
                )
                at = by_arm.setdefault(summary.arm, {}).setdefault(label, {})
                at[_RATES[summary.metric]] = summary
    for arm, found in by_arm.items():
        paths = [_Path(label, dict(sorted(at.items()))) for label, at in found.items()]
        title, name = f"Packet rate and goodput by payload, {arm}", slug("sizes", arm)
        if any(len(path.at) > 1 for path in paths):
            yield from _pictures(name, title, paths, _payload_panels)
        yield _payload_table(f"{name}-table", title, paths)


def _payload_panels(paths: Sequence[_Path], shown: Sequence[_Path]) -> list[Panel]:
    """Goodput and packet rate, on axes that fit all of `paths`."""
    sizes = sorted({size for path in paths for size in path.at})

    def goodput(axis: Axes) -> None:
        show_at(axis, "x", sizes, "bytes of UDP payload")
        values = [end * size * _BITS for path in paths for size, end in _ends(path)]
        show_values(axis, "y", span_of(values), "bit/s", "goodput")

    def rate(axis: Axes) -> None:
        show_at(axis, "x", sizes, "bytes of UDP payload")
        values = [end for path in paths for _, end in _ends(path)]
        show_values(axis, "y", span_of(values), "packet/s", "packet rate")

    return [
        Panel(tuple(_line(path, by_size=True) for path in shown), goodput),
        Panel(tuple(_line(path, by_size=False) for path in shown), rate),
    ]


def _ends(path: _Path) -> Iterator[tuple[float, float]]:
    for at, summary in path.at.items():
        for end in (summary.median, *summary.ends):
            yield at, end


def _line(path: _Path, *, by_size: bool) -> Line:
    """Values as they are, or times the bits of what is on the x axis."""
    factors = {at: at * _BITS if by_size else 1.0 for at in path.at}
    points = tuple((at, summary.median * factors[at]) for at, summary in path.at.items())
    intervals = tuple(
        (at, *(end * factors[at] for end in summary.ends))
        for at, summary in path.at.items()
        if summary.blocks > 1
    )
    return Line(path.label, points, marked=points, intervals=intervals)  # type: ignore[arg-type]


def _payload_table(name: str, title: str, paths: Sequence[_Path]) -> Table:
    sizes = sorted({size for path in paths for size in path.at})
    kind = interval_title([summary for path in paths for summary in path.at.values()])
    columns = [Column("path")]
    for size in sizes:
        columns += [
            Column(f"{size} B: goodput", number=True),
            Column(f"{size} B: packet rate", number=True),
            Column(f"{size} B: {kind}", number=True),
        ]
    return Table(name, title, tuple(columns), tuple(_payload_fields(p, sizes) for p in paths))


def _payload_fields(path: _Path, sizes: Sequence[float]) -> tuple[Field, ...]:
    fields = [Field(path.label)]
    for size in sizes:
        summary = path.at.get(size)
        if summary is None:
            fields += [Field("not measured", tone="dim"), Field(""), Field("")]
            continue
        bits = summary.median * size * _BITS
        fields += [
            Field(format_value(bits, "bit/s"), bits),
            Field(format_value(summary.median, summary.unit), summary.median),
            ends_field(summary),
        ]
    return tuple(fields)


# ---- goodput by a parameter ---------------------------------------------------------------------


def _by_parameter(
    sources: Sources, summaries: Sequence[Sequence[CellSummary]]
) -> Iterator[Picture | Table]:
    names = sources.names
    found: dict[tuple[str, str], list[_Path]] = {}
    for number, results in enumerate(sources.sets):
        goodput = [summary for summary in summaries[number] if summary.metric == _GOODPUT]
        for (parameter, arm), varied in _varied(results, goodput).items():
            several = f" ({names[number]})" if sources.several else ""
            found.setdefault((parameter, arm), []).extend(
                _Path(f"{label}{several}", at) for label, at in varied.items()
            )
    for (parameter, arm), paths in found.items():
        title, name = f"TCP goodput by {parameter}, {arm}", slug("goodput", parameter, arm)
        yield from _pictures(name, title, paths, partial(_parameter_panels, parameter))
        yield _parameter_table(f"{name}-table", title, parameter, paths)


def _varied(
    results: ResultSet, goodput: Sequence[CellSummary]
) -> dict[tuple[str, str], dict[str, dict[float, CellSummary]]]:
    """Parameter and arm → path without that parameter → value of the parameter → goodput.

    Only of parameters that are numbers and have several values while all others stay the same.
    """
    groups: dict[tuple[str, str, str, str], dict[float, CellSummary]] = {}
    for summary in goodput:
        record = results.run.variants[summary.variant]
        for parameter, value in record.parameters.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            others = {k: v for k, v in record.parameters.items() if k != parameter}
            key = (parameter, summary.arm, record.scenario, str(sorted(others.items())))
            groups.setdefault(key, {})[value] = summary
    found: dict[tuple[str, str], dict[str, dict[float, CellSummary]]] = {}
    for (parameter, arm, _, _), at in groups.items():
        if len(at) > 1:
            label = _without(next(iter(at.values())).variant, parameter)
            found.setdefault((parameter, arm), {})[label] = dict(sorted(at.items()))
    return found


def _without(variant: str, parameter: str) -> str:
    """The variant's name without one parameter's value."""
    base, _, rest = variant.partition("[")
    kept = [part for part in rest.removesuffix("]").split(",") if part]
    kept = [part for part in kept if part.partition("=")[0] != parameter]
    return f"{base}[{','.join(kept)}]" if kept else base


def _parameter_panels(
    parameter: str, paths: Sequence[_Path], shown: Sequence[_Path]
) -> list[Panel]:
    places = sorted({at for path in paths for at in path.at})

    def dress(axis: Axes) -> None:
        show_at(axis, "x", places, parameter)
        values = [end for path in paths for _, end in _ends(path)]
        show_values(axis, "y", span_of(values), "bit/s", "TCP goodput")

    return [Panel(tuple(_line(path, by_size=False) for path in shown), dress)]


def _parameter_table(name: str, title: str, parameter: str, paths: Sequence[_Path]) -> Table:
    kind = interval_title([summary for path in paths for summary in path.at.values()])
    columns = (
        Column("path"),
        Column(parameter, number=True),
        Column("TCP goodput", number=True),
        Column(kind, number=True),
    )
    lines = [
        (
            Field(path.label),
            Field(f"{at:g}", at),
            Field(format_value(summary.median, summary.unit), summary.median),
            ends_field(summary),
        )
        for path in paths
        for at, summary in path.at.items()
    ]
    return Table(name, title, columns, tuple(lines))


# ---- pictures -----------------------------------------------------------------------------------


def _pictures(name: str, title: str, paths: Sequence[_Path], panels: _Panels) -> Iterator[Picture]:
    """None of so many paths that lines would not tell them apart."""
    if len(paths) <= curves.MOST:
        yield from curves.pictures(name, title, paths, _told, partial(panels, paths))


def _told(path: _Path) -> str:
    said = [
        f"{format_value(summary.median, summary.unit)} at {at:g}" for at, summary in path.at.items()
    ]
    return f"{path.label}: {', '.join(said)}"
