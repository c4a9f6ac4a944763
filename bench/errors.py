"""What can go wrong, in the user's words.

Every error a user can cause or meet is one of these. Its message is one line that names what is
wrong, where, and what to do; the command line prints it and exits with the class's code. A
traceback is therefore always a defect of vnetbench itself.
"""


class VnetbenchError(Exception):
    """Base of all errors meant for the user. `exit_code` is the process's exit status."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(_one_line(message))


class UsageError(VnetbenchError):
    """The request cannot be carried out as it was put: a wrong option, file or value."""


class ScenarioError(UsageError):
    """A scenario file (or an override of one of its parameters) is not valid."""

    def __init__(self, source: str, key: str, problem: str) -> None:
        self.source, self.key, self.problem = source, key, problem
        super().__init__(f"{source}: {key}: {problem}")


class CannotMeasure(VnetbenchError):
    """The request is valid, but this machine, kernel or path could not carry it out."""

    exit_code = 3


class MissingCapability(CannotMeasure):
    """The machine lacks something (a module, a permission, a program): a skip with a reason."""


def _one_line(text: str) -> str:
    """`text` with whatever would break a line or upset a terminal escaped, as in `repr`.

    Messages quote what stands in files and on the command line, which may be anything.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
