"""What the doctor saw while it watched, and how it is put, on a terminal of any width."""

import io
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from files import ROOT
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from bench.cli.doctor_table import render
from bench.doctor import abilities, noise
from bench.doctor.examine import Examination, run
from bench.doctor.model import Finding, Here, Status, Watched, cpus
from bench.quality.figures import around, busiest
from bench.quality.proc import Process, parse_process
from bench.quality.rule import DISTURBANCES
from bench.quality.snapshot import Snapshot, snapshot
from bench.quality.words import DRIFT

SONG = {"memcpy": 9e9, "system_call": 1e-7, "loopback": 1e-5}
WELL = dict.fromkeys(DISTURBANCES, 0.0)
NOW = snapshot()


def watched(**changes: Any) -> Watched:
    """A machine on which nothing happened, but for the changes."""
    quiet = dict.fromkeys(cpus(), 0.0)
    figures = {"before": NOW, "after": replace(NOW, seconds=NOW.seconds + 1), "figures": WELL}
    return Watched(
        **{**figures, "shared": quiet, "together": 0.0, "songs": (SONG, SONG), **changes}
    )


def judge(id_: str, seen: Watched | None) -> Finding:
    [check] = [check for check in noise.checks() if check.id == id_]
    [found] = run([check], Here(watched=seen))
    return found


@pytest.mark.parametrize("id_", ["steal", "other_load", "interrupts", "throttled", "thermal"])
def test_what_would_spoil_a_trial_is_noisy_and_what_would_not_is_well(id_: str) -> None:
    limit = DISTURBANCES[id_].limit

    def status(figure: float | None) -> Status:
        return judge(id_, watched(figures={**WELL, id_: figure})).status

    assert status(limit) is Status.OK
    assert status(limit * 1.01) is Status.NOISY
    assert status(None) in (Status.UNKNOWN, Status.OK)


@pytest.mark.parametrize("id_", ["core_company", "same_core", "drift", "other_load"])
def test_what_was_not_watched_is_unknown_with_the_reason(id_: str) -> None:
    assert judge(id_, None).found == "nobody watched"
    reasons = {"company": "it died", "song": "it died"}
    seen = watched(reasons=reasons, figures=dict.fromkeys(DISTURBANCES), shared={}, songs=())
    found = judge(id_, seen)
    assert found.status is Status.UNKNOWN
    assert found.found == ("not observed here" if id_ == "other_load" else "it died")


def test_a_stranger_on_a_core_is_said_of_its_cpu() -> None:
    last = cpus()[-1]
    found = judge("core_company", watched(shared={**dict.fromkeys(cpus(), 0.0), last: 0.42}))
    assert found.status is Status.NOISY
    assert f"CPU {last} 42%" in found.found
    assert "smt/control" in found.mend or "whole cores" in found.mend


def test_two_cpus_of_one_core_are_told_from_a_core_that_is_never_ours() -> None:
    last = cpus()[-1]
    assert judge("same_core", watched(together=0.9)).status is Status.NOISY
    assert judge("same_core", watched(together=0.3)).status is Status.OK
    always = dict.fromkeys(cpus(), 0.0) | {last: 0.9}
    assert judge("same_core", watched(together=0.9, shared=always)).status is Status.UNKNOWN


@given(change=st.floats(0.5, 2.0))
@settings(deadline=None)
def test_a_machine_drifts_where_any_canary_does(change: float) -> None:
    assume(abs(abs(change - 1) - DRIFT) > 1e-9)
    later = {**SONG, "loopback": SONG["loopback"] * change}
    found = judge("drift", watched(songs=(SONG, later)))
    assert (found.status is Status.NOISY) == (abs(change - 1) > DRIFT)
    assert "memcpy rate 8.38 GiB/s" in found.found


def moment(seconds: float, ticks: Mapping[int, int], *, ours: int, kernel: int) -> Snapshot:
    """A snapshot of processes with so many ticks; `ours` is the doctor's child."""
    processes = [
        Process(pid, 1, 100 if pid == ours else 1, 7 * count, pid == kernel, own=count)
        for pid, count in ticks.items()
    ]
    processes.append(Process(100, 1, 1, 0, False))
    return replace(NOW, seconds=seconds, ticks_per_second=100, processes=tuple(processes), pid=100)


@given(st.dictionaries(st.integers(2, 12), st.integers(0, 200), min_size=1))
@settings(deadline=None)
def test_the_busiest_are_others_by_what_they_used_most_first(used: dict[int, int]) -> None:
    ours, kernel = 3, 4
    before = moment(10, dict.fromkeys(used, 1000), ours=ours, kernel=kernel)
    after = moment(12, {p: 1000 + n for p, n in used.items()}, ours=ours, kernel=kernel)
    found = busiest(before, after)
    expected = {p: n / 200 for p, n in used.items() if n and p not in (ours, kernel)}
    assert {process.pid: share for process, share in found} == pytest.approx(expected)
    shares = [share for _, share in found]
    assert shares == sorted(shares, reverse=True)


