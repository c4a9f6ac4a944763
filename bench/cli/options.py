"""What several commands have in common: options, examples, and the one document for machines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from bench.cli.completers import overrides, result_sets
from bench.errors import UsageError
from bench.run import BLOCKS
from bench.topology import Arm

_Command = TypeVar("_Command", bound=Callable[..., Any])

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


def examples(*commands: str) -> str:
    """The end of a command's help: commands that do something useful, as they are typed."""
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document, not the tables."
)


def print_json(document: Any) -> None:
    """Print what `--json` asks for: one document, and nothing else, on standard output."""
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=1).decode())


def refuse_beside(name: str, *allowed: str) -> None:
    """Refuse whatever was given beside an option that would leave it without effect.

    name, allowed: names of parameters; where none is allowed, --json is. Raises UsageError.
    """
    context, allowed = click.get_current_context(), allowed or ("as_json",)
    known = {str(parameter.name): parameter for parameter in context.command.params}
    given = click.core.ParameterSource.COMMANDLINE
    others = [
        parameter.opts[0] if isinstance(parameter, click.Option) else other.upper()
        for other, parameter in known.items()
        if other not in (name, *allowed) and context.get_parameter_source(other) == given
    ]
    if others:
        options = [known[other] for other in allowed if isinstance(known[other], click.Option)]
        but = ", ".join(option.opts[0] for option in options)
        takes = f"takes nothing but {but}" if but else "takes no other option"
        raise UsageError(f"{known[name].opts[0]} {takes}; leave out {', '.join(others)}")


override_option = click.option(
    "-p",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE[,VALUE]",
    shell_complete=overrides,
    help="Set a parameter of the scenario; several values make several variants.",
)

profile_option = click.option(
    "--profile",
    type=click.Choice(list(BLOCKS)),
    default="quick",
    show_default=True,
    help="How long to measure.",
)


def probes_option(known: Sequence[str], help_: str) -> Callable[[_Command], _Command]:
    """Choosing probes."""
    return click.option(
        "--probe",
        "probes",
        multiple=True,
        metavar="PROBE",
        type=click.Choice(known),
        help=f"{help_} PROBE: {', '.join(known)}.",
    )


blocks_option = click.option(
    "--blocks", type=click.IntRange(1, 1000), help="Instead of the profile's."
)

seed_option = click.option(
    "--seed", type=click.IntRange(0), help="Of the order of trials [random]."
)


def force_option(what: str) -> Callable[[_Command], _Command]:
    """Insisting on a file; what: its name in the help."""
    return click.option(
        "--force", is_flag=True, help=f"Overwrite {what} even if vnetbench did not write it."
    )


def _folder(*names: str, help_: str) -> Callable[[_Command], _Command]:
    return click.option(
        *names,
        metavar="DIR",
        type=click.Path(path_type=Path),
        shell_complete=result_sets,
        help=help_,
    )


def folder_option(help_: str) -> Callable[[_Command], _Command]:
    """Where what was measured goes."""
    return _folder("-o", "folder", help_=help_)


def resume_option(help_: str) -> Callable[[_Command], _Command]:
    """Going on with what was interrupted."""
    return _folder("--resume", help_=help_)


def source_option(help_: str) -> Callable[[_Command], _Command]:
    """Using what was measured before."""
    return _folder("--from", "source", help_=help_)
