"""The command `vnetbench`, and `python -m bench`: the same."""

from __future__ import annotations

import logging
import signal
import sys

_CANNOT_START = 3
"""As for everything that this machine could not carry out; see `bench.errors`."""


def main() -> None:
    """Run the command line and exit; say in one line what is missing for it."""
    # Until all is imported nobody is there who could answer an interrupt: it ends us without a
    # word, as a traceback out of somebody's module would say nothing.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # It warns where it has no home to keep fonts in, which costs some time and nothing else.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        from bench.cli import main as run  # noqa: PLC0415
    except ImportError as error:
        sys.stderr.write(f"vnetbench: cannot start: {_lack(error)}\n")
        sys.exit(_CANNOT_START)
    run()


def _lack(error: ImportError) -> str:
    """What could not be imported, and what to do about it."""
    again = "run make setup in the checkout, or install vnetbench again with pip"
    if error.name == "bench._vnetbench":
        return f"the C extension is not built or cannot be loaded ({error}); {again}"
    return f"{error}; {again}"


if __name__ == "__main__":
    main()
