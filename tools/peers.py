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
from bench.etcd import server
from bench.guests import image

_ELSEWHERE = ("etcd",) * 4
"""The package of etcd outside Debian."""


def needs() -> list[Need]:
    """What is not ours: programs, what guests are made of, the etcd that routes may come from."""
    return [
        *(need_of(programs.tool(name)) for name in programs.names()),
        *GUESTS,
        etcd_need("etcd, for routes from leases", "etcd", "etcd-server"),
        etcd_need("etcdctl, for the commands that `show` prints", "etcdctl", "etcd-client"),
    ]


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


def etcd_need(title: str, executable: str, package: str) -> Need:
    """What a program of etcd is to `system`: in a package of its own on Debian only."""
    return Need(title, "test", has_programs(executable), (package, *_ELSEWHERE))


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
    say(f"etcd: {server.missing() or server.version()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
