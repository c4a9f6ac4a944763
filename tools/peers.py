"""Installs the programs of others that vnetbench can set its pump beside: `make peers`.

Which they are, `bench.programs` says; so this runs in .venv, after setup.
"""
# ruff: noqa: T201 (this is a program that talks)

import sys

from guest_kernel import fetch
from steps import SetupError, alone, say
from system import Need, has_programs, provide_system, same

from bench import programs
from bench.errors import MissingCapability
from bench.guests import image


def needs() -> list[Need]:
    """All programs, each with the package that has it."""
    return [*(need_of(programs.tool(name)) for name in programs.names()), *GUESTS]


GUESTS = [
    Need("QEMU", "test", has_programs("qemu-system-x86_64"), same("qemu-system-x86")),
    Need("busybox without libraries", "test", image.has_busybox, same("busybox-static")),
    Need("iperf3", "test", has_programs("iperf3"), same("iperf3")),
]


def provide_guest_kernel() -> None:
    """Fetch one where there is none."""
    try:
        image.find_kernel()
    except MissingCapability:
        with alone():
            fetch(image.PLACE)


def need_of(tool: programs.Tool) -> Need:
    """What a program is to `system`: with the same package everywhere."""
    packages = " ".join([tool.package, *tool.needs.values()])
    return Need(tool.title, "test", lambda: tool.missing() is None, (packages,) * 5)


def main() -> int:
    try:
        if missing := [need for need in needs() if not need.present()]:
            provide_system(missing)
        provide_guest_kernel()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    for name in programs.names():
        tool = programs.tool(name)
        say(f"{name}: {tool.missing() or tool.installed_version()}")
    say(f"guests: {image.missing() or image.find_kernel().image.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
