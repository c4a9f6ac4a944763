"""What disturbs a trial: read from the kernel's texts, judged by the rule, and repeated."""

import math
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from capabilities import require
from files import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict
from msgspec.structs import replace as replaced
from sets import asking
from somebody import keeps_busy

from bench.environment import CpuTimes
from bench.process import Send, spawn
from bench.quality.figures import figures, tree
from bench.quality.proc import (
    Process,
    parse_cpu_times,
    parse_interrupts,
    parse_process,
    parse_throttled,
    throttling_files,
)
from bench.quality.repeats import Repeats
from bench.quality.rule import BUDGET, DISTURBANCES, judge
from bench.quality.snapshot import Snapshot, snapshot
from bench.quality.watch import watching
from bench.results import Attempt, Failure, Quality
from bench.results.model import Completed

patient = settings(deadline=None)  # others use this machine as well

# ---- the kernel's texts -------------------------------------------------------------------------

STAT = """\
cpu  755279 2213 808796 3617403 64934 0 198600 491 0 0
cpu0 331714 634 308696 1972652 29742 0 81281 240 0 0
cpu1 423565 1579 500100 1644750 35192 0 117319 250 7 0
intr 77040383 0 0 0
"""
INTERRUPTS = """\
           CPU0       CPU1
 24:          1          0  IO-APIC   5-edge      ACPI:Ged
 36:          0    1969413 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0
 39:      56816          0 PCI-MSIX-0000:00:03.0   2-edge      virtio2-output.0
 41:          3          4 GICv2  30 Level     arch_timer
 42:         50         60 xen-percpu    -ipi       resched0
NMI:          0          0   Non-maskable interrupts
LOC:   19611514   15674061   Local timer interrupts
ERR:          0
"""


def test_the_time_of_the_processors_we_may_use_is_added_up() -> None:
    assert parse_cpu_times(STAT, {1}) == CpuTimes(
        user=423565,
        nice=1579,
        system=500100,
        idle=1644750,
        iowait=35192,
        irq=0,
        softirq=117319,
        steal=250,
    )
    both = parse_cpu_times(STAT, {0, 1})
    assert both is not None
    assert (both.idle, both.steal) == (1972652 + 1644750, 240 + 250)
    assert parse_cpu_times(STAT, {2}) is None


def test_only_interrupts_of_devices_count_and_only_on_our_processors() -> None:
    assert parse_interrupts(INTERRUPTS, {0, 1}) == 1 + 1969413 + 56816
    assert parse_interrupts(INTERRUPTS, {0}) == 1 + 56816
    assert parse_interrupts("", {0}) is None


@patient
@given(
    name=st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=15),
    ticks=st.lists(st.integers(0, 2**40), min_size=4, max_size=4),
    start=st.integers(0, 2**40),
    parent=st.integers(0, 2**22),
    session=st.integers(0, 2**22),
)
def test_a_process_is_read_whatever_it_calls_itself(
    name: str, ticks: list[int], start: int, parent: int, session: int
) -> None:
    rest = [parent, 1, session, 0, -1, 0x200000, *[5] * 4, *ticks, 20, 0, 1, 0, start, 7, 8]
    text = f"123 ({name}) S {' '.join(map(str, rest))}"
    own = sum(ticks[:2])
    expected = Process(123, start, parent, sum(ticks), True, own, name, session)
    assert parse_process(text) == expected


@patient
@given(st.text())
def test_what_is_no_process_is_none(text: str) -> None:
    assert parse_process(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("usage_usec 5\nnr_periods 10\nnr_throttled 2\nthrottled_usec 1500000\n", 1.5),
        ("nr_periods 3\nnr_throttled 1\nthrottled_time 2000000000\n", 2.0),
        ("usage_usec 5\nuser_usec 3\nsystem_usec 2\n", None),  # the root group cannot be throttled
        ("", None),
    ],
)
def test_throttling_is_read_of_both_versions_of_control_groups(
    text: str, seconds: float | None
) -> None:
    assert parse_throttled(text) == seconds


