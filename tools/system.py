"""What the system must provide: how each thing is recognised, and how to get it.

A thing is recognised by what it does (this compiles, that library loads), not by the name of a
package, so that it does not matter how it came onto the machine.
"""
# ruff: noqa: S603, S607 (this runs the compiler, sudo and apt-get that PATH leads to)

import ctypes
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from steps import SetupError, run, say

# The interpreter itself, also when this runs under .venv's link to it.
PYTHON = os.path.realpath(sys.executable)
MINOR = sys.version_info.minor
IS_DISTRIBUTIONS_PYTHON = PYTHON.startswith("/usr/bin/")

Packages = tuple[str, str, str, str, str]  # one entry for each of INSTALL_COMMANDS


@dataclass(frozen=True)
class Need:
    """Something no Python package brings along, recognised by what it does.

    When: "build" is checked only when there is something to build, as is "wish", which nothing
    depends on; "run" always; "test" always before the tests; "trace" before what counts with the
    tracer, and before the tests, and there nothing depends on it either.
    """

    what: str
    when: Literal["build", "wish", "run", "trace", "test"]
    present: Callable[[], bool]
    packages: Packages


INSTALL_COMMANDS = {
    "Debian, Ubuntu": "apt-get install",
    "Fedora, RHEL": "dnf install",
    "Arch": "pacman -S",
    "openSUSE": "zypper install",
    "Alpine": "apk add",
}


def compiles(source: str, *flags: str) -> bool:
    """Can the compiler that Python's extensions are built with make a library of `source`?"""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    with tempfile.TemporaryDirectory() as scratch:
        command = [*compiler, *flags, "-fPIC", "-shared", "-xc", "-", "-o", f"{scratch}/probe.so"]
        try:
            probe = subprocess.run(
                command, check=False, input=source, capture_output=True, text=True
            )
        except OSError:
            return False
        return probe.returncode == 0


def has_compiler() -> bool:
    return compiles("#include <stdio.h>\n#include <linux/if_tun.h>\n")


def has_headers() -> bool:
    include = sysconfig.get_config_var("INCLUDEPY")
    if not has_compiler():  # that is reported by itself; the headers may still be there
        return Path(include, "Python.h").exists()
    return compiles("#include <Python.h>\n", f"-I{include}")


def has_sanitizers() -> bool:
    return compiles("int probe;\n", "-fsanitize=address,undefined")


def has_venv() -> bool:
    try:
        import ensurepip  # noqa: F401, PLC0415 (Debian's python3 comes without it)
    except ImportError:
        return False
    return True


def has_libiperf() -> bool:
    try:
        ctypes.CDLL("libiperf.so.0")
    except OSError:
        return False
    return True


def has_liburing() -> bool:
    return compiles(
        "#include <liburing.h>\nvoid *probe(void) { return io_uring_register_buf_ring; }\n",
        "-D_GNU_SOURCE",
        "-luring",
    )


def has_programs(*names: str) -> Callable[[], bool]:
    # Debian keeps these where an ordinary user's PATH does not lead.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return lambda: all(shutil.which(name, path=path) for name in names)


def has_chromium() -> bool:
    return any(has_programs(name)() for name in ("chromium", "chromium-browser"))


def same(package: str) -> Packages:
    return (package,) * 5


def of_python(*packages: str) -> Packages:
    """Return the packages of the distribution's Python; they cannot complete another one."""
    debian, fedora, arch, suse, alpine = packages if IS_DISTRIBUTIONS_PYTHON else ("",) * 5
    return (debian, fedora, arch, suse, alpine)


