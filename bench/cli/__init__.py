"""The command line: what the user types, and every word that is printed.

Errors that are meant for the user end here as one line on standard error; see `bench.errors` for
the exit codes.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from pathlib import Path

import click

from bench import provenance
from bench.cli.ab import ab
from bench.cli.compare import compare
from bench.cli.doctor import doctor
from bench.cli.export import export
from bench.cli.gate import gate
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
from bench.errors import UsageError, VnetbenchError
from bench.run import INTERRUPTS

_INTERRUPTED, _BROKEN_PIPE, _INTERNAL_ERROR = 130, 141, 70


def _say_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        click.echo(provenance.line())
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_say_version,
    help="Show the version, the revision and how the C extension was built, and exit.",
)
def cli() -> None:
    """Measure Linux virtual-network paths: veth, bridge, routes, VXLAN, tun and tap forwarding.

    \b
    Exit status: 0 success (compare, gate, ab: no regression), 1 regression (doctor: something is
    wrong), 2 bad usage or input, 3 something could not be measured, 130 interrupted, 70 a defect
    of vnetbench itself.
    """


for command in (
    *(list_, show, run, report, compare, ab, gate, trend, export, selftest, peers_),
    *(why, ledger, capture, shell, pump, doctor),
):
    cli.add_command(command)


def main() -> None:
    """Run the command line and exit."""
    for number in INTERRUPTS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = cli.main(prog_name="vnetbench", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        click.echo(f"vnetbench: {error.format_message()} (see vnetbench --help)", err=True)
        sys.exit(error.exit_code)
    except VnetbenchError as error:
        click.echo(f"vnetbench: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("vnetbench: interrupted", err=True)
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) has had enough. Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_BROKEN_PIPE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"vnetbench: {where}{error.strerror or error}", err=True)
        sys.exit(UsageError.exit_code)
    except Exception as error:  # what is left is our own fault, and no regression of anybody's
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(f"{type(error).__name__}: {error}".split())
        click.echo(
            f"vnetbench: internal error, please report: {text} "
            f"({Path(place.filename).name}:{place.lineno})",
            err=True,
        )
        sys.exit(_INTERNAL_ERROR)
