"""`tcp_goodput`: iperf3, a client and a server each in a process of its own.

Normally through libiperf and the `iperf3` package; where the library cannot be loaded, through the
`iperf3` command. Both give the same report.

libiperf keeps its state in globals and the Python package redirects descriptor 1 while it runs,
so each end is a short-lived child that loads the library after it has entered its namespace and
never returns from it. The parent owns every deadline: the library has none for connecting.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from bench import ports
from bench.errors import CannotMeasure
from bench.guests import Guest, Program
from bench.probes.base import (
    Measurement,
    Path,
    Probe,
    execute_at,
    server,
    wait_for_listener,
)
from bench.process import Child, Send, spawn

_LIBRARY = "libiperf.so.0"
_COMMAND = "iperf3"
_REPORT_SIZE = 1 << 20
_START_TIMEOUT = 10.0
_MARGIN = 15.0
"""Seconds beyond the test's own length after which the client is given up."""


@dataclass(frozen=True)
class TcpTest:
    """One iperf3 test. warmup, duration: whole seconds, the first not counted."""

    warmup: int
    duration: int
    streams: int
    congestion_control: str


Running = Child | Program


@dataclass(frozen=True)
class Tool:
    """A way to run iperf3.

    serve: a running server. sending: a client, which begins when a line can be read from the given
    descriptor (None: at once). report: its report, once it has one.
    """

    serve: Callable[[Path], AbstractContextManager[Running]]
    sending: Callable[[Path, TcpTest, int | None], AbstractContextManager[Running]]
    report: Callable[[Running, TcpTest], str]


def measure(path: Path, settings: Mapping[str, Any]) -> Measurement:
    """Run one TCP test of the scenario's number of streams over `path`.

    settings: `warmup` and `duration`, whole seconds. Raises CannotMeasure.
    """
    scenario = path.topology.scenario
    test = TcpTest(
        settings["warmup"], settings["duration"], scenario.streams, scenario.congestion_control
    )
    ends = (path.place(path.client.host), path.place(path.server.host))
    guests = any(isinstance(place, Guest) for place in ends)
    return measure_with(COMMAND if guests else chosen(), path, test)


def chosen() -> Tool:
    """The way that works here; the library where it loads."""
    return LIBRARY if _library_loads() else COMMAND


def measure_with(tool: Tool, path: Path, test: TcpTest) -> Measurement:
    """Run `test` over `path` with one of the ways to do so. Raises CannotMeasure."""
    with tool.serve(path) as serving:
        wait_for_listener(path.place(path.server.host), serving, ports.GOODPUT, _START_TIMEOUT)
        with tool.sending(path, test, None) as sending:
            text = tool.report(sending, test)
    return Measurement({"tcp_goodput": [goodput(text, path, test)]}, raw={"iperf3": text.encode()})


def goodput(text: str, path: Path, test: TcpTest) -> float:
    """Received bit/s after warm-up, from iperf3's report. Raises CannotMeasure."""
    try:
        report = json.loads(text)
    except ValueError:
        raise CannotMeasure(f"{path.client.host}: iperf3 reported no JSON: {text[:80]}") from None
    if "error" in report:
        raise CannotMeasure(f"{path.client.host}: iperf3: {report['error']}")
    try:
        used = report["end"]["sender_tcp_congestion"]
        goodput = float(report["end"]["sum_received"]["bits_per_second"])
    except (KeyError, TypeError, ValueError) as error:
        raise CannotMeasure(f"{path.client.host}: iperf3's report has no {error}") from None
    if used != test.congestion_control:
        raise CannotMeasure(
            f"{path.client.host}: iperf3 used congestion control {used}, "
            f"not {test.congestion_control}"
        )
    if goodput <= 0:
        raise CannotMeasure(f"{path.server.host}: iperf3 received nothing after the warm-up")
    return goodput


# ---- through libiperf ---------------------------------------------------------------------------


@contextmanager
def _library_serve(path: Path) -> Iterator[Running]:
    address = path.listening_address

    def serve(_: Send) -> None:
        iperf = _iperf3().Server(lib_name=_LIBRARY)
        iperf.bind_address, iperf.port = address, ports.GOODPUT
        _make_room_for_report(iperf)
        iperf.run()

    with server(path, "iperf3 server", serve) as child:
        yield child


