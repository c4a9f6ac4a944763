"""`vnetbench compare`: did anything get slower?"""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.completers import result_sets
from bench.cli.options import examples, json_option, print_json
from bench.cli.streams import output
from bench.cli.tables import render_comparison


@click.command(
    epilog=examples(
        "vnetbench compare results/old results/new",
        "vnetbench compare results/old results/new --margin 2 --strict --json",
    )
)
@click.argument("old", type=click.Path(path_type=Path), shell_complete=result_sets)
@click.argument("new", type=click.Path(path_type=Path), shell_complete=result_sets)
@click.option(
    "--margin",
    type=float,
    default=5.0,
    show_default=True,
    metavar="PERCENT",
    help="Changes up to this do not matter; two runs on one machine drift apart by some.",
)
@click.option("--strict", is_flag=True, help='Exit with 3 also where it "cannot tell".')
@json_option
@click.pass_context
def compare(
    context: click.Context, old: Path, new: Path, margin: float, strict: bool, as_json: bool
) -> None:
    """Compare result set NEW with OLD: ratio, 95 % interval and verdict for every metric.

    Exit status 1: something got slower, or more is counted. 3: some of it could not be compared.
    """
    # Imported here: numpy would slow every other command down.
    from bench.compare import compare as compare_results  # noqa: PLC0415
    from bench.results import load  # noqa: PLC0415

    comparison = compare_results(load(old), load(new), margin / 100)
    if as_json:
        print_json(comparison)
    else:
        render_comparison(comparison, output())
    context.exit(comparison.exit_code(strict=strict))
