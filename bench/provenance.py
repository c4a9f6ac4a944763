"""Which vnetbench this is: its version, the revision of its source, how its extension was built.

The one source of what `vnetbench --version` says and of what a result set's fingerprint records.
"""

from __future__ import annotations

import re
from pathlib import Path

import bench
from bench.revision import revision as revision_of

_SHOWN = 12
"""Digits of a revision that a line of text shows."""


def revision() -> str | None:
    """The revision this runs from, or was built from; see `bench.revision`."""
    return revision_of(Path(bench.__file__).parent.parent)


def in_checkout() -> bool:
    """Whether this runs from a checkout, in which there is a Makefile to set things up with."""
    return (Path(bench.__file__).parent.parent / "Makefile").is_file()


def compiler() -> str:
    """The compiler that built the extension, and its version: "gcc 12.2.0".

    Raises ImportError where there is no extension.
    """
    # Imported here: all else can be said without the extension.
    from bench import native  # noqa: PLC0415

    return native.compiler()


def compiler_flags() -> str:
    """The compiler's options that decide on its code: "-O2 -fPIC". Raises ImportError."""
    from bench import native  # noqa: PLC0415

    return native.compiler_flags()


def liburing() -> str:
    """The version of the liburing built in; "none" where there is none. Raises ImportError."""
    from bench import native  # noqa: PLC0415

    return native.liburing()


def line() -> str:
    """All of it in one line."""
    found = revision()
    shown = re.sub(r"^([0-9a-f]{40})", lambda m: m[1][:_SHOWN], found or "revision not known")
    return (
        f"vnetbench {bench.__version__} ({shown}), "
        f"extension: {compiler()} {compiler_flags()}, io_uring {liburing()}"
    )