def test_a_group_is_throttled_with_those_around_it() -> None:
    assert list(throttling_files("0::/a/b\n")) == [
        "/sys/fs/cgroup/a/b/cpu.stat",
        "/sys/fs/cgroup/a/cpu.stat",
        "/sys/fs/cgroup/cpu.stat",
    ]
    first = list(throttling_files("4:memory:/x\n3:cpu,cpuacct:/docker/1\n"))
    assert first[0] == "/sys/fs/cgroup/cpu/docker/1/cpu.stat"
    assert first[-1] == "/sys/fs/cgroup/cpu,cpuacct/cpu.stat"


# ---- figures ------------------------------------------------------------------------------------

INIT = Process(1, 0, 0, 100, kernel=False)
OURS = Process(50, 10, 1, 1000, kernel=False)


def moment(seconds: float = 0.0, **changes: Any) -> Snapshot:
    return Snapshot(
        **{
            "seconds": seconds,
            "cpus": 2,
            "ticks_per_second": 100,
            "times": parse_cpu_times(STAT, {0, 1}),
            "processes": (INIT, OURS),
            "whole": True,
            "pid": 50,
            "interrupts": 1000,
            "throttled": 1.0,
            "hot": {"cpu0/core": 0.0, "cpu1/core": 9.0},
            "frequency": None,
            **changes,
        }
    )


def later(**changes: Any) -> Snapshot:
    return moment(10.0, **changes)


def stole(ticks: int) -> CpuTimes:
    times = parse_cpu_times(STAT, {0, 1})
    assert times is not None
    return replace(times, idle=times.idle + 2000 - ticks, steal=times.steal + ticks)


def test_each_disturbance_has_its_figure() -> None:
    after = later(
        times=stole(100), interrupts=5000, throttled=1.5, hot={"cpu0/core": 2.0, "cpu1/core": 9.1}
    )
    found = figures(moment(), after)
    assert found["steal"] == pytest.approx(0.05)
    assert found["interrupts"] == pytest.approx(200)  # a second, on each of two processors
    assert found["throttled"] == pytest.approx(0.025)
    assert found["thermal"] == pytest.approx(0.2)  # of the processor that was worst off
    assert found["other_load"] == 0


def test_what_cannot_be_seen_is_none_and_spoils_nothing() -> None:
    blind = {"times": None, "interrupts": None, "throttled": None, "hot": None, "whole": False}
    found = figures(moment(**blind), later(**blind))
    assert set(found.values()) == {None}
    assert judge(found) == ()


def test_a_hypervisor_that_never_told_of_steal_tells_of_none() -> None:
    never = replace(stole(0), steal=0)
    found = figures(moment(times=never), later(times=replace(never, idle=never.idle + 9)))
    assert found["steal"] is None


used = st.integers(0, 10**6)


@patient
@given(own=used, child=used, busy=used, kernel=used)
def test_other_load_is_what_others_use_and_not_what_we_or_the_kernel_do(
    own: int, child: int, busy: int, kernel: int
) -> None:
    thread = Process(2, 0, 0, 7, kernel=True)
    processes = (
        replace(INIT, ticks=INIT.ticks + busy),
        replace(thread, ticks=7 + kernel),
        replace(OURS, ticks=OURS.ticks + own),
        Process(60, 20, 50, child, kernel=False),
        Process(61, 21, 60, child, kernel=False),
    )
    found = figures(moment(processes=(INIT, thread, OURS)), later(processes=processes))
    assert found["other_load"] == pytest.approx(busy / 100 / 20, abs=1e-5)


@patient
@given(before=used, inside=used, shell=used)
def test_a_process_that_dies_is_counted_once_and_only_for_what_it_did_meanwhile(
    before: int, inside: int, shell: int
) -> None:
    parent, child = Process(70, 5, 1, shell, False), Process(71, 6, 70, before, False)
    waited = replace(parent, ticks=shell + before + inside)
    found = figures(
        moment(processes=(INIT, OURS, parent, child)), later(processes=(INIT, OURS, waited))
    )
    assert found["other_load"] == pytest.approx(inside / 100 / 20, abs=1e-5)


