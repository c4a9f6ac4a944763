"""The pump's switches, as the table in `csrc/switches.h` lists them.

Command line, scenario parameters and documentation are made from `switches()`, so a new switch is
a new entry of that table and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from bench._vnetbench import ffi, lib
from bench.errors import did_you_mean
from bench.native.calls import entries, text

Settings = Mapping[str, int]
"""Name of a switch → its value. What is not there has the switch's initial value."""


@dataclass(frozen=True)
class Switch:
    """One technique, or handicap, of the pump.

    values: names of the values 0, 1, …; None: a whole number from `least` to `most`.
    """

    name: str
    values: tuple[str, ...] | None
    initial: int
    least: int
    most: int
    help: str

    @property
    def choices(self) -> str:
        """What it may be, as short as possible."""
        return ", ".join(self.values) if self.values else f"{self.least} to {self.most}"

    @property
    def expected(self) -> str:
        """What it may be, to follow the word "expected"."""
        return f"{'one of' if self.values else 'a whole number from'} {self.choices}"

    def show(self, value: int) -> int | str:
        """`value` as it is written on the command line and in scenario files."""
        return value if self.values is None else self.values[value]


@cache
def switches() -> dict[str, Switch]:
    """Every switch by its name, in the table's order."""
    found = (
        Switch(
            name=text(entry.name),
            values=None if entry.values == ffi.NULL else tuple(text(entry.values).split()),
            initial=entry.initial,
            least=entry.least,
            most=entry.most,
            help=text(entry.help),
        )
        for entry in entries(lib.vnb_switch_at)
    )
    return {switch.name: switch for switch in found}


def parse_setting(switch: Switch, given: str) -> int:
    """The value that `given` stands for. Raises ValueError, which says what was expected."""
    if switch.values is not None:
        if given in switch.values:
            return switch.values.index(given)
    elif re.fullmatch(r"-?[0-9]{1,18}", given) and switch.least <= int(given) <= switch.most:
        return int(given)
    near = did_you_mean(given, switch.values or ())
    raise ValueError(f"expected {switch.expected}{near}")
