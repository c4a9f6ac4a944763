"""`vnetbench trend`: what many result sets say over time."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.console import Console

from bench.cli.options import ARMS


@click.command(epilog="Example: vnetbench trend results --metric rtt --scenario flannel-udp --all")
@click.argument(
    "folders", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path)
)
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Only this one [all].")
@click.option(
    "--scenario", "scenarios", multiple=True, metavar="NAME", help="Or one variant of it [all]."
)
@click.option("--arm", "arms", multiple=True, type=click.Choice(ARMS), help="[both]")
@click.option(
    "--margin",
    type=float,
    default=2.0,
    show_default=True,
    metavar="PERCENT",
    help="Changes up to this do not matter.",
)
@click.option("--all", "everything", is_flag=True, help="Also cells and changes of no matter.")
@click.option(
    "--fail", is_flag=True, help="Exit with 1 where a cell got slower and has not recovered."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, not the table.")
@click.pass_context
def trend(
    context: click.Context,
    folders: tuple[Path, ...],
    metrics: tuple[str, ...],
    scenarios: tuple[str, ...],
    arms: tuple[str, ...],
    margin: float,
    everything: bool,
    fail: bool,
    as_json: bool,
) -> None:
    """Show where the level of a metric changed in the history of many result sets.

    DIR is a result set or a folder that holds some. Sets of another machine, kernel or scenario
    file, or at another load, begin a new epoch; changes are looked for within epochs.

    \b
    Exit status: 0; 2 bad usage, or no result set; with --fail 1 where the last change of some
    cell in its latest epoch is for the worse.
    """
    # Imported here: numpy would slow every other command down.
    from bench.cli.trend_table import render_trend  # noqa: PLC0415
    from bench.trend.history import trend as find  # noqa: PLC0415

    found = find(folders, margin=margin / 100, metrics=metrics, scenarios=scenarios, arms=arms)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=1))
    else:
        render_trend(found, Console(highlight=False), everything=everything)
    context.exit(found.exit_code(fail=fail))