def test_a_number_used_again_is_not_the_process_that_had_it() -> None:
    theirs = Process(60, 15, 1, 500, kernel=False)
    ours = Process(60, 99, 50, 400, kernel=False)
    reaped = replace(INIT, ticks=INIT.ticks + 500 + 100)
    found = figures(moment(processes=(INIT, OURS, theirs)), later(processes=(reaped, OURS, ours)))
    assert found["other_load"] == pytest.approx(100 / 100 / 20)


def test_where_processes_are_hidden_the_machine_counts_for_them() -> None:
    times = stole(0)
    busy = replace(times, user=times.user + 500, system=times.system + 300, softirq=10**9)
    ours = replace(OURS, ticks=OURS.ticks + 600)
    before, after = moment(whole=False), later(whole=False, times=busy, processes=(ours,))
    assert figures(before, after)["other_load"] == pytest.approx(200 / 100 / 20)


# ---- the rule -----------------------------------------------------------------------------------


@patient
@given(st.dictionaries(st.sampled_from(list(DISTURBANCES)), st.none() | st.floats(0, 1e9)))
def test_the_rule_is_the_table_and_nothing_else(found: dict[str, float | None]) -> None:
    for id_, entry in DISTURBANCES.items():
        figure = found.get(id_)
        assert (id_ in judge(found)) == (figure is not None and figure > entry.limit)


def test_the_documented_limits_are_those_of_the_rule() -> None:
    text = (ROOT / "docs/method.md").read_text()
    rows = {row.split(" | ")[0].strip("| "): row for row in text.splitlines() if row[:2] == "| "}
    for entry in DISTURBANCES.values():
        limit = f"| {entry.limit:g} {entry.unit}" if entry.unit else f"| {entry.limit:.0%}"
        assert limit.replace("%", " %").replace("CPU", "processor") in rows[entry.title]


class Tried:
    """A try with these figures."""

    def __init__(self, value: float, **found: float | None) -> None:
        self.samples, self.figures = {"rtt": [value]}, found


def settled(repeats: Repeats, *tries: Tried) -> tuple[float, list[Attempt]]:
    """The value that counts, and what is on record, when the tries go like this."""
    attempts: list[Attempt] = []
    left: Iterator[Tried] = iter(tries)
    given = repeats.settle(lambda: next(left), attempts)
    return given.samples["rtt"][0], attempts


def test_a_disturbed_try_does_not_count_and_is_kept_on_record() -> None:
    value, attempts = settled(Repeats.of(asking(2)), Tried(9.0, steal=0.5), Tried(1.0, steal=0.001))
    assert value == 1.0
    assert attempts == [
        Attempt({"steal": 0.5}, ("steal",), {"rtt": [9.0]}),
        Attempt({"steal": 0.001}),
    ]


def test_the_last_try_counts_and_is_marked_whatever_disturbed_it() -> None:
    noisy = [Tried(float(number), other_load=0.5) for number in range(3)]
    value, attempts = settled(Repeats.of(asking(2)), *noisy)
    assert value == 2.0
    assert [attempt.spoilt for attempt in attempts] == [("other_load",)] * 3
    assert [bool(attempt.samples) for attempt in attempts] == [True, True, False]


def test_a_run_that_asked_for_no_repeats_has_none() -> None:
    value, attempts = settled(Repeats.of(asking(0)), Tried(3.0, steal=0.9))
    assert (value, len(attempts)) == (3.0, 1)


