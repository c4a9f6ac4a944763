"""From two snapshots to figures: how much of each disturbance there was between them."""

from __future__ import annotations

from bench.environment import steal_share
from bench.quality.proc import Process
from bench.quality.snapshot import Snapshot

_DIGITS = 6


def figures(before: Snapshot, after: Snapshot) -> dict[str, float | None]:
    """What happened between the two, by the names of `bench.quality.rule`, and the frequency."""
    found = {
        "steal": _steal(before, after),
        "throttled": _throttled(before, after),
        "thermal": _thermal(before, after),
        "other_load": _other_load(before, after),
        "interrupts": _interrupts(before, after),
        "frequency": after.frequency,
    }
    return {name: None if x is None else round(x, _DIGITS) for name, x in found.items()}


def _elapsed(before: Snapshot, after: Snapshot) -> float:
    return after.seconds - before.seconds


def _steal(before: Snapshot, after: Snapshot) -> float | None:
    """Share of the processors' time. A hypervisor that has never told of any tells of none."""
    if not before.times or not after.times or not after.times.steal:
        return None
    return steal_share(before.times, after.times)


def _throttled(before: Snapshot, after: Snapshot) -> float | None:
    """Share of the processors' time: the kernel adds up what it kept from us on each."""
    if before.throttled is None or after.throttled is None:
        return None
    return max(0.0, after.throttled - before.throttled) / (_elapsed(before, after) * after.cpus)


def _thermal(before: Snapshot, after: Snapshot) -> float | None:
    """Share of the time, on the processor that was worst off."""
    if before.hot is None or after.hot is None:
        return None
    gained = [after.hot[key] - before.hot[key] for key in before.hot.keys() & after.hot.keys()]
    return max(gained, default=0.0) / _elapsed(before, after)


def _interrupts(before: Snapshot, after: Snapshot) -> float | None:
    """Of devices, a second and processor."""
    if before.interrupts is None or after.interrupts is None:
        return None
    return (after.interrupts - before.interrupts) / (_elapsed(before, after) * after.cpus)


def _other_load(before: Snapshot, after: Snapshot) -> float | None:
    """What programs that are not ours used, as a share of the processors' time.

    Where all of them can be seen it is what they have been billed. Elsewhere it is what all have
    been billed, less what was billed to us. Softirqs run on our bill and are counted apart, so
    that is too little by them, never too much.
    """
    mine = tree(before) | tree(after)
    if after.whole:
        ticks = _billed(after, mine, ours=False) - _billed(before, mine, ours=False)
    elif before.times and after.times:
        totals = [times.user + times.nice + times.system for times in (before.times, after.times)]
        own = _billed(after, mine, ours=True) - _billed(before, mine, ours=True)
        ticks = totals[1] - totals[0] - own
    else:
        return None
    seconds = max(0, ticks) / after.ticks_per_second
    return seconds / (_elapsed(before, after) * after.cpus)


def _billed(moment: Snapshot, mine: set[tuple[int, int]], *, ours: bool) -> int:
    """Ticks billed up to this moment to our processes, or to the other programs.

    A process's dead children are in its own figure once it has waited for them, so the sum of all
    grows by what was used, whoever was born or died meanwhile. Kernel threads are nobody's: those
    that work for our traffic (ksoftirqd) cannot be told from the others.
    """
    return sum(
        process.ticks
        for process in moment.processes
        if (_key(process) in mine) == ours and not process.kernel
    )


def busiest(before: Snapshot, after: Snapshot) -> list[tuple[Process, float]]:
    """The other programs that were billed for anything, with how many processors' time, most first.

    Each without its children: what it is billed for when one dies was used long before. Those that
    have ended meanwhile are not among them.
    """
    mine = tree(before) | tree(after)
    billed = {_key(process): process.own for process in before.processes}
    seconds = _elapsed(before, after) * after.ticks_per_second
    found = [
        (process, (process.own - billed.get(_key(process), 0)) / seconds)
        for process in after.processes
        if _key(process) not in mine and not process.kernel
    ]
    return sorted((one for one in found if one[1] > 0), key=lambda one: -one[1])


def tree(moment: Snapshot) -> set[tuple[int, int]]:
    """Ourselves and all who descend from us."""
    children: dict[int, list[Process]] = {}
    for process in moment.processes:
        children.setdefault(process.parent, []).append(process)
    found = {_key(process) for process in moment.processes if process.pid == moment.pid}
    waiting = [moment.pid]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if _key(child) not in found:
                found.add(_key(child))
                waiting.append(child.pid)
    return found


def around(moment: Snapshot) -> set[int]:
    """The PIDs of ourselves, of all whom we descend from, and of the others of our session."""
    by_pid = {process.pid: process for process in moment.processes}
    me = by_pid.get(moment.pid)
    session = me.session if me else 0
    found = {process.pid for process in moment.processes if session and process.session == session}
    one = me
    while one is not None:  # up to one whose parent is not seen
        found.add(one.pid)
        one = by_pid.pop(one.parent, None)  # each once, whatever the numbers say
    return found


def _key(process: Process) -> tuple[int, int]:
    return process.pid, process.start
