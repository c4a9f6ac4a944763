"""A child process cannot outlive us, cannot hang us, and says why it died."""

import gc
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from files import ROOT

from bench.errors import CannotMeasure
from bench.process import FOLDER, Send, execute, run_in_foreground, spawn
from bench.topology import namespace

Task = Callable[[Send], dict[str, Any] | None]
DEADLINE = 5.0


def answer(task: Task) -> dict[str, Any]:
    """What a child that runs `task` says first."""
    with spawn("child", task) as child:
        return child.receive(DEADLINE)


def error(task: Task) -> str:
    with pytest.raises(CannotMeasure) as caught:
        answer(task)
    assert str(caught.value).startswith("child: ")
    return str(caught.value).removeprefix("child: ")


def gone(pid: int) -> bool:
    """Wait until the process, which may be no child of ours, is dead."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], DEADLINE)[0])
    finally:
        os.close(descriptor)


# ---- messages -------------------------------------------------------------------------------


def test_what_a_task_returns_and_sends_arrives_in_order() -> None:
    def task(send: Send) -> dict[str, Any]:
        send({"number": 1})
        send({"number": 2, "text": "a\nb, ж"})
        return {"number": 3}

    with spawn("child", task) as child:
        assert child.receive(DEADLINE) == {"number": 1}
        assert child.receive(DEADLINE) == {"number": 2, "text": "a\nb, ж"}
        assert child.receive(DEADLINE) == {"number": 3}
        assert child.wait(DEADLINE) == 0
        assert not child.alive()


def test_a_message_may_be_larger_than_a_pipe() -> None:
    size = 5_000_000
    assert answer(lambda _: {"text": "x" * size}) == {"text": "x" * size}


def test_an_exception_becomes_an_error_in_one_line() -> None:
    def lines(_: Send) -> None:
        raise ValueError("one\ntwo")

    def system(_: Send) -> None:
        Path("/no/such/file").read_text()

    def silent(_: Send) -> None:
        raise AssertionError

    assert error(lines) == r"one\ntwo"
    assert error(system) == "/no/such/file: No such file or directory"
    assert error(silent) == "AssertionError"


# ---- death ----------------------------------------------------------------------------------


def test_a_child_that_is_killed_is_reported_with_the_signal() -> None:
    assert error(lambda _: os.kill(os.getpid(), signal.SIGKILL)) == "killed by signal 9"


def test_a_child_that_exits_is_reported_with_its_status() -> None:
    assert error(lambda _: os._exit(7)) == "exited with status 7"
    assert error(lambda _: sys.exit(3)) == "exited with status 3"
    assert error(lambda _: None) == "exited with status 0"


def test_what_a_child_printed_last_is_part_of_the_report() -> None:
    def task(_: Send) -> None:
        os.write(1, b"one\ntwo\n")
        os.write(2, b"three\nfour \xff\n")
        os._exit(1)

    assert (
        error(task)
        == "exited with status 1; it last said: two | three | four \N{REPLACEMENT CHARACTER}"
    )


def test_a_child_that_hangs_costs_no_more_than_the_deadline() -> None:
    begin = time.monotonic()
    with spawn("child", lambda _: signal.pause()) as child:
        with pytest.raises(CannotMeasure, match=r"child: no answer within 0\.1 s"):
            child.receive(0.1)
        with pytest.raises(CannotMeasure, match=r"child: still running after 0\.1 s"):
            child.wait(0.1)
        assert child.alive()
    assert gone(child.pid)
    assert time.monotonic() - begin < 1.5


def test_a_child_that_ignores_being_asked_to_end_is_made_to() -> None:
    def deaf(send: Send) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        send({"ready": True})
        while True:
            signal.pause()

    with spawn("child", deaf) as child:
        child.receive(DEADLINE)
        begin = time.monotonic()
    assert 1 < time.monotonic() - begin < 4
    assert gone(child.pid)


def test_a_child_that_nobody_listens_to_can_still_be_ended() -> None:
    def flood(send: Send) -> None:
        while True:
            send({"text": "x" * 100_000})

    with spawn("child", flood) as child:
        child.receive(DEADLINE)
    assert gone(child.pid)


def test_a_child_that_was_waited_for_is_reaped_once() -> None:
    with spawn("child", lambda _: None) as child:
        assert child.wait(DEADLINE) == child.wait(DEADLINE) == 0
    with pytest.raises(ChildProcessError):
        os.waitpid(child.pid, os.WNOHANG)


def test_no_descriptor_is_left_behind() -> None:
    gc.collect()  # lest what earlier tests left be closed between the two lists
    before = os.listdir("/proc/self/fd")
    for _ in range(5):
        answer(lambda _: {})
    assert len(os.listdir("/proc/self/fd")) == len(before)


# ---- surroundings ---------------------------------------------------------------------------


def test_a_child_holds_no_descriptor_but_those_it_was_told_to_keep() -> None:
    def task(_: Send) -> dict[str, Any]:
        names = {int(name) for name in os.listdir("/proc/self/fd")}
        return {"open": sorted(fd for fd in names if Path(f"/proc/self/fd/{fd}").exists())}

    kept, other = os.memfd_create("kept"), os.memfd_create("other", 0)
    try:
        with spawn("child", task, keep=[kept]) as child:
            found = child.receive(DEADLINE)["open"]
    finally:
        os.close(kept)
        os.close(other)
    assert found[:3] == [0, 1, 2]
    assert kept in found
    assert other not in found
    assert len(found) == 5, "and the pipe for its messages"


def test_a_child_reads_nothing_from_our_terminal() -> None:
    assert answer(lambda _: {"input": len(os.read(0, 100))}) == {"input": 0}


@pytest.mark.usefixtures("namespaces")
def test_a_child_is_in_the_namespace_it_was_sent_to_and_we_are_not() -> None:
    here = os.stat("/proc/self/ns/net").st_ino
    with namespace() as netns:
        wanted = os.stat(netns).st_ino
        with spawn(
            "child", lambda _: {"at": os.stat("/proc/self/ns/net").st_ino}, netns=netns
        ) as c:
            assert c.receive(DEADLINE)["at"] == wanted != here
    assert os.stat("/proc/self/ns/net").st_ino == here


# ---- parents --------------------------------------------------------------------------------

PARENT = """
import json, os, signal, sys
from bench.process import spawn, execute

