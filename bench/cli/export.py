"""`vnetbench export`: a result set in the format of another tool."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.completers import result_sets
from bench.cli.options import examples, force_option
from bench.export import EXPORTS
from bench.results import load
from bench.saving import save

_STDOUT = Path("-")


@click.command(
    epilog=examples(
        "vnetbench export bencher results/a -o bencher.json",
        "vnetbench export openmetrics results/a",
    )
)
@click.argument("format_", metavar="FORMAT", type=click.Choice(list(EXPORTS)))
@click.argument(
    "results", metavar="DIR", type=click.Path(path_type=Path), shell_complete=result_sets
)
@click.option(
    "-o", "file", metavar="FILE", type=click.Path(path_type=Path), help="[standard output]"
)
@force_option("FILE")
def export(format_: str, results: Path, file: Path | None, force: bool) -> None:
    """Write result set DIR in the FORMAT of another tool; docs/ci.md describes each.

    FORMAT is one of github-action-benchmark-smaller, github-action-benchmark-bigger (that tool
    takes either direction in a file of its own), bencher, openmetrics. A FILE that vnetbench wrote
    is overwritten, any other is not, and no file of a result set ever is.
    """
    text = EXPORTS[format_](load(results))
    if file in (None, _STDOUT):
        click.echo(text, nl=False)
    else:
        save(file, text.encode(), force=force)
