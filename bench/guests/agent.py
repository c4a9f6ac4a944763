"""A guest as seen from outside: programs run in it through its agent (csrc/guest/agent.c).

Orders and answers go over a virtio-serial port whose other end is a socket that the hypervisor has
inherited; the network that is measured carries none of it.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count

from bench.errors import CannotMeasure
from bench.process import Child

_PROGRAMS_MAX = 16
"""How many programs the agent runs side by side."""
_READ_TIMEOUT = 10.0
_END_TIMEOUT = 10.0


class Program:
    """A program that runs in a guest; to its user much as a `Child`."""

    def __init__(self, guest: Guest, name: str, number: int) -> None:
        self.name = name
        self._guest, self._number = guest, number
        self._output = b""
        self._status: int | None = None

    def alive(self) -> bool:
        """Whether it still runs."""
        self._guest.listen(0)
        return self._status is None

    def wait(self, timeout: float) -> int:
        """Wait for the end; returns the exit status, or minus the signal. Raises CannotMeasure."""
        deadline = time.monotonic() + timeout
        while self._status is None:
            if not self._guest.listen(deadline - time.monotonic()):
                raise CannotMeasure(f"{self.name}: still running after {timeout:g} s{self.tail()}")
        return self._status

    def result(self, timeout: float) -> str:
        """What it has printed when it has ended well. Raises CannotMeasure where it has not."""
        if self.wait(timeout) != 0:
            self.receive(0)
        return self.output()

    def await_line(self, line: str, timeout: float) -> None:
        """Wait until it has printed `line`. Raises CannotMeasure when it ends first."""
        deadline = time.monotonic() + timeout
        while line not in self.output().splitlines():
            if self._status is not None:
                self.receive(0)
            if not self._guest.listen(deadline - time.monotonic()):
                raise CannotMeasure(f'{self.name}: no "{line}" in {timeout:g} s{self.tail()}')

    def receive(self, timeout: float) -> dict[str, object]:
        """Raise CannotMeasure with how it ended: it sends no messages."""
        status = self.wait(timeout)
        how = f"killed by signal {-status}" if status < 0 else f"exited with status {status}"
        raise CannotMeasure(f"{self.name}: {how}{self.tail()}")

    def output(self) -> str:
        """What it has printed so far."""
        return self._output.decode(errors="replace")

    def tail(self) -> str:
        """What it printed last, to end a sentence with; empty if nothing."""
        lines = self.output().strip().splitlines()[-3:]
        return f"; it last said: {' | '.join(lines)}" if lines else ""

    def end(self) -> None:
        """Kill it if it runs, and wait for that."""
        if self._status is None:
            self._guest.order("end", str(self._number))
            self.wait(_END_TIMEOUT)

    def heard(self, output: bytes) -> None:
        """Take what it has printed; for the guest."""
        self._output += output

    def ended(self, status: int) -> None:
        """Take how it has ended; for the guest."""
        self._status = status


class Guest:
    """A virtual machine that runs.

    machine: the hypervisor's process; what the guest's console says is its output.
    release: of its kernel; empty until it is ready.
    """

    def __init__(self, host: str, machine: Child, port: socket.socket) -> None:
        self.host, self.machine, self.release = host, machine, ""
        self._port = port
        self._buffer = b""
        self._programs: dict[int, Program] = {}

    def wait_until_ready(self, deadline: float) -> None:
        """Wait for the agent to say that it takes orders. Raises CannotMeasure."""
        while not self.release:
            if not self.listen(deadline - time.monotonic()):
                tail = self.machine.tail()
                raise CannotMeasure(f"{self.machine.name}: the guest has not booted in time{tail}")

    @contextmanager
    def execute(self, name: str, words: Sequence[str]) -> Iterator[Program]:
        """Run a program in the guest, and yield it. On leaving, it is ended."""
        number = next(n for n in count() if n not in self._programs)
        if number >= _PROGRAMS_MAX:
            raise CannotMeasure(f"{self.host}: it already runs {_PROGRAMS_MAX} programs")
        program = self._programs[number] = Program(self, f"{self.host}: {name}", number)
        self.order("run", str(number), *words)
        try:
            yield program
        finally:
            with suppress(CannotMeasure):  # it is gone with its machine, whose end has a cause
                program.end()
            del self._programs[number]

    def read(self, file: str) -> str:
        """What is in a file of the guest. Raises CannotMeasure."""
        with self.execute(f"cat {file}", ["cat", file]) as program:
            return program.result(_READ_TIMEOUT)

    def order(self, *words: str) -> None:
        """Send an order to the agent."""
        try:
            self._port.sendall("\t".join(words).encode() + b"\n")
        except OSError:
            self._say_why_it_died()

    def listen(self, timeout: float) -> bool:
        """Take what the agent says within `timeout` seconds; returns whether it said anything."""
        poll = select.poll()
        poll.register(self._port, select.POLLIN)
        if not poll.poll(max(0.0, timeout) * 1000):
            return False
        try:
            data = self._port.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._say_why_it_died()
        self._buffer += data
        while self._take_answer():
            pass
        return True

    def _take_answer(self) -> bool:
        """Take the first answer in the buffer, if it is complete."""
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return False
        match line.decode(errors="replace").split(" "):
            case ["ready", release]:
                self.release = release
            case ["output", number, size]:
                if len(rest) < int(size):
                    return False
                self._programs[int(number)].heard(rest[: int(size)])
                rest = rest[int(size) :]
            case ["exit", number, status]:
                self._programs[int(number)].ended(int(status))
            case words:
                raise CannotMeasure(f"{self.host}: its agent said {' '.join(words)[:80]!r}")
        self._buffer = rest
        return True

    def _say_why_it_died(self) -> None:
        self.machine.receive(_END_TIMEOUT)  # raises: the hypervisor sends no messages
