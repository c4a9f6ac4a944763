"""From the first instruction to the exit status: everything that can end the command line.

Whatever happens ends as one line on standard error and a status of `bench.errors.EXIT_STATUSES`;
a traceback never reaches the user.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import click
from click.shell_completion import shell_complete

from bench.errors import (
    BAD_USAGE,
    DEFECT,
    INTERRUPTED,
    READER_GONE,
    SUCCESS,
    VnetbenchError,
    did_you_mean,
    one_line,
)
from bench.interrupts import INTERRUPTS

PROGRAM = "vnetbench"
_STDOUT, _ESCAPED = "standard output", "backslashreplace"
COMPLETE = "_VNETBENCH_COMPLETE"
"""Variable in which a shell asks for completions; see `bench.cli.completion`."""


def main() -> NoReturn:
    """Run the command line and exit."""
    _open_standard_streams()
    for number in INTERRUPTS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    try:
        status = _status()
    except KeyboardInterrupt:  # once more, while the first was being answered
        status = INTERRUPTED
    for number in INTERRUPTS:  # nothing is left that could be interrupted
        signal.signal(number, signal.SIG_IGN)
    sys.exit(status)


def _status() -> int:
    """Do what is asked for; returns the exit status, with the reason on standard error."""
    try:
        return _carry_out()
    except (click.ClickException, VnetbenchError) as error:
        say(_words(error) if isinstance(error, click.ClickException) else str(error))
        return error.exit_code
    except (KeyboardInterrupt, EOFError, click.Abort):
        with suppress(OSError):
            if sys.stderr.isatty():  # the line has ^C in it
                click.echo(err=True)
        say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        _give_up_output()
        return READER_GONE
    except OSError as error:
        say(_trouble(error))
        _give_up_output()
        return BAD_USAGE
    except Exception as error:  # what is left is our own fault, and no regression of anybody's
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"internal error, please report: {text} ({Path(place.filename).name}:{place.lineno})")
        return DEFECT


def _carry_out() -> int:
    # Imported here: it imports this module. Not `cli.main()`, which answers a closed pipe with
    # status 1, a regression.
    from bench.cli import cli  # noqa: PLC0415

    if instruction := os.environ.get(COMPLETE):
        return shell_complete(cli, {}, PROGRAM, COMPLETE, instruction)
    try:
        with cli.make_context(PROGRAM, sys.argv[1:]) as context:
            cli.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else SUCCESS
    sys.stdout.flush()
    return SUCCESS


def _words(error: click.ClickException) -> str:
    """What click says of a mistake, with the choice that was probably meant, and where help is."""
    text = error.format_message().rstrip(".")
    if isinstance(error, click.BadParameter) and isinstance(
        choice := getattr(error.param, "type", None), click.Choice
    ):
        given = re.match(r"'(.*)' is not one of ", error.message)
        text += did_you_mean(given[1], map(str, choice.choices)) if given else ""
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{text} (see {context.command_path if context else PROGRAM} --help)"


def _trouble(error: OSError) -> str:
    """An error of the system's that nothing has foreseen, with the file, if one is known."""
    where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


class _Output(io.TextIOWrapper):
    """Standard output; what cannot be written there names it, as errors of files name the file."""

    def __init__(self, plain: io.TextIOWrapper) -> None:
        """Write where `plain` does, any text."""
        super().__init__(
            plain.buffer, plain.encoding, errors=_ESCAPED, line_buffering=plain.line_buffering
        )
        self._plain = plain  # which would close the buffer when it goes

    def write(self, text: str, /) -> int:
        """Write it, or raise OSError."""
        with _naming_output():
            return super().write(text)

    def flush(self) -> None:
        """Have it written, or raise OSError."""
        with _naming_output():
            super().flush()


@contextmanager
def _naming_output() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"cannot be written: {error.strerror}", _STDOUT) from None


def say(text: str) -> None:
    """An error, in one line on standard error."""
    with suppress(OSError):  # there is nobody left to tell
        click.echo(f"{PROGRAM}: {one_line(text)}", err=True)


def _give_up_output() -> None:
    """Let what is left of the output go nowhere: Python would complain of it at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(null, stream.fileno())


def _open_standard_streams() -> None:
    """Make standard streams that are closed lead nowhere, and let the others take any text.

    A file opened later would else have the number of standard output, and be written into.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors=_ESCAPED)
    if isinstance(out := sys.stdout, io.TextIOWrapper):
        sys.stdout = _Output(out)
