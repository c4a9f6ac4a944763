"""How a value is written for people: a table of units, and one function."""

import math

_SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "bit/s": ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"), (1.0, "bit/s")),
    "packet/s": ((1e6, "Mpps"), (1e3, "kpps"), (1.0, "pps")),
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    "byte": ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1.0, "B")),
}


def format_value(value: float, unit: str, digits: int = 3) -> str:
    """Return `value` (in `unit`, a key of the table above or any text) with `digits` significant.

    >>> format_value(9.14e9, "bit/s")
    '9.14 Gbit/s'
    """
    scales = _SCALES.get(unit, ((1.0, unit),))
    factor, name = next((s for s in scales if abs(value) >= s[0]), scales[-1])
    return f"{significant(value / factor, digits)} {name}"


def significant(value: float, digits: int) -> str:
    """Return `value` with at least `digits` significant digits and no exponent."""
    if value == 0 or not math.isfinite(value):
        return str(value)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"
