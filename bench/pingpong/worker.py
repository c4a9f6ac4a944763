"""The program that pyperf runs, and runs again as its own workers: one ping-pong loop.

    python -m bench.pingpong.worker --server ADDRESS:PORT --name NAME --report FILE …

It is started in the client's namespace; the benchmark's JSON goes to FILE.
"""

from __future__ import annotations

import os
import signal
import sys
from argparse import Namespace

import pyperf

from bench import native
from bench.pingpong import NO_ECHO, PAYLOAD, ROUND_TIMEOUT, connect


def main() -> None:
    """Be pyperf's manager, or one of its workers when it says so."""
    runner = pyperf.Runner(
        program_args=("-P", "-m", "bench.pingpong.worker"), add_cmdline_args=_pass_on
    )
    runner.argparser.add_argument("--server", required=True)
    runner.argparser.add_argument("--name", required=True)
    runner.argparser.add_argument("--report", required=True)
    runner.argparser.add_argument("--manager", type=int)
    arguments = runner.parse_args()
    if arguments.worker:
        _die_with(arguments.manager)
    with connect(arguments.server) as sock:

        def round_trips(loops: int) -> float:
            return native.ping(sock.fileno(), PAYLOAD, loops, ROUND_TIMEOUT)

        try:
            benchmark = runner.bench_time_func(arguments.name, round_trips)
        except OSError as error:
            sys.exit(f"{NO_ECHO} {arguments.server}: {error.strerror}")
    if benchmark is not None and not arguments.worker:
        benchmark.dump(arguments.report, replace=True)


def _pass_on(command: list[str], arguments: Namespace) -> None:
    """Tell a worker what this process was told, and who its manager is."""
    command += ["--server", arguments.server, "--name", arguments.name]
    command += ["--report", arguments.report, "--manager", str(os.getpid())]


def _die_with(manager: int) -> None:
    """Have the kernel kill this worker with its manager, even if that is dead already."""
    native.die_with_parent(signal.SIGKILL)
    if os.getppid() != manager:
        sys.exit("the manager is gone")


if __name__ == "__main__":
    main()
