"""Company that this system can see: other programs, interrupts, and limits set from outside."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.doctor.model import Check, Here, Seen, cpus, noisy, ok, unknown
from bench.quality.figures import around, busiest
from bench.quality.proc import Process, throttling_files
from bench.quality.rule import DISTURBANCES
from bench.readers import memory, read_text
from bench.units import format_value

_INIT = 1
_CARRIERS = (
    *("systemd", "dbus-", "init", "login", "sshd", "mosh-server", "tmux", "screen", "SCREEN"),
    *("dockerd", "docker-", "containerd", "conmon", "podman", "crio", "kubelet", "lxc", "libvirtd"),
    *("Xorg", "Xwayland", "gnome-", "kwin_", "plasmashell", "sway", "weston", "konsole", "xterm"),
)
"""How programs are called on which other people's sessions and containers depend, or one's own in
a way that no list of ancestors shows: the client of a tmux, say."""
_TOP = 3
"""How many of the busiest programs are named."""
_BUSY = 0.01
"""Share of a CPU below which none is."""
_PRESSURE = 0.01
"""Share of the time in which somebody waited for memory, above which that is too much."""
_SCARCE = 0.05
"""Share of the memory that must be to be had."""


# ---- programs -----------------------------------------------------------------------------------


def _load(here: Here) -> Seen:
    share, watched = here.figure("other_load"), here.seen()
    found = f"{share * watched.after.cpus:.2f} of {watched.after.cpus} CPUs"
    busy = [one for one in busiest(watched.before, watched.after) if one[1] >= _BUSY][:_TOP]
    if busy:
        names = (f"{_shown(process)} ({process.pid}) {used:.0%}" for process, used in busy)
        found = f"{found}: {', '.join(names)}"
    if share <= DISTURBANCES["other_load"].limit:
        return ok(found)
    return noisy(found, _pause([process for process, _ in busy], around(watched.after)))


def _shown(process: Process) -> str:
    """Its name with whatever would upset a terminal escaped: it may call itself anything."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in process.name)


def _pause(processes: list[Process], around_us: set[int]) -> str:
    """A command that can be taken back, or where to look if they cannot be seen.

    around_us: PIDs that it leaves out, as it does what carries other people's sessions.
    """
    if not processes:
        return "top (what is not seen here is outside of this container: look on its host)"
    spared = [one for one in processes if one.pid in around_us or _carries(one)]
    others = [one for one in processes if one not in spared]
    names = ", ".join(f"{_shown(one)} ({one.pid})" for one in spared)
    if not others:
        return f"wait until they rest; stopped, they would stop this session or others: {names}"
    pids = " ".join(str(one.pid) for one in others)
    sudo = "" if all(map(_ours, others)) else "sudo "
    command = f"{sudo}kill -STOP {pids} (they go on with kill -CONT), or wait for their end"
    return f"{command}; not {names}, on which sessions depend" if spared else command


def _carries(process: Process) -> bool:
    """Whether sessions, containers or the system itself would stand still with it."""
    return process.pid == _INIT or process.name.startswith(_CARRIERS)


def _ours(process: Process) -> bool:
    try:
        return Path(f"/proc/{process.pid}").stat().st_uid == os.geteuid()
    except OSError:
        return True  # it has ended


def _interrupts(here: Here) -> Seen:
    rate = here.figure("interrupts")
    found = f"{rate:.0f} a second and CPU"
    if rate <= DISTURBANCES["interrupts"].limit:
        return ok(found)
    mend = (
        "watch -d -n1 cat /proc/interrupts shows whose; then "
        "echo CPU | sudo tee /proc/irq/NUMBER/smp_affinity_list, or stop what makes them"
    )
    return noisy(found, mend)


def _irqbalance(here: Here) -> Seen:
    for file in (here.root / "proc").glob("[0-9]*/comm"):
        if read_text(file) == "irqbalance":
            return noisy(f"runs ({file.parent.name})", "sudo systemctl stop irqbalance")
    return ok("does not run")


