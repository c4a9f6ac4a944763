"""The command line: what the user types, and every word that is printed.

Errors that are meant for the user end as one line on standard error; see `bench.errors` for them
and the exit statuses, and `bench.cli.entry` for how a command ends.
"""

from __future__ import annotations

import click

from bench import provenance
from bench.cli.ab import ab
from bench.cli.compare import compare
from bench.cli.completion import completion
from bench.cli.doctor import doctor
from bench.cli.entry import main
from bench.cli.export import export
from bench.cli.gate import gate
from bench.cli.group import GroupedCommands
from bench.cli.ledger import ledger
from bench.cli.live import capture, shell
from bench.cli.peers import peers_
from bench.cli.pump import pump
from bench.cli.report import report
from bench.cli.run import run
from bench.cli.scenarios import list_, show
from bench.cli.selftest import selftest
from bench.cli.trend import trend
from bench.cli.why import why

__all__ = ["cli", "main"]


def _say_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        click.echo(provenance.line())
        context.exit()


@click.group(
    cls=GroupedCommands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_say_version,
    help="Show the version, the revision and how the C extension was built, and exit.",
)
@click.pass_context
def cli(context: click.Context) -> None:
    """Measure Linux virtual-network paths: veth, bridge, routes, VXLAN, tun and tap forwarding.

    Each command has a --help with examples.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (
    *(list_, show, run, report, compare, ab, gate, trend, export, selftest, peers_),
    *(why, ledger, capture, shell, pump, doctor, completion),
):
    cli.add_command(command)
