"""Does this kernel segment and coalesce correctly?

Kernels have not always: a last segment with a wrong length, a checksum over the wrong bytes, and
the data that arrives is not what was sent. So pseudo-random data is sent over a few live paths,
each chosen for the offload that it cannot do without, and every byte of it is checked.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from bench import forwarders, integrity
from bench.errors import CannotMeasure
from bench.integrity import IntegrityReport
from bench.probes import prove
from bench.probes.base import Path
from bench.scenario import find, variants
from bench.topology import build

_DATAGRAMS, _STREAMS, _STREAM_BYTES = 64, 4, 1 << 20
_RATE, _LOWER_RATE = 20000.0, 4000.0
_ROOMY = "buffer=4194304"
"""Socket buffers of pumps that hold all of a burst: what overflows is no fault of an offload."""
_TUN = ("port0.rx_supers", "port0.tx_supers")
_SOCKET = ("port1.rx_supers", "port1.tx_supers")
"""What a pump counts of super-packets at its tun (or first tap), and at its socket."""


class Status(StrEnum):
    """What is known of an offload."""

    OK = "ok"
    WRONG = "WRONG"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Subject:
    """A path, and the offloads that UDP and TCP exercise there.

    counters: of the pumps that must move, both, if the offload is in use at all.
    """

    scenario: str
    tcp: str
    udp: str
    overrides: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()


SUBJECTS = (
    Subject("veth", tcp="TSO, GSO and GRO of veth", udp="UDP_SEGMENT and UDP_GRO over veth"),
    Subject("vxlan", tcp="TSO, GSO and GRO of VXLAN", udp="UDP_SEGMENT and UDP_GRO over VXLAN"),
    Subject(
        "flannel-udp",
        tcp="TSO of tun",
        udp="USO of tun",
        overrides=("tun_offload=on", "batch=16", _ROOMY),
        counters=_TUN,
    ),
    Subject(
        "flannel-udp",
        tcp="UDP_SEGMENT and UDP_GRO on a socket, with TCP inside",
        udp="UDP_SEGMENT and UDP_GRO on a socket, with UDP inside",
        overrides=("udp_offload=on", "batch=16", _ROOMY),
        counters=_SOCKET,
    ),
    Subject(
        "tap-bridge",
        tcp="TSO of tap",
        udp="USO of tap",
        overrides=("tun_offload=on", "batch=16"),
        counters=_TUN,
    ),
)


@dataclass(frozen=True)
class Finding:
    """What was found out about an offload. details: what is wrong, or why it was skipped."""

    offload: str
    path: str
    status: Status
    details: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Document:
    """What `doctor --offloads --json` prints. kernel: its release."""

    format: int = 1
    kernel: str = field(default_factory=platform.release)
    offloads: tuple[Finding, ...]


@dataclass(frozen=True)
class Live:
    """A path that is up. counters: reads the sums of what its pumps count."""

    path: Path
    counters: Callable[[], Mapping[str, int]]


@contextmanager
def live(subject: Subject) -> Iterator[Live]:
    """Bring a subject's path up. Raises CannotMeasure where that is impossible here."""
    [variant] = variants(find([subject.scenario]), subject.overrides)
    with build(variant.scenario) as topology, forwarders.forwarding(topology) as running:

        def counters() -> Mapping[str, int]:
            each = [pump.counters() for pump in running if pump.counters]
            return {name: sum(one[name] for one in each) for name in subject.counters}

        yield Live(prove(topology, variant.name), counters)


def examine(
    subjects: Sequence[Subject] = SUBJECTS,
    bring_up: Callable[[Subject], AbstractContextManager[Live]] = live,
) -> Iterator[Finding]:
    """Check all offloads of `subjects`; yields each finding as soon as it is there."""
    for subject in subjects:
        name = ",".join((subject.scenario, *(o for o in subject.overrides if o != _ROOMY)))
        left = [subject.tcp, subject.udp]
        try:
            with bring_up(subject) as up:
                for offload in (subject.tcp, subject.udp):
                    status, details = _judge(up, is_udp=offload == subject.udp)
                    left.remove(offload)
                    yield Finding(offload, name, status, details)
        except CannotMeasure as error:
            for offload in left:
                yield Finding(offload, name, Status.SKIPPED, (str(error),))


def _judge(up: Live, *, is_udp: bool) -> tuple[Status, tuple[str, ...]]:
    before = up.counters()
    report = _check(up.path, is_udp, _RATE)
    if _may_be_overload(report):
        report = _check(up.path, is_udp, _LOWER_RATE)
    after = up.counters()
    if problems := report.problems():
        return Status.WRONG, tuple(problems)
    if skipped := report.skipped():
        return Status.SKIPPED, tuple(skipped)
    if unused := [name for name in before if after[name] == before[name]]:
        reason = f"not in use here, the data was carried without ({', '.join(unused)} stood still)"
        return Status.SKIPPED, (reason,)
    return Status.OK, ()


def _check(path: Path, is_udp: bool, rate: float) -> IntegrityReport:
    return integrity.check(
        path,
        datagrams=_DATAGRAMS if is_udp else 0,
        streams=0 if is_udp else _STREAMS,
        stream_bytes=_STREAM_BYTES,
        rate=rate,
    )


def _may_be_overload(report: IntegrityReport) -> bool:
    """Whether all that is wrong is what a machine that is too busy does to datagrams, too."""
    lost_or_late = report.lost + report.reordered > 0
    return lost_or_late and not (report.corrupt or report.duplicates)


def exit_code(findings: Sequence[Finding]) -> int:
    """0: all that could be checked is well. 1: something is wrong. 3: nothing could be checked."""
    found = {finding.status for finding in findings}
    if Status.WRONG in found:
        return 1
    return 0 if Status.OK in found else CannotMeasure.exit_code
