"""The preset "flannel" makes flannel's system calls in flannel's order; strace is the witness."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from capabilities import require_strace, require_tun

SUBJECT = Path(__file__).with_name("strace_subject.py")
COUNT = 20


@pytest.fixture(params=["out", "in"])
def direction(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(direction: str, folder: Path, *switches: str) -> tuple[dict[str, Any], list[str]]:
    """Run the subject; return its report, and what strace wrote of its pump's thread."""
    prefix = folder / "trace"
    subject = [sys.executable, str(SUBJECT), direction, str(COUNT), *switches]
    result = subprocess.run(
        ["strace", "-ff", "-o", str(prefix), *subject],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    report = json.loads(result.stdout)
    return report, prefix.with_suffix(f".{report['tid']}").read_text().splitlines()


def loop_of(lines: list[str]) -> slice:
    """From the first time the loop waits to the last."""
    waits = [i for i, line in enumerate(lines) if line.startswith("poll(") and ", 3, -1)" in line]
    return slice(waits[0], waits[-1] + 1)


def trace(direction: str, folder: Path) -> tuple[dict[str, int], list[str]]:
    """The counters of the subject, and the calls of its pump in order of their making.

    A call is written as its name and descriptor, with "?" if it returned EAGAIN: "read tun?".
    """
    report, lines = run(direction, folder)
    names = {str(report[name]): name for name in ("tun", "udp", "stop")}
    calls = [call(line, names) for line in lines[loop_of(lines)]]
    return report["counters"], calls


def call(line: str, names: dict[str, str]) -> str:
    matched = re.match(r"(\w+)\((?:\[\{fd=)?(\d+)", line)
    assert matched, line
    name, descriptor = matched.groups()
    if name == "poll":
        return "look for stop" if ", 1, 0)" in line else "poll"
    return f"{name} {names[descriptor]}{'?' if '= -1 EAGAIN' in line else ''}"


def test_one_way_traffic_makes_every_other_receive_return_eagain(
    direction: str, tmp_path: Path
) -> None:
    require_tun()
    require_strace()
    _, calls = trace(direction, tmp_path)
    turn = {
        "out": ["read tun", "sendto udp", "recvfrom udp?"],
        "in": ["read tun?", "recvfrom udp", "write tun"],
    }[direction]
    # strace makes the loop slow enough that it may look for the stop, which 50 ms allow.
    on_the_path = [made for made in calls if made != "look for stop"]
    assert on_the_path == ["poll", *turn * COUNT, "read tun?", "recvfrom udp?", "poll"]


def test_the_counters_count_what_strace_counts(direction: str, tmp_path: Path) -> None:
    require_tun()
    require_strace()
    counters, calls = trace(direction, tmp_path)
    made = Counter("poll" if c in ("poll", "look for stop") else c.split()[0] for c in calls)
    counted = {name: value for name, value in counters.items() if name.startswith("syscall.")}
    assert counted == {name: made[name.removeprefix("syscall.")] for name in counted}
    vain = Counter(c.split()[0] for c in calls if c.endswith("?"))
    assert counters["eagain.read"] == vain["read"]
    assert counters["eagain.recvfrom"] == vain["recvfrom"]


@pytest.mark.parametrize("way", ["udp", "tun"])
def test_the_calls_of_handicaps_are_counted_as_strace_counts_them(
    direction: str, way: str, tmp_path: Path
) -> None:
    require_tun()
    require_strace()
    report, lines = run(direction, tmp_path, f"{way}_trips=2", "vain_receives=3", "null_calls=1")
    loop = loop_of(lines)
    opened = max(i for i in range(loop.start) if lines[i].startswith("getsockname("))
    made = [line for line in lines[opened + 1 : loop.stop] if "(" in line]
    counters = report["counters"]
    for group, of_it in (("syscall.", made), ("eagain.", [x for x in made if "= -1 EAGAIN" in x])):
        counted = {k.removeprefix(group): v for k, v in counters.items() if k.startswith(group)}
        seen = Counter(line.partition("(")[0] for line in of_it)
        assert counted == {name: seen[name] for name in counted}
    assert counters[f"trip.{way}"] + counters["trip.lost"] == 2 * COUNT
    assert counters["eagain.recvfrom"] >= 3 * COUNT


@pytest.mark.parametrize("yields", [0, 2])
def test_the_calls_of_both_threads_of_a_hand_off_are_counted_as_strace_counts_them(
    direction: str, yields: int, tmp_path: Path
) -> None:
    require_tun()
    require_strace()
    report, lines = run(direction, tmp_path, "handoffs=1", f"yields={yields}")
    loop = loop_of(lines)
    # The pump's own calls end in its last look at the stop; after it, it tells the other to end.
    end = next(i for i in range(loop.stop, len(lines)) if lines[i].startswith("write("))
    other = other_thread(tmp_path, lines, report["tid"])
    made = Counter(call.partition("(")[0] for call in [*lines[loop.start : end + 1], *other])
    counters = report["counters"]
    counted = {
        k.removeprefix("syscall."): v for k, v in counters.items() if k.startswith("syscall")
    }
    assert counted == {name: made[name] for name in counted}
    assert counters["handoff"] == COUNT
    turns = Counter(call.partition("(")[0] for call in lines)["sched_yield"]
    assert turns == yields * COUNT
    assert (counted["sched_yield"] > 0) == (yields > 0)


def other_thread(folder: Path, lines: list[str], thread: int) -> list[str]:
    """What the thread did that the pump's thread started last."""
    clones = [re.search(r"= (\d+)$", line) for line in lines if line.startswith("clone")]
    children = [int(found[1]) for found in clones if found and int(found[1]) != thread]
    assert children
    return (folder / f"trace.{children[-1]}").read_text().splitlines()
