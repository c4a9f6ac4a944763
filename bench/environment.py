"""The fingerprint of the machine: what a result depends on besides the code that was measured.

Each fact is one field of `Environment` with the function that reads it. None means that the fact
could not be read here: it is hidden, unsupported, or its reader failed. It never stands for
"no" or "none", which are written out.
"""

import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import bench
from bench import provenance, readers
from bench.readers import line_value, output, read_text

# ---- kernel and machine -------------------------------------------------------------------------


def _machine() -> str | None:
    """Vendor and product as the firmware names them; virtual machines name their platform here."""
    words = [read_text(f"/sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name")]
    return " ".join(filter(None, words)) or read_text("/proc/device-tree/model")


CONTAINER_FILES = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}


def _container() -> str | None:
    """The container runtime by the marks it leaves, "none" when init can be seen to have none."""
    marks = (name for path, name in CONTAINER_FILES.items() if Path(path).exists())
    if mark := next(marks, None) or read_text("/run/systemd/container"):
        return mark
    # Kubernetes' containerd leaves no file, but names the group.
    if group := re.search(r"kubepods|docker|lxc", read_text("/proc/1/cgroup") or ""):
        return group[0]
    init = read_text("/proc/1/environ")
    if init is None:
        return None
    variable = re.search(r"(?:^|\0)container=([^\0]+)", init)
    return variable[1] if variable else "none"


# ---- processors ---------------------------------------------------------------------------------


def _cpu_model() -> str | None:
    # /proc/cpuinfo has no model name on Arm, where lscpu knows the part numbers.
    return line_value(read_text("/proc/cpuinfo"), "model name") or line_value(
        output("lscpu"), "Model name"
    )


# ---- software -----------------------------------------------------------------------------------


def _python_libraries() -> dict[str, str]:
    """Versions of the libraries vnetbench itself names as dependencies."""
    required = importlib.metadata.requires("vnetbench") or []
    names = [re.split(r"[^\w.-]", line)[0] for line in required if "extra ==" not in line]
    return {name: importlib.metadata.version(name) for name in sorted(names)}


# libiperf keeps process-wide state and installs handlers, so it is loaded in a child of its own.
LIBIPERF_VERSION = """
import ctypes
library = ctypes.CDLL("libiperf.so.0")
library.iperf_get_iperf_version.restype = ctypes.c_char_p
print(library.iperf_get_iperf_version().decode())
"""


# ---- the fingerprint ----------------------------------------------------------------------------


def fact(title: str, read: Callable[[], object], *, matters: bool) -> Any:
    """Declare a field of `Environment`.

    title: what it is called in text. read: returns the value now, or None. matters: whether two
    results that differ in it are not plainly comparable.
    """
    return field(default=None, metadata={"title": title, "read": read, "matters": matters})


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What was found on the machine. A result set older than a field has None there."""

    kernel_release: str | None = fact("kernel", lambda: os.uname().release, matters=True)
    kernel_version: str | None = fact("kernel build", lambda: os.uname().version, matters=True)
    preemption: str | None = fact("preemption model", readers.preemption, matters=True)
    clocksource: str | None = fact("clock source", readers.clocksource, matters=True)
    architecture: str | None = fact("architecture", lambda: os.uname().machine, matters=True)
    distribution: str | None = fact(
        "distribution", lambda: platform.freedesktop_os_release()["PRETTY_NAME"], matters=False
    )
    machine: str | None = fact("machine", _machine, matters=True)
    hypervisor: str | None = fact("hypervisor", readers.hypervisor, matters=True)
    container: str | None = fact("container", _container, matters=True)
    memory_bytes: int | None = fact("memory", readers.memory, matters=False)
    cpu_model: str | None = fact("CPU model", _cpu_model, matters=True)
    cpus_online: int | None = fact("online CPUs", readers.cpus_online, matters=True)
    cpus_usable: int | None = fact(
        "CPUs this process may use", lambda: len(os.sched_getaffinity(0)), matters=True
    )
    smt: str | None = fact("SMT", readers.smt, matters=True)
    mitigations: Mapping[str, str] | None = fact("mitigations", readers.mitigations, matters=True)
    governor: str | None = fact("frequency governor", readers.governor, matters=True)
    turbo: bool | None = fact("turbo", readers.turbo, matters=True)
    load_average: tuple[float, float, float] | None = fact(
        "load average", os.getloadavg, matters=False
    )
    privilege: str | None = fact("privilege", readers.privilege, matters=True)
    vnetbench: str | None = fact("vnetbench", lambda: bench.__version__, matters=True)
    git_revision: str | None = fact("vnetbench's revision", provenance.revision, matters=True)
    compiler: str | None = fact("compiler of the pump", provenance.compiler, matters=True)
    compiler_flags: str | None = fact(
        "compiler's options for the pump", provenance.compiler_flags, matters=True
    )
    liburing: str | None = fact("liburing of the pump", provenance.liburing, matters=True)
    python: str | None = fact("Python", platform.python_version, matters=False)
    python_libraries: Mapping[str, str] | None = fact(
        "Python libraries", _python_libraries, matters=False
    )
    libiperf: str | None = fact(
        "libiperf", lambda: output(sys.executable, "-ISc", LIBIPERF_VERSION), matters=True
    )
    iproute2: str | None = fact("iproute2", lambda: output("ip", "-V"), matters=False)


def fingerprint() -> Environment:
    """Read every fact now; takes a fraction of a second (it starts a few short programs)."""
    return Environment(**{item.name: _read(item.metadata["read"]) for item in fields(Environment)})


def _read(read: Callable[[], object]) -> Any:
    # A file or tool that is missing or speaks differently here must cost one fact, not the run.
    with suppress(OSError, ValueError, LookupError, ImportError):
        return read()
    return None


def differences(old: Environment, new: Environment) -> list[str]:
    """Say in words where two fingerprints differ in a way that matters for comparing results."""
    found = []
    for item in fields(Environment):
        before, after = getattr(old, item.name), getattr(new, item.name)
        if item.metadata["matters"] and before != after:
            found += _difference(item.metadata["title"], before, after)
    return found


def _difference(title: str, before: object, after: object) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
        return [_line(f"{title}: {key}", before.get(key), after.get(key)) for key in keys]
    return [_line(title, before, after)]


def _line(title: str, before: object, after: object) -> str:
    words = ["not known" if value is None else str(value) for value in (before, after)]
    return f"{title}: {words[0]} → {words[1]}"


# ---- time that was stolen -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """The machine's time since boot, summed over its processors, in clock ticks (proc(5))."""

    user: int
    nice: int
    system: int
    idle: int
    iowait: int
    irq: int
    softirq: int
    steal: int


def cpu_times() -> CpuTimes:
    """Return the counters of /proc/stat now. `guest` is left out: `user` already holds it."""
    names = [item.name for item in fields(CpuTimes)]
    numbers = (read_text("/proc/stat") or "").split()[1 : len(names) + 1]
    return CpuTimes(**dict(zip(names, map(int, numbers), strict=True)))


def steal_share(start: CpuTimes, end: CpuTimes) -> float | None:
    """Return the share (0 to 1) of the time between that the hypervisor gave to others.

    None if no tick passed. A hypervisor that does not report steal shows 0 here.
    """
    spent = {item.name: getattr(end, item.name) - getattr(start, item.name) for item in fields(end)}
    total = sum(spent.values())
    return spent["steal"] / total if total > 0 else None
