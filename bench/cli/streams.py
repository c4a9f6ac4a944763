"""Where words go: results to standard output, all else to standard error."""

from __future__ import annotations

from typing import NoReturn

from rich.console import Console


class _Stream(Console):
    """A console whose reader may go away: that is answered in one place, `bench.cli.entry`."""

    def on_broken_pipe(self) -> NoReturn:
        """Let the error pass, where rich would exit with 1, the status of a regression."""
        raise  # noqa: PLE0704 - rich calls this where it has caught it


def output() -> Console:
    """Standard output. Numbers are not coloured: colour means a verdict."""
    return _Stream(highlight=False)


def messages() -> Console:
    """Standard error."""
    return _Stream(stderr=True, highlight=False)


def shows_progress(console: Console) -> bool:
    """Whether somebody looks at `console` who wants to see how far it is.

    Not whether it may be coloured, which FORCE_COLOR says of a file, too.
    """
    return console.file.isatty() and console.is_interactive