def _memory(here: Here) -> Seen:
    total, available = (memory(here.root, key) for key in ("MemTotal", "MemAvailable"))
    if not total or available is None:
        return unknown("cannot be read")
    found = f"{format_value(available, 'byte')} of {format_value(total, 'byte')} available"
    pressure = here.text("proc/pressure/memory")
    waiting = 0.0
    if pressure:
        waiting = float(pressure.split("avg10=")[1].split()[0]) / 100
        found = f"{found}; somebody waited for memory {waiting:.1%} of 10 s"
    if waiting <= _PRESSURE and available >= _SCARCE * total:
        return ok(found)
    return noisy(found, "ps -eo pid,rss,comm --sort=-rss | head shows what to end")


# ---- limits from outside ------------------------------------------------------------------------


def _quota(here: Here) -> Seen:
    """The tightest of the limits of our control group and of those around it."""
    groups = (here.root / "proc/self/cgroup").read_text()
    folders = [Path(file).parent for file in throttling_files(groups)]
    if not any((here.root / folder.relative_to("/")).is_dir() for folder in folders):
        return unknown("the control groups are not shown")
    limits = [limit for folder in folders for limit in _limits(folder, here)]
    if not limits:
        return ok("none")
    limit, file, none = min(limits)
    found = f"{limit:.2f} CPUs of {len(cpus())}"
    if limit >= len(cpus()):
        return ok(found)
    mend = f"echo {none} | sudo tee {file} (docker: docker update --cpus; systemd: CPUQuota=)"
    return noisy(found, mend, str(file))


def _limits(folder: Path, here: Here) -> Iterator[tuple[float, Path, str]]:
    """CPUs that a control group may use, the file that says so, and what stands for no limit."""

    def text(name: str) -> str | None:
        return here.text(str((folder / name).relative_to("/")))

    if both := text("cpu.max"):  # version 2
        quota, period = both.split()
        if quota != "max":
            yield int(quota) / int(period), folder / "cpu.max", "max"
    quota_, period_ = text("cpu.cfs_quota_us"), text("cpu.cfs_period_us")
    if quota_ and period_ and int(quota_) > 0:  # version 1; -1 is no limit
        yield int(quota_) / int(period_), folder / "cpu.cfs_quota_us", "-1"


def _disturbance(id_: str, mend: str) -> Callable[[Here], Seen]:
    """A look at a share of the time that the watch has, judged as in a run."""

    def look(here: Here) -> Seen:
        share = here.figure(id_)
        found = f"{share:.1%} of the time"
        return ok(found) if share <= DISTURBANCES[id_].limit else noisy(found, mend)

    return look


CHECKS = (
    Check("other_load", "other programs", "/proc/*/stat", DISTURBANCES["other_load"].why, _load),
    Check(
        "interrupts",
        "device interrupts",
        "/proc/interrupts",
        DISTURBANCES["interrupts"].why,
        _interrupts,
    ),
    Check(
        "irqbalance",
        "irqbalance",
        "/proc/*/comm",
        "it moves interrupts between CPUs while one measures",
        _irqbalance,
    ),
    Check(
        "memory",
        "memory",
        "/proc/meminfo, /proc/pressure/memory",
        "whoever waits for memory waits for milliseconds",
        _memory,
    ),
    Check(
        "quota",
        "CPU quota",
        "cpu.max, cpu.cfs_quota_us of our control groups",
        DISTURBANCES["throttled"].why,
        _quota,
    ),
    Check(
        "throttled",
        "throttling by quota",
        "cpu.stat of our control groups",
        DISTURBANCES["throttled"].why,
        _disturbance("throttled", "lift the CPU quota: see there"),
    ),
    Check(
        "thermal",
        "throttling by heat",
        "/sys/devices/system/cpu/cpu*/thermal_throttle",
        DISTURBANCES["thermal"].why,
        _disturbance(
            "thermal",
            "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo (and clean the fans)",
        ),
    ),
)