@given(name=st.text(max_size=15), pid=st.integers(2, 2**22))
@settings(deadline=None)
def test_a_program_may_call_itself_anything_and_upsets_no_terminal(name: str, pid: int) -> None:
    text = f"{pid} ({name}) R 1 1 1 0 -1 0 0 0 0 0 300 50 9 9 20 0 1 0 77 0"
    process = parse_process(text)
    assert process is not None
    assert (process.name, process.own, process.ticks) == (name, 350, 368)
    now = replace(NOW, processes=())
    after = replace(now, seconds=now.seconds + 1, processes=(process,))
    seen = watched(before=now, after=after, figures={**WELL, "other_load": 0.5})
    found = judge("other_load", seen)
    assert found.found.isprintable()
    assert f"({pid}) 350%" in found.found
    assert found.mend.split()[:2] == ["kill", "-STOP"] or found.mend.startswith("sudo kill -STOP")


DOCTOR, SHELL, SSHD, INIT, JOB, STRANGER, DOCKERD = 100, 90, 80, 1, 95, 50, 60


def busy_together(*pids: int) -> str:
    """What the doctor offers where these are busy."""
    everybody = (
        Process(INIT, 1, 0, 0, False, name="bash", session=INIT),
        Process(SSHD, 1, INIT, 0, False, name="terminal", session=SSHD),
        Process(SHELL, 1, SSHD, 0, False, name="zsh", session=SHELL),
        Process(DOCTOR, 1, SHELL, 0, False, name="vnetbench", session=SHELL),
        Process(JOB, 1, SHELL, 0, False, name="tee", session=SHELL),
        Process(STRANGER, 1, INIT, 0, False, name="burn", session=STRANGER),
        Process(DOCKERD, 1, INIT, 0, False, name="dockerd", session=DOCKERD),
    )
    used = tuple(replace(one, own=90 if one.pid in pids else 0) for one in everybody)
    before = replace(NOW, ticks_per_second=100, processes=everybody, pid=DOCTOR)
    after = replace(before, seconds=before.seconds + 1, processes=used)
    return judge(
        "other_load", watched(before=before, after=after, figures={**WELL, "other_load": 0.5})
    ).mend


@pytest.mark.parametrize("pid", [INIT, SSHD, SHELL, JOB, DOCKERD])
def test_what_carries_a_session_is_named_and_never_in_the_command(pid: int) -> None:
    alone = busy_together(pid)
    assert "kill" not in alone
    assert f"({pid})" in alone
    command, _, rest = busy_together(pid, STRANGER).partition(" (")
    assert command.removeprefix("sudo ").split() == ["kill", "-STOP", str(STRANGER)]
    assert f"({pid}), on which sessions depend" in rest


def test_parents_that_are_each_others_are_looked_at_once() -> None:
    """As where a number was given away anew while the list was read."""
    two = (Process(5, 1, 6, 0, False), Process(6, 1, 5, 0, False))
    assert around(replace(NOW, processes=two, pid=5)) == {5, 6}


# ---- on a terminal ------------------------------------------------------------------------------

WIDEST = 12
"""Columns of a terminal that a word may take and still stand whole beside another at 40."""
WORDS = st.text(
    st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=WIDEST
).filter(lambda word: cell_len(word) <= WIDEST)
TEXTS = st.lists(WORDS, min_size=1, max_size=8).map(" ".join)
FINDINGS = st.builds(
    Finding,
    id=st.just("id"),
    what=TEXTS,
    status=st.sampled_from(Status),
    found=TEXTS,
    source=TEXTS,
    why=TEXTS,
    mend=st.just("") | TEXTS,
)


def rendered(found: Examination, width: int, *, terminal: bool) -> str:
    file = io.StringIO()
    render(found, Console(file=file, width=width, force_terminal=terminal, color_system=None))
    return file.getvalue()


@given(st.lists(FINDINGS, max_size=4), st.integers(40, 120))
@settings(deadline=None, max_examples=40)
def test_on_a_narrow_terminal_every_word_is_there_and_commands_can_be_copied(
    findings: list[Finding], width: int
) -> None:
    said = rendered(Examination(can_measure=tuple(findings), noise=()), width, terminal=True)
    joined = "".join(said.split())
    for finding in findings:
        assert all(word in joined for word in finding.what.split() + finding.found.split())
        assert not finding.mend or f"  → {finding.mend}\n" in said


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_tables_fit_the_terminal(width: int) -> None:
    """With the real names of all checks, and a long figure in each."""
    figure = "a figure that takes more than one line on a narrow terminal, and /a/path/besides"
    findings = tuple(
        Finding(check.id, check.what, Status.UNKNOWN, figure, check.source, check.why, "")
        for check in (*abilities.checks(), *noise.checks())
    )
    said = rendered(Examination(can_measure=findings, noise=findings), width, terminal=True)
    assert all(len(line) <= width for line in said.splitlines())
    assert said.count("unknown") >= 2 * len(findings)


def test_what_one_command_mends_is_one_entry() -> None:
    def lack(name: str) -> Finding:
        return Finding(name, name, Status.MISSING, "no", "PATH", "why not", "make peers")

    said = rendered(
        Examination(can_measure=(lack("fastd"), lack("socat")), noise=()), 80, terminal=False
    )
    assert said.count("→ make peers") == 1
    assert "missing: fastd, socat: why not" in said


# ---- documentation ------------------------------------------------------------------------------


def test_the_documentation_has_a_line_for_each_check() -> None:
    text = (ROOT / "docs/setup.md").read_text()
    section = text.partition("## What the doctor looks at")[2].partition("\n## ")[0]
    named = {
        name for row in re.findall(r"^\| ([^|]+) \|", section, re.M) for name in row.split(", ")
    }
    for check in (*abilities.checks(), *noise.checks()):
        group = check.id.partition("_")[0]
        assert check.what.strip() in named or group in ("device", "program"), check.what
