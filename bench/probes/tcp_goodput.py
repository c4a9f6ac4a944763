"""`tcp_goodput`: iperf3 through libiperf, a client and a server each in a process of its own.

libiperf keeps its state in globals and the Python package redirects descriptor 1 while it runs,
so each end is a short-lived child that loads the library after it has entered its namespace and
never returns from it. The parent owns every deadline: the library has none for connecting.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from typing import Any

from bench.errors import CannotMeasure
from bench.probes.base import Measurement, Path, Probe, client, server, wait_for_listener
from bench.process import Send, spawn

_LIBRARY = "libiperf.so.0"
_PORT = 5201
_START_TIMEOUT = 10.0
_MARGIN = 15.0
"""Seconds beyond the test's own length after which the client is given up."""


def measure(path: Path, settings: Mapping[str, Any]) -> Measurement:
    """Run one TCP test of the scenario's number of streams over `path`.

    settings: `warmup` and `duration`, whole seconds. Raises CannotMeasure.
    """
    scenario = path.topology.scenario
    address = path.server_address

    def serve(_: Send) -> None:
        test = _iperf3().Server(lib_name=_LIBRARY)
        test.bind_address, test.port = address, _PORT
        test.run()

    def send(_: Send) -> dict[str, Any]:
        test = _iperf3().Client(lib_name=_LIBRARY)
        test.server_hostname, test.port = address, _PORT
        test.omit, test.duration = settings["warmup"], settings["duration"]
        test.num_streams = scenario.streams
        # Interval reports would fill the pipe that nobody drains while the library prints to it.
        for name in ("iperf_set_test_stats_interval", "iperf_set_test_reporter_interval"):
            function = getattr(test.lib, name)
            function.argtypes = (ctypes.c_void_p, ctypes.c_double)
            function(test._test, 0.0)
        control = test.lib.iperf_set_test_congestion_control
        control.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        control(test._test, scenario.congestion_control.encode())
        return {"result": test.run().text}

    with server(path, "iperf3 server", serve) as serving:
        wait_for_listener(serving, _PORT, _START_TIMEOUT)
        with client(path, "iperf3 client", send) as sending:
            total = settings["warmup"] + settings["duration"]
            text = sending.receive(total + _MARGIN)["result"]
    return Measurement({"tcp_goodput": [_goodput(text, path)]}, raw={"iperf3": text.encode()})


def _goodput(text: str, path: Path) -> float:
    """Received bit/s after warm-up, from iperf3's report."""
    report = json.loads(text)
    if "error" in report:
        raise CannotMeasure(f"{path.client.host}: iperf3: {report['error']}")
    used = report["end"].get("sender_tcp_congestion")
    wanted = path.topology.scenario.congestion_control
    if used != wanted:
        raise CannotMeasure(
            f"{path.client.host}: iperf3 used congestion control {used}, not {wanted}"
        )
    goodput = float(report["end"]["sum_received"]["bits_per_second"])
    if goodput <= 0:
        raise CannotMeasure(f"{path.server.host}: iperf3 received nothing after the warm-up")
    return goodput


def _iperf3() -> Any:
    # Imported in the child only: it loads ctypes, threads and the library's global state.
    import iperf3  # noqa: PLC0415

    return iperf3


def missing() -> str | None:
    """Why libiperf cannot be used here, or None. Looked up in a child: loading it is for ever."""

    def load(_: Send) -> dict[str, Any]:
        ctypes.CDLL(_LIBRARY)
        return {}

    try:
        with spawn("iperf3", load) as child:
            child.receive(_START_TIMEOUT)
    except CannotMeasure:
        return f"{_LIBRARY} cannot be loaded; install libiperf0 (Debian) or iperf3"
    return None


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
)