@contextmanager
def _library_sending(path: Path, test: TcpTest, begin: int | None) -> Iterator[Running]:
    address = path.server_address

    def send(_: Send) -> dict[str, Any]:
        iperf = _iperf3().Client(lib_name=_LIBRARY)
        iperf.server_hostname, iperf.port = address, ports.GOODPUT
        iperf.omit, iperf.duration, iperf.num_streams = test.warmup, test.duration, test.streams
        _make_room_for_report(iperf)
        control = iperf.lib.iperf_set_test_congestion_control
        control.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        control(iperf._test, test.congestion_control.encode())
        if begin is not None:
            os.read(begin, 1)
        return {"result": iperf.run().text}

    netns = path.topology.netns(path.client.host)
    keep = [] if begin is None else [begin]
    with spawn(f"{path.client.host}: iperf3 client", send, netns=netns, keep=keep) as child:
        yield child


def _library_report(child: Running, test: TcpTest) -> str:
    return str(child.receive(test.warmup + test.duration + _MARGIN)["result"])


def _iperf3() -> Any:
    # Imported in the child only: it loads ctypes, threads and the library's global state.
    import iperf3  # noqa: PLC0415

    return iperf3


def _make_room_for_report(iperf: Any) -> None:
    """Keep the library from blocking on the pipe that nobody drains while it prints its report.

    The end of a test takes about 1 KiB a stream, so interval reports are turned off and the pipe
    is made as large as an ordinary user may have it.
    """
    for name in ("iperf_set_test_stats_interval", "iperf_set_test_reporter_interval"):
        function = getattr(iperf.lib, name)
        function.argtypes = (ctypes.c_void_p, ctypes.c_double)
        function(iperf._test, 0.0)
    fcntl.fcntl(iperf._pipe_in, fcntl.F_SETPIPE_SZ, _REPORT_SIZE)


def _library_loads() -> bool:
    """Whether libiperf can be loaded. Found out in a child: loading it is for ever."""

    def load(_: Send) -> dict[str, Any]:
        ctypes.CDLL(_LIBRARY)
        return {}

    try:
        with spawn("iperf3", load) as child:
            child.receive(_START_TIMEOUT)
    except CannotMeasure:
        return False
    return True


# ---- through the command ------------------------------------------------------------------------


def _command_serve(path: Path) -> AbstractContextManager[Running]:
    words = [_COMMAND, "--server", "--bind", path.listening_address, "--port", str(ports.GOODPUT)]
    return execute_at(path, path.server.host, "iperf3 server", words)


def _command_sending(
    path: Path, test: TcpTest, begin: int | None
) -> AbstractContextManager[Running]:
    words = [
        *(_COMMAND, "--client", path.server_address, "--port", str(ports.GOODPUT), "--json"),
        *("--omit", str(test.warmup), "--time", str(test.duration), "--interval", "0"),
        *("--parallel", str(test.streams), "--congestion", test.congestion_control),
    ]
    keep = []
    if begin is not None:
        script = f'read -r _ </proc/self/fd/{begin}; exec "$@"'
        words, keep = ["sh", "-c", script, "sh", *words], [begin]
    return execute_at(path, path.client.host, "iperf3 client", words, keep)


def _command_report(child: Running, test: TcpTest) -> str:
    child.wait(test.warmup + test.duration + _MARGIN)
    return child.output()


LIBRARY = Tool(_library_serve, _library_sending, _library_report)
COMMAND = Tool(_command_serve, _command_sending, _command_report)


def missing() -> str | None:
    """Why iperf3 cannot be used here, or None."""
    if _library_loads() or shutil.which(_COMMAND):
        return None
    return f"neither {_LIBRARY} nor {_COMMAND} is there; install libiperf0 (Debian) or iperf3"


PROBE = Probe(
    id="tcp_goodput",
    metrics=("tcp_goodput",),
    settings={
        "quick": {"warmup": 1, "duration": 1},
        "standard": {"warmup": 1, "duration": 4},
        "rigorous": {"warmup": 2, "duration": 8},
    },
    measure=measure,
    duration=lambda settings: settings["warmup"] + settings["duration"] + 0.3,
    missing=missing,
    guests=True,
)
