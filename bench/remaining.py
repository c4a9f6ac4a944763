"""How long the rest of something takes, by how long its parts have taken so far."""

from __future__ import annotations

import math
import time

from bench.units import format_duration


class Remaining:
    """Time left of a number of parts that take about as long as each other."""

    def __init__(self, parts: int, *, each: float | None = None, within: float = math.inf) -> None:
        """each: seconds that a part takes, as long as none has ended. within: seconds for all."""
        self._parts, self._each, self._within = parts, each, within
        self._begun = time.monotonic()

    def after(self, done: float) -> str:
        """Words for the time left when so many parts are done, ", 40 s left"; empty: not known."""
        spent = time.monotonic() - self._begun
        each = spent / done if done else self._each
        if each is None:
            return ""
        left = min(each * (self._parts - done), max(0.0, self._within - spent))
        return f", {format_duration(left)} left"
