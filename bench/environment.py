"""The fingerprint of the machine: what a result depends on besides the code that was measured.

Each fact is one field of `Environment` with the function that reads it. None means that the fact
could not be read here: it is hidden, unsupported, or its reader failed. It never stands for
"no" or "none", which are written out.
"""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import bench

SYS_CPU = Path("/sys/devices/system/cpu")
# The inode of the initial user namespace, fixed by the kernel (PROC_USER_INIT_INO).
INITIAL_USER_NAMESPACE = "user:[4026531837]"
# A tool that does not answer is a fact that cannot be read.
TOOL_TIMEOUT = 5.0


def _text(path: str | Path) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip("\n\0 ")
    except OSError:
        return None


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 (fixed commands, no shell)
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=TOOL_TIMEOUT,
            env={**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _line_value(text: str | None, key: str) -> str | None:
    """Return the value of the first `key : value` line."""
    found = re.search(rf"^{re.escape(key)}\s*:\s*(.+?)\s*$", text or "", re.MULTILINE)
    return found[1] if found else None


# ---- kernel and machine -------------------------------------------------------------------------


def _preemption() -> str | None:
    """The mode in force where debugfs shows it (root), else what the kernel was built with."""
    modes = _text("/sys/kernel/debug/sched/preempt")
    if modes and (chosen := re.search(r"\((\w+)\)", modes)):
        return chosen[1]
    built = re.search(r"\bPREEMPT\S*", os.uname().version)
    return built[0] if built else None


def _machine() -> str | None:
    """Vendor and product as the firmware names them; virtual machines name their platform here."""
    words = [_text(f"/sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name")]
    return " ".join(filter(None, words)) or _text("/proc/device-tree/model")


def _hypervisor() -> str | None:
    vendor = _line_value(_output("lscpu"), "Hypervisor vendor") or _text("/sys/hypervisor/type")
    if vendor:
        return vendor
    flags = _line_value(_text("/proc/cpuinfo"), "flags")  # x86 only
    if flags is None:
        return None
    return "unidentified" if "hypervisor" in flags.split() else "none"


CONTAINER_FILES = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}


def _container() -> str | None:
    """The container runtime by the marks it leaves, "none" when init can be seen to have none."""
    marks = (name for path, name in CONTAINER_FILES.items() if Path(path).exists())
    if mark := next(marks, None) or _text("/run/systemd/container"):
        return mark
    # Kubernetes' containerd leaves no file, but names the group.
    if group := re.search(r"kubepods|docker|lxc", _text("/proc/1/cgroup") or ""):
        return group[0]
    init = _text("/proc/1/environ")
    if init is None:
        return None
    variable = re.search(r"(?:^|\0)container=([^\0]+)", init)
    return variable[1] if variable else "none"


def _memory() -> int | None:
    total = re.match(r"MemTotal:\s+(\d+) kB", _text("/proc/meminfo") or "")
    return int(total[1]) * 1024 if total else None


# ---- processors ---------------------------------------------------------------------------------


def _cpu_model() -> str | None:
    # /proc/cpuinfo has no model name on Arm, where lscpu knows the part numbers.
    return _line_value(_text("/proc/cpuinfo"), "model name") or _line_value(
        _output("lscpu"), "Model name"
    )


def _cpus_online() -> int | None:
    ranges = [part.split("-") for part in (_text(SYS_CPU / "online") or "").split(",") if part]
    return sum(int(part[-1]) - int(part[0]) + 1 for part in ranges) or None


def _mitigations() -> dict[str, str]:
    paths = sorted((SYS_CPU / "vulnerabilities").iterdir())
    return {path.name: text for path in paths if (text := _text(path)) is not None}


def _governor() -> str | None:
    """The frequency governors in use, joined where processors differ."""
    texts = {_text(path) for path in SYS_CPU.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    return ", ".join(sorted(filter(None, texts))) or None


def _turbo() -> bool | None:
    if (no_turbo := _text(SYS_CPU / "intel_pstate/no_turbo")) is not None:
        return no_turbo == "0"
    boost = _text(SYS_CPU / "cpufreq/boost")
    return None if boost is None else boost == "1"


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


def _git_revision() -> str | None:
    """The commit of the checkout this runs from, with "-dirty" when tracked files were changed."""
    root = Path(bench.__file__).parent.parent
    if not (root / ".git").exists():
        return None
    return _output(
        "git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"
    )


def _compiler() -> str:
    # Imported here: a fingerprint can be read and compared without the extension.
    from bench import native  # noqa: PLC0415

    return native.compiler()


def _privilege() -> str:
    namespace = os.readlink("/proc/self/ns/user")
    who = "root" if os.geteuid() == 0 else "user"
    return who if namespace == INITIAL_USER_NAMESPACE else f"{who} in a user namespace"


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
    preemption: str | None = fact("preemption model", _preemption, matters=True)
    clocksource: str | None = fact(
        "clock source",
        lambda: _text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        matters=True,
    )
    architecture: str | None = fact("architecture", lambda: os.uname().machine, matters=True)
    distribution: str | None = fact(
        "distribution", lambda: platform.freedesktop_os_release()["PRETTY_NAME"], matters=False
    )
    machine: str | None = fact("machine", _machine, matters=True)
    hypervisor: str | None = fact("hypervisor", _hypervisor, matters=True)
    container: str | None = fact("container", _container, matters=True)
    memory_bytes: int | None = fact("memory", _memory, matters=False)
    cpu_model: str | None = fact("CPU model", _cpu_model, matters=True)
    cpus_online: int | None = fact("online CPUs", _cpus_online, matters=True)
    cpus_usable: int | None = fact(
        "CPUs this process may use", lambda: len(os.sched_getaffinity(0)), matters=True
    )
    smt: str | None = fact("SMT", lambda: _text(SYS_CPU / "smt/control"), matters=True)
    mitigations: Mapping[str, str] | None = fact("mitigations", _mitigations, matters=True)
    governor: str | None = fact("frequency governor", _governor, matters=True)
    turbo: bool | None = fact("turbo", _turbo, matters=True)
    load_average: tuple[float, float, float] | None = fact(
        "load average", os.getloadavg, matters=False
    )
    privilege: str | None = fact("privilege", _privilege, matters=True)
    vnetbench: str | None = fact("vnetbench", lambda: bench.__version__, matters=True)
    git_revision: str | None = fact("vnetbench's revision", _git_revision, matters=True)
    compiler: str | None = fact("compiler of the pump", _compiler, matters=True)
    python: str | None = fact("Python", platform.python_version, matters=False)
    python_libraries: Mapping[str, str] | None = fact(
        "Python libraries", _python_libraries, matters=False
    )
    libiperf: str | None = fact(
        "libiperf", lambda: _output(sys.executable, "-ISc", LIBIPERF_VERSION), matters=True
    )
    iproute2: str | None = fact("iproute2", lambda: _output("ip", "-V"), matters=False)


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
    numbers = (_text("/proc/stat") or "").split()[1 : len(names) + 1]
    return CpuTimes(**dict(zip(names, map(int, numbers), strict=True)))


def steal_share(start: CpuTimes, end: CpuTimes) -> float | None:
    """Return the share (0 to 1) of the time between that the hypervisor gave to others.

    None if no tick passed. A hypervisor that does not report steal shows 0 here.
    """
    spent = {item.name: getattr(end, item.name) - getattr(start, item.name) for item in fields(end)}
    total = sum(spent.values())
    return spent["steal"] / total if total > 0 else None
