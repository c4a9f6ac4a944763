"""How figures are written for people: values in their units, ratios, and what was visible."""

import math
from collections.abc import Callable

_SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "bit/s": ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"), (1.0, "bit/s")),
    "packet/s": ((1e6, "Mpps"), (1e3, "kpps"), (1.0, "pps")),
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    "byte": ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1.0, "B")),
}


_IN_MINUTES = 90.0
"""Seconds from which on a duration is in minutes."""


def format_value(value: float, unit: str, digits: int = 3) -> str:
    """Return `value` (in `unit`, a key of the table above or any text) with `digits` significant.

    >>> format_value(9.14e9, "bit/s")
    '9.14 Gbit/s'
    """
    factor, name = scale_of(value, unit)
    return f"{significant(value / factor, digits)} {name}"


def scale_of(value: float, unit: str) -> tuple[float, str]:
    """Return the multiple of `unit` in which `value` is written: how many units, and its name.

    >>> scale_of(9.14e9, "bit/s")
    (1000000000.0, 'Gbit/s')
    """
    scales = _SCALES.get(unit, ((1.0, unit),))
    return next((s for s in scales if abs(value) >= s[0]), scales[-1])


def format_range(
    low: float, high: float, unit: str, write: Callable[[float, str], str] = format_value
) -> str:
    """Return the two ends of an interval of values; a unit that both have stands there once.

    write: how a value with its unit is written, the latter behind a space.

    >>> format_range(24.1e9, 26e9, "bit/s"), format_range(0.0009, 0.0011, "s")
    ('24.1 to 26.0 Gbit/s', '900 µs to 1.10 ms')
    """
    first, last = write(low, unit), write(high, unit)
    number, _, name = first.partition(" ")
    return f"{number if last.endswith(f' {name}') else first} to {last}"


def significant(value: float, digits: int) -> str:
    """Return `value` with at least `digits` significant digits and no exponent."""
    if value == 0 or not math.isfinite(value):
        return str(value)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def format_duration(seconds: float) -> str:
    """Return about how long something takes.

    >>> format_duration(89.6), format_duration(150)
    ('90 s', '2 min')
    """
    return f"{seconds:.0f} s" if seconds < _IN_MINUTES else f"{seconds / 60:.0f} min"


def counted(number: int, noun: str) -> str:
    """Return so many of something.

    >>> counted(1, "block"), counted(8, "block")
    ('1 block', '8 blocks')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def capitalised(text: str) -> str:
    """Return `text` as it begins a sentence; all but its first letter stays as it is."""
    return text[:1].upper() + text[1:]


def format_ratio(ratio: float) -> str:
    """Return new over old: three decimals where it is near 1, as that is where it matters.

    Three significant digits below a tenth, four from ten on, where decimals would say too little
    or too much.

    >>> [format_ratio(x) for x in (1.02, 0.9996, 0.0123, 24.12345)]
    ['1.020', '1.000', '0.0123', '24.12']
    """
    return significant(ratio, 4 if ratio >= 1 else 3)


def format_interval(low: float | None, high: float | None) -> str:
    """Return the two ends of a ratio's interval, or what stands for one that there is not."""
    return "-" if low is None or high is None else f"{format_ratio(low)} {format_ratio(high)}"


def format_times(ratio: float, digits: int = 2) -> str:
    """Return how many times as much one thing is as another: a size, not a change."""
    return f"{significant(ratio, digits)}x"


def format_visible(fraction: float | None) -> str:
    """Return the smallest change that would have been seen, or that none would."""
    return "never" if fraction is None else f"{fraction:.1%}"
