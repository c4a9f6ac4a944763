"""Noise of the processors themselves: how many, how fast, how deep they sleep, and their clock."""

from __future__ import annotations

from bench.doctor.model import OUT_OF_REACH, Check, Here, Seen, cpus, noisy, ok, unknown
from bench.readers import (
    clocksource,
    cpus_online,
    governor,
    mitigations,
    numbers,
    read_text,
    siblings,
    smt,
    turbo,
)

_SYS = "sys/devices/system"
_ENOUGH, _TWO = 4, 2
"""CPUs for a sender, two pumps and a receiver; and for a sender and a receiver."""
_STEADY = "performance"
_SLOW_WAKING = 20
"""Microseconds that a sleeping CPU may take to wake up: a round trip over veth takes as long."""
_FAST_CLOCKS = {
    "tsc",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
    "riscv_clocksource",
    "timebase",
}
"""Those that are read without a system call."""


def _count(here: Here) -> Seen:
    usable = len(cpus())
    online = cpus_online(here.root) or usable
    found = f"{usable} of {online}"
    if usable >= _ENOUGH:
        return ok(found)
    reason = "sender, receiver and pumps take turns" if usable < _TWO else "pumps share with them"
    if usable < online:
        every = f"0-{online - 1}"
        mend = f"taskset -c {every} vnetbench … (docker: docker update --cpuset-cpus {every})"
        return noisy(f"{found}: {reason}", mend)
    mend = here.command_or_host(f"a machine with {_ENOUGH} CPUs", f"{_ENOUGH} CPUs or more")
    return noisy(f"{found}: {reason}", mend)


def _siblings(here: Here) -> Seen:
    cores = {tuple(siblings(cpu, here.root)) for cpu in cpus()} - {()}
    if not cores:
        return unknown("the topology is not told")
    ours = [sorted({*core} & {*cpus()}) for core in sorted(cores)]
    shared = [core for core in ours if len(core) > 1]
    found = f"SMT {smt(here.root) or 'not told'}"
    if not shared:
        return ok(f"{found}; each of our CPUs is a core of its own")
    pairs = ", ".join("+".join(map(str, core)) for core in shared)
    one_each = f"taskset -c {','.join(str(core[0]) for core in ours)} vnetbench …"
    mend = f"echo off | sudo tee /{_SYS}/cpu/smt/control (without root: {one_each})"
    return noisy(f"{found}; threads of one core: CPUs {pairs}", mend)


def _governor(here: Here) -> Seen:
    found = governor(here.root)
    if found is None:
        mend = f"{OUT_OF_REACH} the governor {_STEADY}" if here.virtual else ""
        return unknown("not told", mend)
    if found == _STEADY:
        return ok(found)
    return noisy(found, f"echo {_STEADY} | sudo tee /{_SYS}/cpu/cpu*/cpufreq/scaling_governor")


def _turbo(here: Here) -> Seen:
    found = turbo(here.root)
    if found is None:
        mend = f"{OUT_OF_REACH} a fixed clock rate (turbo off)" if here.virtual else ""
        return unknown("not told", mend)
    if not found:
        return ok("off")
    intel = (here.root / _SYS / "cpu/intel_pstate/no_turbo").exists()
    where, off = ("intel_pstate/no_turbo", 1) if intel else ("cpufreq/boost", 0)
    return noisy("on", f"echo {off} | sudo tee /{_SYS}/cpu/{where}")


def _idle(here: Here) -> Seen:
    driver = here.text(f"{_SYS}/cpu/cpuidle/current_driver")
    folder = here.root / _SYS / f"cpu/cpu{cpus()[0]}/cpuidle"
    deep = []
    for state in sorted(folder.glob("state*"), key=lambda path: int(path.name[5:])):
        name, latency, off = (read_text(state / x) for x in ("name", "latency", "disable"))
        if latency and int(latency) > _SLOW_WAKING and off != "1":
            deep.append((state.name, f"{name} {latency} µs"))
    if deep:
        states = " ".join(state for state, _ in deep)
        mend = f"for s in {states}; do echo 1 | sudo tee /{_SYS}/cpu/cpu*/cpuidle/$s/disable; done"
        return noisy(f"{driver}: {', '.join(text for _, text in deep)} to wake up", mend)
    if driver in (None, "none"):
        if not here.virtual:
            return unknown("no driver tells how CPUs sleep")
        return unknown(
            "no driver: a CPU that sleeps is the hypervisor's to wake",
            "sudo modprobe cpuidle_haltpoll force=1 (under KVM; it polls before it sleeps)",
        )
    return ok(f"{driver}: wakes up within {_SLOW_WAKING} µs")


