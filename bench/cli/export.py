"""`vnetbench export`: a result set in the format of another tool."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.completers import result_sets
from bench.cli.options import examples
from bench.errors import UsageError
from bench.export import EXPORTS
from bench.results import load


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
def export(format_: str, results: Path, file: Path | None) -> None:
    """Write result set DIR in the FORMAT of another tool; docs/ci.md describes each.

    FORMAT is one of github-action-benchmark-smaller, github-action-benchmark-bigger (that tool
    takes either direction in a file of its own), bencher, openmetrics.
    """
    text = EXPORTS[format_](load(results))
    if file is None:
        click.echo(text, nl=False)
    else:
        write(file, text)


def write(file: Path, text: str) -> None:
    """Put `text` in a file that the user named. Raises UsageError."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from None
