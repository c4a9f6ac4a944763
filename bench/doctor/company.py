"""Company that no process list shows: a hypervisor, its other guests, and how much they take."""

from __future__ import annotations

from bench.doctor.model import OUT_OF_REACH, Check, Here, Seen, cpus, noisy, ok, unknown
from bench.doctor.watch import COMPANY, SONG
from bench.errors import CannotMeasure
from bench.quality.rule import DISTURBANCES
from bench.quality.words import CANARIES, DRIFT
from bench.readers import hypervisor
from bench.units import format_value

_SAME_CORE = 0.5
"""Share of slow samples from which on two of our CPUs are said to be one core's threads."""
_UNITS = {"memcpy": ("byte", "/s"), "system_call": ("s", ""), "loopback": ("s", "")}


def _hypervisor(here: Here) -> Seen:
    found = hypervisor(here.root)
    if found is None:
        return unknown("it cannot be told whether there is one")
    if found == "none":
        return ok("none")
    return noisy(
        found, "nothing to be done inside a virtual machine; the steadiest figures are of real ones"
    )


def _steal(here: Here) -> Seen:
    try:
        share = here.figure("steal")
    except CannotMeasure:
        if hypervisor(here.root) == "none":
            return ok("none: there is no hypervisor")
        return unknown("none was ever told of, and not every hypervisor tells")
    found = f"{share:.1%} of the CPUs' time"
    if share <= DISTURBANCES["steal"].limit:
        return ok(found)
    return noisy(found, f"{OUT_OF_REACH} CPUs of its own, pinned and not overcommitted")


def _core_company(here: Here) -> Seen:
    from bench.search.model import SHARED  # noqa: PLC0415 - the search loads much else

    shared = here.seen(COMPANY).shared
    found = ", ".join(f"CPU {cpu} {share:.0%}" for cpu, share in shared.items())
    found = f"somebody else was there: {found} of the time"
    if max(shared.values()) <= SHARED:
        return ok(found)
    mend = here.command_or_host(
        "echo off | sudo tee /sys/devices/system/cpu/smt/control",
        "whole cores, whose other threads nobody else is given",
    )
    return noisy(found, mend)


def _same_core(here: Here) -> Seen:
    watched = here.seen(COMPANY)
    if watched.together is None:
        return ok("there is one CPU")
    first, last = cpus()[0], cpus()[-1]
    found = f"CPU {last} slowed down {watched.together:.0%} of the time by CPU {first}"
    if watched.together < _SAME_CORE:
        return ok(found)
    if watched.shared[last] >= _SAME_CORE:
        return unknown(f"{found}, but without it as well")
    mend = here.command_or_host(
        "echo off | sudo tee /sys/devices/system/cpu/smt/control",
        "a whole core for each virtual CPU, not the threads of one",
    )
    return noisy(found, mend)


def _drift(here: Here) -> Seen:
    first, last = here.seen(SONG).songs
    parts = [part for part in CANARIES if first.get(part, 0) > 0 and last.get(part, 0) > 0]
    if not parts:
        return unknown("the canaries gave no figure")
    figures = (f"{CANARIES[part]} {_show(part, last[part])}" for part in parts)
    change = max(abs(last[part] / first[part] - 1) for part in parts)
    found = f"{change:.0%} in a second ({', '.join(figures)})"
    if change <= DRIFT:
        return ok(found)
    return noisy(found, "vnetbench ab A B (or one vnetbench run): both in every block")


def _show(part: str, value: float) -> str:
    unit, per = _UNITS[part]
    return f"{format_value(value, unit)}{per}"


CHECKS = (
    Check(
        "hypervisor",
        "virtual machine",
        "lscpu, /proc/cpuinfo",
        "a hypervisor has a part in every interrupt and every sleep of a CPU, and other guests",
        _hypervisor,
    ),
    Check(
        "steal",
        "stolen time",
        "/proc/stat, while the CPUs of a path's ends were busy",
        DISTURBANCES["steal"].why,
        _steal,
    ),
    Check(
        "core_company",
        "strangers on our cores",
        "the witness of csrc/pace.h, one CPU after the other",
        "whoever runs on a core's other thread slows ours by a third, and no clock shows it",
        _core_company,
    ),
    Check(
        "same_core",
        "one core for two CPUs",
        "the same witness on the last CPU, with the first one busy",
        "a sender and a receiver that share a core slow each other, whatever the topology says",
        _same_core,
    ),
    Check(
        "drift",
        "drift",
        "two canaries, a second apart",
        "what is measured at another time is measured on another machine",
        _drift,
    ),
)
