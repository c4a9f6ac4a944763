"""A pump's threads: one for each queue of its devices, with a loop in C in each."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from bench import native

_BUFFER_SIZE = 65535
"""Bytes of the largest packet or frame: an MTU may be raised while the pump runs."""

_BATCH = 1
"""Value of the switch `scheduler`: SCHED_BATCH."""

Ports = tuple[native.Port, native.Port]


@dataclass(frozen=True)
class PumpConfig:
    """What a pump does, once its descriptors are open.

    settings: the value of every switch.
    icmp_source4, icmp_source6: addresses that ICMP errors come from; None is the address that was
        not reached.
    """

    settings: native.Settings
    router: native.Router | None
    icmp_source4: IPv4Address | None = None
    icmp_source6: IPv6Address | None = None


class QueueCounters:
    """The counters of a pump, which are one set for each queue."""

    def __init__(self, queues: int) -> None:
        self.each = [native.Counters() for _ in range(queues)]

    def read(self) -> dict[str, int]:
        """The sums over all queues as they stand."""
        counted = [counters.read() for counters in self.each]
        return {name: sum(counters[name] for counters in counted) for name in counted[0]}


def ports_of_queues(kinds: Sequence[native.PortKind], fds: Sequence[Sequence[int]]) -> list[Ports]:
    """For each queue its two ports, from the descriptors (one a queue) of each port."""
    first, second = kinds
    return [
        (native.Port(first, a), native.Port(second, b)) for a, b in zip(fds[0], fds[1], strict=True)
    ]


def run(config: PumpConfig, queues: Sequence[Ports], counters: QueueCounters, stop_fd: int) -> None:
    """Move packets until `stop_fd`, an eventfd, is readable.

    A queue that dies takes the others with it, through `stop_fd`. Raises the OSError it died of.
    """
    died: list[OSError] = []

    def move(number: int) -> None:
        try:
            _place(config.settings, number)
            native.pump_run(
                queues[number],
                config.router,
                counters.each[number],
                stop_fd,
                settings=config.settings,
                buffer_size=_BUFFER_SIZE,
                icmp_source4=config.icmp_source4,
                icmp_source6=config.icmp_source6,
            )
        except OSError as error:
            died.append(error)
            os.eventfd_write(stop_fd, 1)

    threads = [threading.Thread(target=move, args=(n,)) for n in range(1, len(queues))]
    for thread in threads:
        thread.start()
    move(0)
    for thread in threads:
        thread.join()
    if died:
        raise died[0]


def _place(settings: native.Settings, number: int) -> None:
    """Give the calling thread the scheduling policy and the CPU that the settings say."""
    if settings["scheduler"] == _BATCH:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if settings["cpu"] < 0:
        return
    cpu = settings["cpu"] + number
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError as error:
        raise OSError(error.errno, f"cannot run on CPU {cpu}: {error.strerror}") from None
