"""`vnetbench compare`: did anything get slower?"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.console import Console

from bench.cli.tables import render_comparison


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--margin",
    type=float,
    default=5.0,
    show_default=True,
    metavar="PERCENT",
    help="Changes up to this do not matter; two runs on one machine drift apart by some.",
)
@click.option("--strict", is_flag=True, help='Exit with 3 also where it "cannot tell".')
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, not the table.")
@click.pass_context
def compare(
    context: click.Context, old: Path, new: Path, margin: float, strict: bool, as_json: bool
) -> None:
    """Compare result set NEW with OLD: ratio, 95 % interval and verdict for every metric.

    \b
    Exit status: 0 no regression shown, 1 regression, 2 bad usage or nothing comparable,
    3 something could not be measured or compared.
    """
    # Imported here: numpy would slow every other command down.
    from bench.compare import compare as compare_results  # noqa: PLC0415
    from bench.results import load  # noqa: PLC0415

    comparison = compare_results(load(old), load(new), margin / 100)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(comparison), indent=1))
    else:
        render_comparison(comparison, Console(highlight=False))
    context.exit(comparison.exit_code(strict=strict))