def wait(send):
    send({"ready": True})
    while True:
        signal.pause()

def serve(send):
    send({"ready": True})
    signal.sigwait({signal.SIGUSR1})
    send({"still": "here"})
    signal.pause()

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
sleep = ["sleep", "1000"]
with (
    spawn("waits", wait) as one,
    execute("sleeps", sleep) as two,
    spawn("serves", serve) as three,
):
    one.receive(5)
    three.receive(5)
    try:
        print(json.dumps([one.pid, two.pid, three.pid]), flush=True)
        while True:
            signal.pause()
    except KeyboardInterrupt:
        os.kill(three.pid, signal.SIGUSR1)
        print(json.dumps(three.receive(5)), json.dumps([one.alive(), two.alive()]), flush=True)
        sys.exit(5)
"""


def parent() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PARENT],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_children_die_with_a_parent_that_is_killed() -> None:
    with parent() as process:
        assert process.stdout
        children = json.loads(process.stdout.readline())
        process.kill()
        process.wait(DEADLINE)
        for pid in children:
            assert gone(pid)


def test_ctrl_c_reaches_the_parent_alone_which_then_ends_its_children() -> None:
    with parent() as process:
        assert process.stdout
        children = json.loads(process.stdout.readline())
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.stdout.readline() == '{"still": "here"} [true, true]\n'
        assert process.wait(DEADLINE) == 5
        for pid in children:
            assert gone(pid)


UNLUCKY = """
import os, signal
from bench.process import spawn

os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))
children = []
try:
    with spawn("child", lambda _: signal.pause()) as child:
        children.append(child.pid)
except KeyboardInterrupt:
    print("interrupted", len(children), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        print("and nothing left")
"""


def test_ctrl_c_in_the_middle_of_a_fork_is_neither_lost_nor_leaves_a_child() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNLUCKY],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert done.stdout.splitlines() == ["interrupted 0 set()", "and nothing left"]
    assert done.stderr == ""


# ---- programs -------------------------------------------------------------------------------


def test_a_programs_status_and_output_are_known() -> None:
    with execute("shell", ["sh", "-c", "echo out; echo err >&2; exit 4"]) as child:
        assert child.wait(DEADLINE) == 4
        assert child.output() == "out\nerr\n"


def test_a_program_that_is_not_there_is_reported() -> None:
    with execute("nothing", ["no-such-program"]) as child:
        assert child.wait(DEADLINE) == 127
        assert child.output() == "no-such-program: No such file or directory\n"


@pytest.mark.usefixtures("namespaces")
def test_a_program_in_the_foreground_runs_in_the_namespace_and_gives_its_status() -> None:
    with namespace() as netns:
        script = f'test "$(readlink /proc/self/ns/net)" = "net:[{os.stat(netns).st_ino}]" && exit 9'
        assert run_in_foreground(["sh", "-c", script], netns, dict(os.environ)) == 9
        assert run_in_foreground(["sh", "-c", "kill -9 $$"], netns, dict(os.environ)) == -9
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("namespaces")
def test_a_program_finds_a_namespace_at_a_path_of_its_own() -> None:
    with namespace() as other:
        command = ["stat", "-L", "-c", "%i", f"{FOLDER}/its/net"]
        with execute("stat", command, files={}, namespaces={"its/net": other}) as child:
            assert child.wait(5) == 0, child.output()
            assert int(child.output()) == os.fstat(other).st_ino
    assert not Path(FOLDER).exists()


def test_a_program_inherits_no_ignored_sigpipe_from_python() -> None:
    with execute("grep", ["grep", "SigIgn", "/proc/self/status"]) as child:
        assert child.wait(5) == 0
        ignored = int(child.output().split()[1], 16)
    assert not ignored & 1 << signal.SIGPIPE - 1
