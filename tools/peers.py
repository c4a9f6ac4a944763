"""Installs the programs of others that vnetbench can set its pump beside: `make peers`.

Which they are, `bench.programs` says; so this runs in .venv, after setup.
"""
# ruff: noqa: T201 (this is a program that talks)

import sys

from steps import SetupError, say
from system import Need, provide_system

from bench import programs


def needs() -> list[Need]:
    """All programs, each with the package that has it."""
    return [need_of(programs.tool(name)) for name in programs.names()]


def need_of(tool: programs.Tool) -> Need:
    """What a program is to `system`: with the same package everywhere."""
    packages = " ".join([tool.package, *tool.needs.values()])
    return Need(tool.title, "test", lambda: tool.missing() is None, (packages,) * 5)


def main() -> int:
    try:
        if missing := [need for need in needs() if not need.present()]:
            provide_system(missing)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    for name in programs.names():
        tool = programs.tool(name)
        say(f"{name}: {tool.missing() or tool.installed_version()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
