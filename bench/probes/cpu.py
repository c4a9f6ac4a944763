"""`cpu`: what the whole machine spends on a packet and on a byte, softirqs and all.

Per-process figures miss what softirqs do, or bill it to whoever was interrupted. So a soaker on
every CPU takes what nobody else wants (`bench/soaker.py`), and what it does not get has been spent:

    spent = Σ over CPUs of (T - pieces in T / pieces a second when idle)

T is the window from the first packet to the last. The idle speed is taken right before and right
after, in the same trial, with every process of the load in place and no traffic. Where these two
differ somebody else is busy; such a window is thrown away and another one measured.

Of datagrams, everything that moves them is bound to one CPU, the last: left to the scheduler, a
wake-up crosses CPUs or does not (an interrupt, dear in a virtual machine), and that is a third of
the figure. The other CPUs are watched just the same. A stream is left to the scheduler, as
`tcp_goodput` is: bound, its price was no steadier.

In the figure: everything between the system call that sends and the one that receives, both
included; of the generator also the timer that wakes it for each datagram, the same on all
paths. Not in it: the waking of a CPU that sleeps, and its going to sleep, for soaked CPUs do not.

Instructions and cycles are counted in a pass of their own, without soakers (theirs would count).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from bench.errors import CannotMeasure, MissingCapability
from bench.meters import Meters, counted, metering
from bench.native.meter import CYCLES, INSTRUCTIONS, Event
from bench.probes import tcp_goodput
from bench.probes.base import Measurement, Path, Probe
from bench.probes.echo import quiet_cpu
from bench.soaker import Account, Disturbed, Soaker, soaking

if TYPE_CHECKING:
    from bench.ledger import Load
    from bench.ledger.loads import Delivered

EVENTS: dict[str, Event] = {"instructions_per_packet": INSTRUCTIONS, "cycles_per_packet": CYCLES}
"""Metric → what is counted for it."""
_TRIES = 3
"""Windows that may be measured for each one that is wanted."""
_LOSS = 0.01
"""Share of the datagrams that may be lost: they cost something and arrive nowhere."""
_BREATH = 0.02
"""Seconds for the processes of a load to fall silent."""


class Spent(msgspec.Struct, frozen=True):
    """CPU seconds that the machine spent on a window's `units`, packets or bytes."""

    seconds: float
    units: float


