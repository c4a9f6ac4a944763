"""Noise of the kernel: how it was built, and what it does with each packet and system call."""

from __future__ import annotations

import re
from pathlib import Path

from bench.doctor.model import Check, Here, Seen, noisy, ok, unknown
from bench.probes import prove
from bench.readers import build_options, line_value, preemption, privilege, read_text
from bench.scenario import load, shipped_scenarios
from bench.topology import build, inside

_DYNAMIC = "PREEMPT_DYNAMIC"
_MODES = {
    "PREEMPT_NONE": "none",
    "PREEMPT_VOLUNTARY": "voluntary",
    "PREEMPT_LAZY": "lazy",
    "PREEMPT": "full",
}
"""What PREEMPT_DYNAMIC boots with, by the option that the kernel was built with."""
_DEBUGGING = (
    "PROVE_LOCKING",
    "LOCKDEP",
    "LOCK_STAT",
    "DEBUG_LOCK_ALLOC",
    "KASAN",
    "KCSAN",
    "KMSAN",
    "UBSAN_SANITIZE_ALL",
    "DEBUG_KMEMLEAK",
    "DEBUG_OBJECTS",
    "DEBUG_PAGEALLOC_ENABLE_DEFAULT",
    "SLUB_DEBUG_ON",
    "DEBUG_ATOMIC_SLEEP",
    "DEBUG_PREEMPT",
    "DEBUG_NET",
    "GCOV_KERNEL",
    "KCOV",
)
"""Options of kernels that watch themselves, at the cost of each packet."""
_SLACK = 50_000
"""Nanoseconds by which the kernel lets a timer be late unless told otherwise."""
_FILTERED = "2"
"""Of Seccomp in /proc/<pid>/status: a filter looks at each system call."""
_BRIDGE = "bridge"
_CALL_IPTABLES = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_TRACKED = Path("/proc/sys/net/netfilter/nf_conntrack_count")


def _preemption(here: Here) -> Seen:
    found = preemption(here.root)
    if found is None:
        return unknown("not told")
    if found == _DYNAMIC:
        mode = _booted(here)
        if mode is None:
            return unknown(f"{found}, in a mode that is not told", "sudo vnetbench doctor")
        found = f"{found}, booted as {mode}"
    if "RT" in found.split("_"):
        return noisy(
            found,
            "sudo apt-get install linux-image-$(dpkg --print-architecture), and boot it (Debian)",
        )
    return ok(found)


def _booted(here: Here) -> str | None:
    """The mode that the command line asks for, else the one that the kernel was built for."""
    if asked := re.search(r"\bpreempt=(\w+)", here.text("proc/cmdline") or ""):
        return asked[1]
    options = build_options(here.root) or {}
    return next((mode for option, mode in _MODES.items() if option in options), None)


def _debugging(here: Here) -> Seen:
    options = build_options(here.root)
    if options is None:
        if not (here.root / "proc/lockdep").exists():
            return unknown("how the kernel was built is not kept")
        options = {"LOCKDEP": "y"}
    found = [option for option in _DEBUGGING if options.get(option) == "y"]
    if not found:
        return ok("no")
    return noisy(
        ", ".join(found),
        "sudo apt-get install linux-image-$(dpkg --print-architecture), and boot it (Debian; "
        "Ubuntu: linux-image-generic)",
    )


def _jit(here: Here) -> Seen:
    found = here.text("proc/sys/net/core/bpf_jit_enable")
    if found is None and privilege() != "root":
        return unknown("only root may look", "sudo sysctl net.core.bpf_jit_enable")
    if found is None:
        return unknown("not told")
    if found != "0":
        return ok("on")
    return noisy("off", "sudo sysctl -w net.core.bpf_jit_enable=1")


def _netfilter(here: Here) -> Seen:
    if here.confined:
        return unknown("needs network namespaces")
    with build(load(shipped_scenarios()[_BRIDGE]).scenario) as topology:
        prove(topology, _BRIDGE)
        called, tracked = False, 0
        for host in topology.namespaces():
            with inside(topology.netns(host)):
                called |= (read_text(_CALL_IPTABLES) or "0") != "0"
                tracked += int(read_text(_TRACKED) or 0)
    if called:
        return noisy(
            "bridged packets take the way through iptables", "sudo modprobe -r br_netfilter"
        )
    if tracked:
        return noisy(
            f"{tracked} connections were tracked",
            "sudo modprobe -r nf_conntrack && sudo modprobe nf_conntrack enable_hooks=0",
        )
    return ok("takes no part")


def _seccomp(here: Here) -> Seen:
    status = here.text("proc/self/status")
    found = line_value(status, "Seccomp")
    if found is None:
        return unknown("not told")
    if found != _FILTERED:
        return ok("no filter")
    count = line_value(status, "Seccomp_filters")
    filters = f"{count} filters" if count and count != "1" else "a filter"
    return noisy(
        f"{filters} for each system call",
        "docker run --security-opt seccomp=unconfined (podman alike; systemd: SystemCallFilter=)",
    )


def _slack(here: Here) -> Seen:
    found = here.text("proc/self/timerslack_ns")
    if found is None:
        return unknown("not told")
    shown = f"{int(found) / 1e3:g} µs"
    if int(found) <= _SLACK:
        return ok(shown)
    return noisy(shown, f"echo {_SLACK} | sudo tee /proc/$$/timerslack_ns, in this shell")


def _huge_pages(here: Here) -> Seen:
    where = "sys/kernel/mm/transparent_hugepage"
    chosen = {
        name: re.search(r"\[(.+?)\]", here.text(f"{where}/{name}") or "")
        for name in ("enabled", "defrag")
    }
    enabled, defrag = chosen["enabled"], chosen["defrag"]
    if enabled is None or defrag is None:
        return unknown("not told")
    found = f"{enabled[1]}, defrag {defrag[1]}"
    if enabled[1] != "always" or defrag[1] != "always":
        return ok(found)
    return noisy(found, f"echo madvise | sudo tee /{where}/defrag")


CHECKS = (
    Check(
        "preemption",
        "preemption",
        "/sys/kernel/debug/sched/preempt, /proc/version, /proc/cmdline",
        "a kernel with PREEMPT_RT does in threads what others do in interrupts, and is slower",
        _preemption,
    ),
    Check(
        "debugging",
        "debugging kernel",
        "/proc/config.gz, /boot/config-*",
        "a kernel that watches its own locks or memory is several times as slow",
        _debugging,
    ),
    Check(
        "bpf_jit",
        "compiler for BPF",
        "net.core.bpf_jit_enable",
        "without it the tracer's programs are interpreted, and take what they are to count",
        _jit,
    ),
    Check(
        "netfilter",
        "packet filters",
        "conntrack and bridge-nf-call in the namespaces of a path",
        "a filter that looks at each packet is in the price of the path",
        _netfilter,
    ),
    Check(
        "seccomp",
        "filter of system calls",
        "Seccomp in /proc/self/status",
        "it makes each system call dearer, and paths with a pump make many",
        _seccomp,
    ),
    Check(
        "timer_slack",
        "timer slack",
        "/proc/self/timerslack_ns",
        "by so much the kernel may let a sleeping sender be late",
        _slack,
    ),
    Check(
        "huge_pages",
        "huge pages",
        "/sys/kernel/mm/transparent_hugepage",
        "with always for both, a page fault may wait until memory has been tidied up",
        _huge_pages,
    ),
)
