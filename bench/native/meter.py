"""Meters of the C extension: events of a whole CPU; see `vnb_meter_open` in `csrc/vnetbench.h`."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bench._vnetbench import ffi, lib
from bench.native.calls import check


@dataclass(frozen=True)
class Event:
    """Something that can be counted: PERF_TYPE_* and PERF_COUNT_* of perf_event_open(2)."""

    type: int
    config: int


CYCLES = Event(0, 0)
INSTRUCTIONS = Event(0, 1)
CONTEXT_SWITCHES = Event(1, 3)
"""A software event: no hardware is needed to count it."""


@dataclass(frozen=True)
class Reading:
    """What a meter shows (struct vnb_reading)."""

    count: int
    enabled_ns: int
    running_ns: int


class Meter:
    """An event that is being counted on one CPU, until `close`."""

    def __init__(self, event: Event, cpu: int) -> None:
        """Count from now on. Raises OSError: see vnb_meter_open."""
        self._fd = check(lib.vnb_meter_open(event.type, event.config, cpu))

    def read(self) -> Reading:
        """What it shows now. Raises OSError."""
        reading = ffi.new("struct vnb_reading *")
        check(lib.vnb_meter_read(self._fd, reading))
        return Reading(int(reading.count), int(reading.enabled_ns), int(reading.running_ns))

    def close(self) -> None:
        """Count no more."""
        os.close(self._fd)