class Cpu(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial keeps besides its samples.

    packets, bytes: window by window. disturbed: windows thrown away.
    events: metric → count per packet, or why it was not observed.
    """

    packets: list[Spent]
    bytes: list[Spent]
    disturbed: int
    events: dict[str, float | str]


def measure(path: Path, settings: Mapping[str, Any]) -> Measurement:
    """Price datagrams and a TCP stream on `path`.

    settings: `rate` (datagrams a second), `size` (bytes of each), `seconds` and `windows` of
    datagrams, `stream_seconds` (whole) and `stream_windows`, `idle` (seconds of each idle window).
    Raises CannotMeasure, also where the machine never was quiet enough.
    """
    from bench.ledger import Load  # noqa: PLC0415 - the ledger itself uses other probes

    rate, seconds = settings["rate"], settings["seconds"]
    datagrams = Load("udp", packets=round(rate * seconds), size=settings["size"], rate=rate)
    stream = Load("tcp", seconds=settings["stream_seconds"])
    with soaking() as soaker:
        series = _Series(path, soaker, settings["idle"])
        packets = series.take(datagrams, settings["windows"], lambda found: found.packets)
        bytes_ = series.take(stream, settings["stream_windows"], lambda found: found.bytes)
    samples = {"cpu_per_packet": _prices(packets), "cpu_per_byte": _prices(bytes_)}
    found = {
        metric: events(path, datagrams, event, settings["idle"]) for metric, event in EVENTS.items()
    }
    samples = {metric: prices for metric, prices in samples.items() if prices}
    samples |= {metric: [count] for metric, count in found.items() if isinstance(count, float)}
    kept = Cpu(packets=packets, bytes=bytes_, disturbed=series.disturbed, events=found)
    return Measurement(samples, {"cpu": msgspec.json.encode(kept)})


def _prices(windows: list[Spent]) -> list[float]:
    return [window.seconds / window.units for window in windows]


class _Series:
    """Windows on one path, each with a load of its own."""

    def __init__(self, path: Path, soaker: Soaker, idle: float) -> None:
        self._path, self._soaker, self._idle = path, soaker, idle
        self.disturbed = 0

    def take(self, load: Load, windows: int, units: Callable[[Delivered], float]) -> list[Spent]:
        """What `windows` undisturbed windows of `load` cost. Raises CannotMeasure."""
        found: list[Spent] = []
        tries = _TRIES * windows
        while len(found) < windows:
            try:
                found.append(self._window(load, units))
            except Disturbed as disturbed:
                self.disturbed, tries = self.disturbed + 1, tries - 1
                if tries < windows - len(found):
                    raise CannotMeasure(f"cpu: {disturbed}") from None
        return found

    def _window(self, load: Load, units: Callable[[Delivered], float]) -> Spent:
        account = Account(self._soaker, self._idle)
        with _ready(self._path, load) as run:
            account.rest()
            delivered = account.during(run)
            account.rest()
        return Spent(account.used(), units(delivered))


@contextmanager
def _ready(path: Path, load: Load) -> Iterator[Callable[[], Delivered]]:
    """All processes of a load in place and silent, and what sets them going."""
    from bench.ledger.loads import place, prepared  # noqa: PLC0415

    with prepared(path, load) as ready:
        if load.kind == "udp":
            place(path, quiet_cpu(), ready.processes)

        def run() -> Delivered:
            delivered = ready.run()
            _refuse_loss(delivered)
            return delivered

        time.sleep(_BREATH)
        yield run


def _refuse_loss(delivered: Delivered) -> None:
    sent = delivered.sent.packets if delivered.sent else 0
    if sent - delivered.packets > _LOSS * sent:
        lost = sent - round(delivered.packets)
        raise Disturbed(f"{lost} of {sent} datagrams were lost, which others may have caused")


def events(path: Path, load: Load, event: Event, idle: float) -> float | str:
    """How often `event` comes for a packet of `load`, or why that is not observed."""
    try:
        with metering(event) as meters, _ready(path, load) as run:
            before = _pace(meters, lambda: time.sleep(idle))
            begin, now = meters.read(), time.monotonic()
            delivered = run()
            total, seconds = counted(begin, meters.read()), time.monotonic() - now
            after = _pace(meters, lambda: time.sleep(idle))
    except MissingCapability as error:
        return f"not observed: {error}"
    return (total - (before + after) / 2 * seconds) / delivered.packets


def _pace(meters: Meters, wait: Callable[[], None]) -> float:
    """Events a second while `wait` does."""
    begin, now = meters.read(), time.monotonic()
    wait()
    return counted(begin, meters.read()) / (time.monotonic() - now)


def _duration(settings: Mapping[str, Any]) -> float:
    """Seconds that a trial takes, where nothing disturbs it."""
    around = 2 * settings["idle"] + 0.1
    packets = settings["windows"] * (settings["seconds"] + around)
    return 0.3 + float(packets + settings["stream_windows"] * (settings["stream_seconds"] + around))


def _settings(windows: int, seconds: float, streams: int, length: int) -> dict[str, Any]:
    return {
        "rate": 5_000.0,
        "size": 64,
        "windows": windows,
        "seconds": seconds,
        "stream_windows": streams,
        "stream_seconds": length,
        "idle": 0.25,
    }


PROBE = Probe(
    id="cpu",
    metrics=("cpu_per_packet", "cpu_per_byte", *EVENTS),
    settings={
        "quick": _settings(3, 0.5, 1, 1),
        "standard": _settings(5, 0.5, 3, 1),
        "rigorous": _settings(9, 0.5, 3, 2),
    },
    measure=measure,
    duration=_duration,
    missing=tcp_goodput.missing,
    default=False,
)
