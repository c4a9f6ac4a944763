"""Options that several commands have in common."""

from __future__ import annotations

import math
from typing import Any

import click

from bench.topology import Arm

ARMS = [str(arm) for arm in Arm]
"""The arms' names, the default first."""


class Finite(click.FloatRange):
    """A number of a range, which neither "inf" nor "nan" is."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it, or fail in one line."""
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is not a finite number", param, ctx)
        return found


def also_given(*names: str) -> list[str]:
    """What was given on the command line besides the parameters `names`, as one would write it."""
    context = click.get_current_context()
    given = click.core.ParameterSource.COMMANDLINE
    return [
        parameter.opts[0] if isinstance(parameter, click.Option) else str(parameter.name).upper()
        for parameter in context.command.params
        if parameter.name not in names
        and context.get_parameter_source(parameter.name or "") == given
    ]


override_option = click.option(
    "-p",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE[,VALUE]",
    help="Set a parameter of the scenario; several values make several variants.",
)