NEEDS = (
    Need(
        what="a C compiler with the C library's and the kernel's headers",
        when="build",
        present=has_compiler,
        packages=("gcc libc6-dev", "gcc", "gcc", "gcc", "gcc musl-dev linux-headers"),
    ),
    Need(
        what=f"the C headers of Python 3.{MINOR}",
        when="build",
        present=has_headers,
        packages=of_python(
            f"python3.{MINOR}-dev",
            "python3-devel",
            "python",
            f"python3{MINOR}-devel",
            "python3-dev",
        ),
    ),
    Need(
        what=f"the venv module of Python 3.{MINOR}",
        when="build",
        present=has_venv,
        packages=of_python(
            f"python3.{MINOR}-venv", "python3", "python", f"python3{MINOR}", "python3"
        ),
    ),
    Need(
        what="liburing and its headers (2.2 or newer; without it the pump has no io=uring)",
        when="wish",
        present=has_liburing,
        packages=(
            "liburing-dev",
            "liburing-devel",
            "liburing",
            "liburing-devel",
            "liburing-dev",
        ),
    ),
    Need(
        what="libiperf (libiperf.so.0)",
        when="run",
        present=has_libiperf,
        packages=("libiperf0", "iperf3", "iperf3", "libiperf0", "iperf3"),
    ),
    Need(
        what="ip and bridge",
        when="test",
        present=has_programs("ip", "bridge"),
        packages=("iproute2", "iproute", "iproute2", "iproute2", "iproute2"),
    ),
    Need(
        what="iperf3",
        when="test",
        present=has_programs("iperf3"),
        packages=("iperf3", "iperf3", "iperf3", "iperf", "iperf3"),
    ),
    Need("ethtool", "test", has_programs("ethtool"), same("ethtool")),
    Need("tcpdump", "test", has_programs("tcpdump"), same("tcpdump")),
    Need("strace", "test", has_programs("strace"), same("strace")),
    Need("zsh", "test", has_programs("zsh"), same("zsh")),
    Need("fish", "test", has_programs("fish"), same("fish")),
    Need("Chromium, for the pages of reports", "test", has_chromium, same("chromium")),
    Need("bpftrace", "trace", has_programs("bpftrace"), same("bpftrace")),
    Need(
        what="the compiler's address and undefined-behaviour sanitizers",
        when="test",
        present=has_sanitizers,
        packages=("gcc", "libasan libubsan", "gcc", "gcc", "gcc"),
    ),
)


def packages_of(needs: Sequence[Need], column: int) -> list[str]:
    words = [word for need in needs for word in need.packages[column].split()]
    return list(dict.fromkeys(words))


def missing_needs(building: bool, testing: bool, tracing: bool) -> list[Need]:
    wanted = {
        "run": True,
        "build": building,
        "wish": building,
        "test": testing,
        "trace": testing or tracing,
    }
    return [need for need in NEEDS if wanted[need.when] and not need.present()]


def provide_system(missing: Sequence[Need]) -> None:
    """Install what the system lacks, or raise SetupError that says what to install."""
    apt_install(missing)
    missing = [need for need in missing if not need.present()]
    if not missing:
        return
    # On a developer's machine what lacks its tool is skipped; in CI nothing may be.
    if all(need.when in ("wish", "test", "trace") for need in missing) and not os.environ.get("CI"):
        say(f"missing, so some things will be skipped: {'; '.join(n.what for n in missing)}")
        return
    raise SetupError(missing_message(missing))


def missing_message(missing: Sequence[Need]) -> str:
    lines = ["this machine lacks:", *(f"  {need.what}" for need in missing)]
    if packages_of(missing, column=0):
        lines.append("install the packages that provide them, then run make again:")
        for column, (distribution, command) in enumerate(INSTALL_COMMANDS.items()):
            lines.append(f"  {distribution:16}{command} {' '.join(packages_of(missing, column))}")
    if not all(need.packages[0] for need in missing):
        lines.append(f"no package completes {PYTHON}; name another with make PYTHON=/path/to/it")
    return "\n".join(lines)


def apt_install(missing: Sequence[Need]) -> None:
    """Install with apt-get if this is Debian or a relative and we may; else do nothing."""
    packages = packages_of(missing, column=0)
    if not packages or not shutil.which("apt-get"):
        return
    sudo = as_root()
    if sudo is None:
        return
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-oDPkg::Lock::Timeout=120"]
    say(f"missing: {'; '.join(need.what for need in missing)}")
    say(f"installing with {'sudo ' if sudo else ''}apt-get: {' '.join(packages)}")
    # A failure is not the end: an unreachable third-party source need not matter, and what is
    # missing afterwards is reported all the same.
    with suppress(SetupError):
        run([*apt, "update"])
    try:
        run([*apt, "install", "-y", "--no-install-recommends", *packages])
    except SetupError as error:
        say(str(error))


def as_root() -> list[str] | None:
    """Return the words that make a command run as root, None when there is no way."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    if sys.stdin.isatty() and not os.environ.get("CI"):
        return ["sudo"]
    # Nobody is there to type a password.
    trial = subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True)
    return ["sudo", "-n"] if trial.returncode == 0 else None
