"""Axes whose ticks say their values as the rest of the report does, in the units of the field."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench.units import format_value, scale_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Which = Literal["x", "y"]

_DECADE = 10.0
"""Values that lie further apart than this factor are shown on a log axis."""
_TICKS = 6
_DIGITS = ((2.2, (1, 2, 5)), (3.3, (1, 3)))
"""Digits that ticks of a log axis begin with, for so many decades at the most."""
_NEAR_ONE: tuple[tuple[float, ...], ...] = (
    (1.0,),
    (0.1, 10.0, 0.01, 100.0, 0.001, 1000.0),
    (0.5, 2.0, 0.2, 5.0, 0.05, 20.0, 0.02, 50.0),
    (0.8, 1.25, 0.7, 1.5, 0.3, 3.0),
    (0.9, 1.1, 0.95, 1.05, 0.98, 1.02, 0.99, 1.01),
)
"""Ratios that ticks may stand at, those that are wanted most first."""
_SHARES = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)


@dataclass(frozen=True)
class Span:
    """What an axis shows, in SI units. log: its scale."""

    low: float
    high: float
    log: bool


def span_of(values: Iterable[float]) -> Span:
    """An axis for all of `values`: a log one where they lie more than a decade apart, else from 0.

    With none at all it goes from 0 to 1.
    """
    found = list(values)
    low, high = min(found, default=0.0), max(found, default=1.0)
    if low > 0 and high / low > _DECADE:
        return Span(low / 1.25, high * 1.25, log=True)
    return Span(min(0.0, low * 1.05), high * 1.05 or 1.0, log=False)


def ratio_span(ratios: Iterable[float]) -> Span:
    """A log axis around 1 for all of `ratios`, which are positive."""
    found = list(ratios)
    low, high = min(found, default=1.0), max(found, default=1.0)
    room: float = max(1.0, high / low, high, 1 / low) ** 0.06
    return Span(min(low / room, 1 / 1.1), max(high * room, 1.1), log=True)


def show_values(axis: Axes, which: Which, span: Span, unit: str, label: str) -> None:
    """Values in `unit`: with the unit at each tick of a log axis, else once beside the label."""
    if span.log:
        ticks = {tick: _bare(format_value(tick, unit)) for tick in log_ticks(span)}
        _show(axis, which, span, ticks, label)
        return
    factor, name = scale_of(max(abs(span.low), abs(span.high)), unit)
    ticks = {tick: f"{tick / factor:g}" for tick in linear_ticks(span)}
    _show(axis, which, span, ticks, f"{label}, {name}" if name not in ("", "1") else label)


def show_ratios(axis: Axes, which: Which, span: Span, label: str) -> None:
    """Ratios around 1."""
    _show(axis, which, span, {tick: f"{tick:g}" for tick in ratio_ticks(span)}, label)


def show_shares(axis: Axes, which: Which, label: str) -> None:
    """Shares from none to all."""
    ticks = {share / 4: f"{25 * share} %" for share in range(5)}
    _show(axis, which, Span(0.0, 1.02, log=False), ticks, label)


def show_percentiles(axis: Axes, limit: float, label: str) -> None:
    """The x axis of a percentile plot: 1 / (1 - p) on a log scale, up to share `limit`."""
    end = 1.15 * beyond(max(limit, _SHARES[2]))
    ticks = {beyond(p): f"{100 * p:.6g} %" for p in _SHARES if beyond(p) <= end}
    _show(axis, "x", Span(1.0, end, log=True), ticks, label)


def show_at(axis: Axes, which: Which, places: Sequence[float], label: str) -> None:
    """Ticks at `places` alone, which are the only ones where anything was measured."""
    span = span_of(places)
    if span.log:
        span = Span(span.low / 1.1, span.high * 1.1, log=True)
    else:
        room = 0.08 * (max(places) - min(places)) or 1.0
        span = Span(min(places) - room, max(places) + room, log=False)
    _show(axis, which, span, {place: f"{place:g}" for place in places}, label)


def beyond(share: float) -> float:
    """Where a percentile stands on its axis: one datagram in so many takes longer."""
    return 1 / (1 - share)


def _show(axis: Axes, which: Which, span: Span, ticks: dict[float, str], label: str) -> None:
    from matplotlib.ticker import NullLocator  # noqa: PLC0415

    scale = "log" if span.log else "linear"
    axis.set(**{f"{which}scale": scale, f"{which}lim": (span.low, span.high)})
    if which == "x":
        axis.set_xticks(list(ticks), list(ticks.values()))
        axis.set_xlabel(label)
        axis.xaxis.set_minor_locator(NullLocator())
    else:
        axis.set_yticks(list(ticks), list(ticks.values()))
        axis.set_ylabel(label)
        axis.yaxis.set_minor_locator(NullLocator())


# ---- where ticks stand --------------------------------------------------------------------------


def log_ticks(span: Span) -> list[float]:
    """1, 2 and 5 of each decade, fewer where there are many decades."""
    first, last = math.floor(math.log10(span.low)), math.ceil(math.log10(span.high))
    decades = math.log10(span.high / span.low)
    digits = next((d for most, d in _DIGITS if decades < most), (1,))
    every = 1 + int(decades // (_TICKS + 2))
    ticks = [
        float(f"{digit}e{power}") for power in range(first, last + 1, every) for digit in digits
    ]
    return [tick for tick in ticks if span.low <= tick <= span.high]


def linear_ticks(span: Span) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, at most about six."""
    rough = (span.high - span.low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(n * power for n in (1, 2, 5, 10) if n * power >= rough)
    first, last = math.ceil(span.low / step), math.floor(span.high / step)
    return [number * step for number in range(first, last + 1)]


def ratio_ticks(span: Span) -> list[float]:
    """1, and what is wanted most of other ratios as far as there is room."""
    apart = math.log(span.high / span.low) / (_TICKS + 2)
    found: list[float] = []
    for tick in (tick for ticks in _NEAR_ONE for tick in ticks):
        inside = span.low <= tick <= span.high
        if inside and all(abs(math.log(tick / other)) >= apart for other in found):
            found.append(tick)
    return sorted(found)


def _bare(text: str) -> str:
    """Without decimals that say nothing: "5.00 Gbit/s" is "5 Gbit/s"."""
    number, _, name = text.partition(" ")
    return f"{float(number):g} {name}".rstrip()