@patient
@given(st.lists(st.booleans(), min_size=64, max_size=64), st.integers(0, 64))
def test_a_machine_that_is_never_quiet_costs_a_quarter_more_and_not_twice_as_much(
    spoilt: list[bool], stop: int
) -> None:
    """However often the run is resumed, and wherever it stops."""
    run = asking(2, blocks=8)
    assert len(run.plan) == 64
    tries = iter(Tried(0.0, steal=0.5 if bad else 0.0) for bad in spoilt * 3)
    repeats, records = Repeats.of(run), []
    for trial in run.plan:
        if trial.trial == stop:
            ended = tuple(Completed(record.trial, "") for record in records)
            repeats = Repeats.of(replaced(run, quality=tuple(records), completed=ended))
        attempts: list[Attempt] = []
        repeats.settle(lambda: next(tries), attempts)
        records.append(Quality(trial.trial, tuple(attempts)))
        repeated = sum(len(record.attempts) - 1 for record in records)
        assert repeated <= max(2, math.ceil(BUDGET * trial.trial))
    assert repeated <= BUDGET * 64


def test_a_machine_that_is_never_quiet_has_all_repeats_that_its_trials_allow() -> None:
    run = asking(2, blocks=8)
    repeats = Repeats.of(run)
    noisy = [len(settled(repeats, *[Tried(0.0, steal=0.5)] * 3)[1]) - 1 for _ in run.plan]
    assert sum(noisy) == BUDGET * 64
    assert noisy[:9] == [2, 0, 0, 0, 0, 0, 0, 0, 1]


def test_a_run_of_few_trials_has_no_more_repeats_than_a_quarter_of_them() -> None:
    """As each block of a revision, which is a run by itself."""
    run = asking(2, blocks=1, variants=("veth",), arms=("native",))
    assert len(run.plan) == 2
    repeats = Repeats.of(run)
    noisy = [len(settled(repeats, *[Tried(0.0, steal=0.5)] * 3)[1]) - 1 for _ in run.plan]
    assert noisy == [1, 0]


def test_a_repeat_that_failed_is_spent_for_a_run_that_is_resumed() -> None:
    run = asking(2, blocks=1)
    assert len(run.plan) == 8  # and so two repeats
    tried = Attempt({"steal": 0.5}, ("steal",), {"rtt": [1.0]})
    resumed = replaced(
        run,
        quality=tuple(Quality(trial.trial, (tried,)) for trial in run.plan[:2]),
        failures=tuple(Failure(**asdict(trial), reason="lost") for trial in run.plan[:2]),
    )
    assert len(settled(Repeats.of(resumed), *[Tried(3.0, steal=0.9)] * 3)[1]) == 1
    assert len(settled(Repeats.of(run), *[Tried(3.0, steal=0.9)] * 3)[1]) == 3


# ---- on this machine ----------------------------------------------------------------------------


def test_what_somebody_else_does_is_seen() -> None:
    with watching() as watch:
        keeps_busy(0.6)
        time.sleep(0.4)
    assert "other_load" in judge(watch.figures), watch.figures
    # At least half of what they asked for: others take part, and the watch lasts a little longer.
    assert watch.figures["other_load"] is not None
    assert 0.25 < watch.figures["other_load"] <= 1.1


def test_what_others_were_billed_is_what_the_machine_did_and_we_did_not() -> None:
    before = snapshot()
    keeps_busy(0.9)
    time.sleep(0.7)
    after = snapshot()
    require(after.whole, "not all of this machine's processes can be seen")
    billed = figures(before, after)["other_load"]
    rest = figures(replace(before, whole=False), replace(after, whole=False))["other_load"]
    # The second is without softirqs, and by the tick.
    assert rest == pytest.approx(billed, abs=0.25)


def test_what_we_do_ourselves_is_ours() -> None:
    def rest(send: Send) -> None:
        send({"ready": True})
        time.sleep(10)

    with spawn("child", rest) as child:
        child.receive(5)
        ours = {pid for pid, _ in tree(snapshot())}
    assert {os.getpid(), child.pid} <= ours
    assert os.getppid() not in ours


def test_an_error_within_the_watch_is_not_swallowed() -> None:
    with pytest.raises(KeyError), watching():
        raise KeyError
