"""Child processes that cannot outlive us and cannot hang us.

A child is forked from the main thread, enters a namespace, does one thing and exits; it sends
messages (one JSON object each) over a pipe. The kernel kills it when its parent dies, however
that happens, and every wait has a deadline. What it prints is kept, and shown when it fails.

Forking is safe here because nothing in this package starts a thread.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from bench import native
from bench.errors import CannotMeasure
from bench.interrupts import INTERRUPTS

Send = Callable[[dict[str, Any]], None]
"""Sends one message to the parent."""

FOLDER = "/run/vnetbench"
"""Where a program finds its files; see `execute`."""
_STOP_GRACE = 2.0
"""Seconds a child has to end by itself after SIGTERM."""


class Child:
    """A running child. Use through `spawn` or `execute`, which end it."""

    def __init__(self, name: str, pid: int, messages: int, output: IO[bytes]) -> None:
        self.name, self.pid = name, pid
        self._messages, self._output = messages, output
        self._buffer = b""
        self._pidfd = os.pidfd_open(pid)
        self._status: int | None = None

    def receive(self, timeout: float) -> dict[str, Any]:
        """The child's next message. Raises CannotMeasure if it dies first or none comes in time."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            if not _readable(self._messages, deadline - time.monotonic()):
                raise CannotMeasure(f"{self.name}: no answer within {timeout:g} s{self.tail()}")
            data = os.read(self._messages, 1 << 16)
            if not data:
                raise CannotMeasure(f"{self.name}: {self._cause_of_death()}{self.tail()}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise CannotMeasure(f"{self.name}: {message['error']}")
        return message

    def wait(self, timeout: float) -> int:
        """Wait for the end; returns the exit status, or minus the signal. Raises CannotMeasure."""
        if not _readable(self._pidfd, timeout):
            raise CannotMeasure(f"{self.name}: still running after {timeout:g} s{self.tail()}")
        return self._reap()

    def alive(self) -> bool:
        """Whether the child still runs."""
        return self._status is None and not _readable(self._pidfd, 0)

    def output(self) -> str:
        """What the child has printed so far."""
        return os.pread(self._output.fileno(), 1 << 20, 0).decode(errors="replace")

    def ask_to_end(self) -> None:
        """Send SIGTERM and do not wait: several children can so end side by side."""
        if self._status is None:
            signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)

    def end(self) -> None:
        """Ask the child to end (SIGTERM), make it after a grace period, and reap it."""
        if self._status is None:
            self.ask_to_end()
            if not _readable(self._pidfd, _STOP_GRACE):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            self._reap()
        for fd in (self._messages, self._pidfd):
            os.close(fd)
        self._output.close()

    def _reap(self) -> int:
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    def _cause_of_death(self) -> str:
        status = self._reap()
        return f"killed by signal {-status}" if status < 0 else f"exited with status {status}"

    def tail(self) -> str:
        """What it printed last, to end a sentence with; empty if nothing."""
        lines = self.output().strip().splitlines()[-3:]
        return f"; it last said: {' | '.join(lines)}" if lines else ""


@contextmanager
def spawn(
    name: str,
    task: Callable[[Send], dict[str, Any] | None],
    *,
    netns: int | None = None,
    keep: Sequence[int] = (),
) -> Iterator[Child]:
    """Fork a child that runs `task` in the namespace of descriptor `netns`, and yield it.

    keep: descriptors the task uses; all others but the standard ones are closed in the child, so
        that it holds nothing alive by accident.
    What `task` returns is sent as the child's last message; an exception is sent as its error.
    SIGTERM ends the child at once. On leaving, the child is ended.
    """

    def run(messages: int) -> None:
        def send(message: dict[str, Any]) -> None:
            os.write(messages, json.dumps(message).encode() + b"\n")

        try:
            result = task(send)
            if result is not None:
                send(result)
        except Exception as error:  # the border of the process: everything becomes a message
            send({"error": _describe(error)})
            raise SystemExit(1) from None

    with _fork(name, run, netns, keep) as child:
        yield child


@contextmanager
def execute(
    name: str,
    arguments: Sequence[str],
    *,
    netns: int | None = None,
    keep: Sequence[int] = (),
    files: Mapping[str, bytes] | None = None,
    namespaces: Mapping[str, int] | None = None,
) -> Iterator[Child]:
    """Run the program `arguments` in the namespace of `netns`, and yield it; it sends no messages.

    keep: descriptors it inherits besides the standard ones. files: what it finds in FOLDER, path
        below it → content; then /run is the program's own, in memory, and gone with it.
    namespaces: more that it finds there, name → descriptor: for programs that take a path only, and
        may not follow one into another process's descriptors.
    On leaving, it is ended.
    """

    def run(_: int) -> None:
        try:
            if files is not None:
                _write_private(files, namespaces or {})
            for fd in keep:
                os.set_inheritable(fd, True)
            # Python ignores it, a program would inherit that, and some (pasta) will not have it.
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.execvp(arguments[0], list(arguments))  # noqa: S606 - no shell is the point
        except OSError as error:
            os.write(2, f"{error.filename or arguments[0]}: {error.strerror}\n".encode())
            raise SystemExit(127) from None

    with _fork(name, run, netns, [*keep, *(namespaces or {}).values()]) as child:
        yield child


def _write_private(files: Mapping[str, bytes], namespaces: Mapping[str, int]) -> None:
    """Put files and namespaces where only this process and its children can see them."""
    native.private_tmpfs("/run")
    os.umask(0o077)
    for name, content in files.items():
        path = Path(FOLDER, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for name, fd in namespaces.items():
        path = Path(FOLDER, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        native.bind(fd, str(path))


def run_in_foreground(arguments: Sequence[str], netns: int, environment: Mapping[str, str]) -> int:
    """Run a program on our own terminal in the namespace of `netns`; returns its exit status.

    Ctrl-C is the program's meanwhile. It dies with us.
    """
    parent = os.getpid()
    sys.stdout.flush()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pid = os.fork()
        if pid == 0:
            try:
                _die_with(parent)
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                native.setns(netns, native.CLONE_NEWNET)
                os.execvpe(arguments[0], list(arguments), environment)  # noqa: S606
            except OSError as error:
                os.write(2, f"{arguments[0]}: {error.strerror}\n".encode())
            finally:
                os._exit(127)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _fork(
    name: str, run: Callable[[int], None], netns: int | None, keep: Sequence[int]
) -> Iterator[Child]:
    output = tempfile.TemporaryFile()  # noqa: SIM115 - the child object closes it
    reading, writing = os.pipe()
    parent = os.getpid()
    # Interpreter and libraries have hooks at a fork. A Ctrl-C that comes meanwhile would be raised
    # in one of them, where it is printed and lost.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
        pid = os.fork()
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise
    if pid == 0:
        status = 70
        try:
            _become_child(parent, netns, output.fileno())
            _close_all_but({0, 1, 2, writing, *keep})
            run(writing)
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException as error:  # nothing may unwind into the parent's frames
            os.write(2, f"{_describe(error)}\n".encode())
        finally:
            os._exit(status)
    os.close(writing)
    child = Child(name, pid, reading, output)
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        yield child
    finally:
        child.end()


def _die_with(parent: int) -> None:
    native.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _become_child(parent: int, netns: int | None, output: int) -> None:
    _die_with(parent)
    # These reach the whole process group; only the parent decides what they mean.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if netns is not None:
        native.setns(netns, native.CLONE_NEWNET)


def _close_all_but(kept: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with suppress(OSError):  # the listing's own descriptor is gone already
                os.close(int(name))


def _readable(fd: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout) * 1000))


def _describe(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__
