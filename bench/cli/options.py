"""Options that several commands have in common."""

from __future__ import annotations

import click

override_option = click.option(
    "-p",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE[,VALUE]",
    help="Set a parameter of the scenario; several values make several variants.",
)