def _mitigations(here: Here) -> Seen:
    found = mitigations(here.root)
    if not found:
        return unknown("not told")
    costly = [name for name, text in found.items() if text.startswith("Mitigation")]
    if not costly:
        return ok("none in force")
    return ok(f"{len(costly)} in force: {', '.join(costly)}")


def _numa(here: Here) -> Seen:
    if not (here.root / _SYS).is_dir():
        return unknown("not told")
    nodes = {
        node.parent.name: {*numbers(read_text(node) or "")} & {*cpus()}
        for node in (here.root / _SYS / "node").glob("node[0-9]*/cpulist")
    }
    ours = sorted((node for node, mine in nodes.items() if mine), key=lambda node: int(node[4:]))
    if len(ours) <= 1:
        return ok("one node")
    chosen = ours[0][4:]
    return noisy(
        f"our CPUs are of {len(ours)} nodes",
        f"numactl --cpunodebind={chosen} --membind={chosen} vnetbench … "
        "(sudo apt-get install numactl)",
    )


def _clock(here: Here) -> Seen:
    found = clocksource(here.root)
    if found is None:
        return unknown("not told")
    if found in _FAST_CLOCKS:
        return ok(found)
    others = (clocksource(here.root, "available") or "").split()
    better = next((clock for clock in others if clock in _FAST_CLOCKS), None)
    if better:
        folder = f"/{_SYS}/clocksource/clocksource0"
        return noisy(found, f"echo {better} | sudo tee {folder}/current_clocksource")
    mend = here.command_or_host(
        "boot with tsc=reliable: sudo editor /etc/default/grub && sudo update-grub",
        "an invariant TSC",
    )
    return noisy(found, mend)


def _power(here: Here) -> Seen:
    supplies = (here.root / "sys/class/power_supply").glob("*/type")
    mains = [path.parent for path in supplies if read_text(path) == "Mains"]
    if any(read_text(path / "online") == "1" for path in mains) or not mains:
        return ok("from the mains" if mains else "no battery is told of")
    return noisy("on battery", "plug it in")


CHECKS = (
    Check(
        "cpus",
        "CPUs to use",
        "sched_getaffinity(2), /sys/devices/system/cpu/online",
        "a path has a sender, a receiver and up to two pumps, which all want one of their own",
        _count,
    ),
    Check(
        "siblings",
        "threads of a core",
        "/sys/devices/system/cpu/cpu*/topology/thread_siblings_list",
        "two threads of a core share its units, so that each slows the other by a third",
        _siblings,
    ),
    Check(
        "governor",
        "frequency governor",
        "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        "all but performance follow the load, so that what waits is also slower",
        _governor,
    ),
    Check(
        "turbo",
        "turbo",
        "/sys/devices/system/cpu/intel_pstate/no_turbo, cpufreq/boost",
        "the clock rate follows heat and how many cores are busy",
        _turbo,
    ),
    Check(
        "idle",
        "sleep of CPUs",
        "/sys/devices/system/cpu/cpu*/cpuidle",
        "a packet that finds its CPU asleep waits for it to wake up",
        _idle,
    ),
    Check(
        "mitigations",
        "mitigations",
        "/sys/devices/system/cpu/vulnerabilities",
        "they make system calls dearer, the same in every trial: compare with equal machines alone",
        _mitigations,
    ),
    Check(
        "numa",
        "memory nodes",
        "/sys/devices/system/node/node*/cpulist",
        "what another node has in its memory is further away",
        _numa,
    ),
    Check(
        "clock",
        "clock source",
        "/sys/devices/system/clocksource",
        "all others are read by a system call, or by leaving the virtual machine",
        _clock,
    ),
    Check(
        "power",
        "power supply",
        "/sys/class/power_supply",
        "on battery the firmware lowers the clock rate as it likes",
        _power,
    ),
)
