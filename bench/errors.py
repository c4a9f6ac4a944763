"""What can go wrong, in the user's words, and the exit status that says so to a script.

Every error a user can cause or meet is one of these. Its message is one line that names what is
wrong, where, and what to do; the command line prints it and exits with the class's code. A
traceback is therefore always a defect of vnetbench itself.
"""

from __future__ import annotations

from collections.abc import Iterable

SUCCESS, REGRESSION, BAD_USAGE, NOT_MEASURED, UNDECIDED = 0, 1, 2, 3, 4
DEFECT, INTERRUPTED, READER_GONE = 70, 130, 141

EXIT_STATUSES = {
    SUCCESS: "success: done as asked, and nothing is shown to have got worse",
    REGRESSION: "a regression (doctor: data is harmed; selftest: ab errs too often)",
    BAD_USAGE: "bad usage or input: a wrong option, name, file or value",
    NOT_MEASURED: "valid, but something could not be measured or compared on this machine",
    UNDECIDED: "gate: something has no verdict, and the machine is not the reason",
    DEFECT: "a defect of vnetbench itself; please report it",
    INTERRUPTED: "interrupted (Ctrl-C, SIGTERM, SIGHUP); what was measured is kept",
    READER_GONE: "whoever read standard output has closed it, as head does",
}
"""Every exit status and its meaning. The help and docs/commands.md have them from here."""


class VnetbenchError(Exception):
    """Base of all errors meant for the user. `exit_code` is the process's exit status."""

    exit_code = BAD_USAGE

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class UsageError(VnetbenchError):
    """The request cannot be carried out as it was put: a wrong option, file or value."""


class ScenarioError(UsageError):
    """A scenario file (or an override of one of its parameters) is not valid."""

    def __init__(self, source: str, key: str, problem: str) -> None:
        self.source, self.key, self.problem = source, key, problem
        super().__init__(f"{source}: {key}: {problem}")


class CannotMeasure(VnetbenchError):
    """The request is valid, but this machine, kernel or path could not carry it out."""

    exit_code = NOT_MEASURED


class MissingCapability(CannotMeasure):
    """The machine lacks something (a module, a permission, a program): a skip with a reason."""


def one_line(text: str) -> str:
    """`text` with whatever would break a line or upset a terminal escaped, as in `repr`.

    Messages quote what stands in files and on the command line, which may be anything.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The known name nearest to a mistaken one, to be put after that; empty if none is near.

    >>> did_you_mean("vxln", ["veth", "vxlan"])
    ' (did you mean vxlan?)'
    """
    # Imported here: most commands are typed without a mistake.
    from difflib import get_close_matches  # noqa: PLC0415

    # A long text is no slip of the finger, and comparing it takes its square in time.
    near = get_close_matches(given[:_LONGEST], list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


_LONGEST = 100
"""Characters of a mistaken name that are looked at."""
