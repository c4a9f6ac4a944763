"""What the kernel's files say of the machine: readers that the fingerprint and the doctor share.

Each takes the folder that stands for "/", so that the files of another machine can be read as well.
None means that it is not told here: hidden, unsupported, or another kernel's way. What raises
OSError, ValueError or LookupError says the same.
"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import zlib
from pathlib import Path

ROOT = Path("/")
_CPU = "sys/devices/system/cpu"
SYS_CPU = ROOT / _CPU
# A tool that does not answer is a fact that cannot be read.
TOOL_TIMEOUT = 5.0
# The inode of the initial user namespace, fixed by the kernel (PROC_USER_INIT_INO).
_INITIAL_USER_NAMESPACE = "user:[4026531837]"


# ---- files and tools ----------------------------------------------------------------------------


def read_text(path: str | Path) -> str | None:
    """The file without what surrounds it (blanks, line ends, zero bytes), or None."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip("\n\0 ")
    except OSError:
        return None


def output(*command: str) -> str | None:
    """What a tool prints, or None where there is none, it fails or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 (fixed commands, no shell)
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=TOOL_TIMEOUT,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def line_value(text: str | None, key: str) -> str | None:
    """The value of the first `key : value` line."""
    found = re.search(rf"^{re.escape(key)}\s*:\s*(.+?)\s*$", text or "", re.MULTILINE)
    return found[1] if found else None


def numbers(ranges: str) -> list[int]:
    """The numbers of the kernel's lists: "0-2,5" is 0, 1, 2 and 5. Raises ValueError."""
    found: list[int] = []
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


# ---- kernel and machine -------------------------------------------------------------------------


def release(root: Path = ROOT) -> str:
    """The kernel's, which its files are named after."""
    return read_text(root / "proc/sys/kernel/osrelease") or os.uname().release


def preemption(root: Path = ROOT) -> str | None:
    """The mode in force where debugfs shows it (root), else what the kernel was built with."""
    modes = read_text(root / "sys/kernel/debug/sched/preempt")
    if modes and (chosen := re.search(r"\((\w+)\)", modes)):
        return chosen[1]
    version = read_text(root / "proc/sys/kernel/version") or os.uname().version
    built = re.search(r"\bPREEMPT\S*", version)
    return built[0] if built else None


def hypervisor(root: Path = ROOT) -> str | None:
    """Its name; "unidentified" where it does not say, "none" where there is none."""
    elsewhere = () if root == ROOT else (f"--sysroot={root}",)
    vendor = line_value(output("lscpu", *elsewhere), "Hypervisor vendor")
    if found := vendor or read_text(root / "sys/hypervisor/type"):
        return found
    flags = line_value(read_text(root / "proc/cpuinfo"), "flags")  # x86 only
    if flags is None:
        return None
    return "unidentified" if "hypervisor" in flags.split() else "none"


def memory(root: Path = ROOT, key: str = "MemTotal") -> int | None:
    """Bytes, of an entry of /proc/meminfo."""
    total = re.search(rf"^{key}:\s+(\d+) kB", read_text(root / "proc/meminfo") or "", re.MULTILINE)
    return int(total[1]) * 1024 if total else None


def clocksource(root: Path = ROOT, which: str = "current") -> str | None:
    """The clock in use, or with "available" those that could be."""
    folder = root / "sys/devices/system/clocksource/clocksource0"
    return read_text(folder / f"{which}_clocksource")


def build_options(root: Path = ROOT) -> dict[str, str] | None:
    """What the kernel was built with: name of an option without CONFIG_ → value, if it is set.

    None where nobody kept that.
    """
    name = release(root)
    packed = root / "proc/config.gz"
    plain = (root / f"boot/config-{name}", root / f"lib/modules/{name}/config")
    if packed.exists():
        text: str | None = _unpacked(packed)
    else:
        text = next(filter(None, map(read_text, plain)), None)
    if text is None:
        return None
    return dict(re.findall(r"^CONFIG_(\w+)=(.+)$", text, re.MULTILINE))


def privilege() -> str:
    """Of this process: root or user, and whether that holds in a user namespace alone."""
    who = "root" if os.geteuid() == 0 else "user"
    initial = os.readlink("/proc/self/ns/user") == _INITIAL_USER_NAMESPACE
    return who if initial else f"{who} in a user namespace"


def _unpacked(file: Path) -> str:
    try:
        return gzip.decompress(file.read_bytes()).decode(errors="replace")
    except (EOFError, zlib.error):
        raise ValueError(f"{file} is cut off or damaged") from None


# ---- processors ---------------------------------------------------------------------------------


def cpus_online(root: Path = ROOT) -> int | None:
    """How many processors run."""
    return len(numbers(read_text(root / _CPU / "online") or "")) or None


def mitigations(root: Path = ROOT) -> dict[str, str]:
    """For each vulnerability the kernel knows, what it says about it. Raises OSError."""
    paths = sorted((root / _CPU / "vulnerabilities").iterdir())
    return {path.name: text for path in paths if (text := read_text(path)) is not None}


def governor(root: Path = ROOT) -> str | None:
    """The frequency governors in use, joined where processors differ."""
    texts = {read_text(path) for path in (root / _CPU).glob("cpu[0-9]*/cpufreq/scaling_governor")}
    return ", ".join(sorted(filter(None, texts))) or None


def turbo(root: Path = ROOT) -> bool | None:
    """Whether processors may run faster than their nominal rate for a while."""
    if (no_turbo := read_text(root / _CPU / "intel_pstate/no_turbo")) is not None:
        return no_turbo == "0"
    boost = read_text(root / _CPU / "cpufreq/boost")
    return None if boost is None else boost == "1"


def smt(root: Path = ROOT) -> str | None:
    """The kernel's word for simultaneous multithreading: on, off, notsupported, …"""
    return read_text(root / _CPU / "smt/control")


def siblings(cpu: int, root: Path = ROOT) -> list[int]:
    """The processors that are threads of the same core, itself included; none: not told."""
    return numbers(read_text(root / _CPU / f"cpu{cpu}/topology/thread_siblings_list") or "")
