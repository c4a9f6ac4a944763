"""`vnetbench trend`: what many result sets say over time."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli import completers
from bench.cli.options import ARMS, examples, json_option, print_json
from bench.cli.streams import output


@click.command(
    epilog=examples(
        "vnetbench trend results",
        "vnetbench trend results --metric rtt --scenario flannel-udp --all",
        "vnetbench trend results --fail --json",
    )
)
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    metavar="DIR...",
    type=click.Path(path_type=Path),
    shell_complete=completers.result_sets,
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    shell_complete=completers.metrics,
    help="Only this one [all].",
)
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="NAME",
    shell_complete=completers.scenarios,
    help="Or one variant of it [all].",
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
@json_option
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

    Exit status 1, with --fail only: the last change of some cell in its latest epoch is for the
    worse.
    """
    # Imported here: numpy would slow every other command down.
    from bench.cli.trend_table import render_trend  # noqa: PLC0415
    from bench.trend.history import trend as find  # noqa: PLC0415

    found = find(folders, margin=margin / 100, metrics=metrics, scenarios=scenarios, arms=arms)
    if as_json:
        print_json(found)
    else:
        render_trend(found, output(), everything=everything)
    context.exit(found.exit_code(fail=fail))
