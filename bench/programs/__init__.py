"""Programs of others that move packets: each module here is one, found by its name."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path

from bench.programs.base import End, Launch, Proxied, Secrets, Tool, Value

_OURS = {"base"}


def names() -> list[str]:
    """All of them, in alphabetical order; where a module's name has "_", the program's has "-"."""
    found = (
        module.name.replace("_", "-")
        for module in pkgutil.iter_modules([str(Path(__file__).parent)])
    )
    return sorted(set(found) - _OURS)


@cache
def tool(name: str) -> Tool:
    """The program `name`, one of `names()`."""
    found: Tool = import_module(f"{__name__}.{name.replace('-', '_')}").TOOL
    return found


__all__ = ["End", "Launch", "Proxied", "Secrets", "Tool", "Value", "names", "tool"]
