"""Options that several commands have in common."""

from __future__ import annotations

import click

from bench.topology import Arm

ARMS = [str(arm) for arm in Arm]
"""The arms' names, the default first."""

override_option = click.option(
    "-p",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE[,VALUE]",
    help="Set a parameter of the scenario; several values make several variants.",
)
