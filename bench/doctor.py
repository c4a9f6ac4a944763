"""What this machine does right and wrong: are its kernel's offloads to be trusted?

Kernels have segmented and coalesced wrongly, and have begun to refuse what they took before. Each
check sends known data through a path that exercises one of these offloads, and every byte of it is
compared; the plain path beside it tells a broken offload from a broken machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bench import forwarders
from bench.errors import CannotMeasure
from bench.forwarders import forwarding
from bench.integrity import check
from bench.probes import prove
from bench.scenario import find, variants
from bench.topology import Arm, build


@dataclass(frozen=True)
class OffloadCheck:
    """One entry of the table: which offload, and the path that exercises it."""

    name: str
    scenario: str
    overrides: tuple[str, ...] = ()
    arm: Arm = Arm.NATIVE


_ROOM = ("buffer=1048576", "queue_length=2000")
OFFLOAD_CHECKS = (
    OffloadCheck("no offload (veth, segmentation off)", "veth", arm=Arm.PARITY),
    OffloadCheck("veth: TSO, UDP_SEGMENT, UDP_GRO", "veth"),
    OffloadCheck("bridge and routes: TSO, UDP_SEGMENT, UDP_GRO", "host-gw"),
    OffloadCheck("VXLAN: segmentation inside a tunnel", "vxlan"),
    OffloadCheck("no offload (tun and UDP socket, flannel's loop)", "flannel-udp", _ROOM),
    OffloadCheck("tun: TSO, USO, both ways", "flannel-udp", ("tun_offload=on", *_ROOM)),
    OffloadCheck(
        "UDP socket: UDP_SEGMENT, UDP_GRO",
        "flannel-udp",
        ("udp_offload=on", "batch=16", *_ROOM),
    ),
    OffloadCheck(
        "tun and UDP socket together",
        "flannel-udp",
        ("tun_offload=on", "udp_offload=on", "batch=16", *_ROOM),
    ),
    OffloadCheck(
        "the same over IPv6",
        "flannel-udp6",
        ("tun_offload=on", "udp_offload=on", "batch=16", *_ROOM),
    ),
    OffloadCheck("tap: TSO, USO, through a bridge", "tap-bridge", ("tun_offload=on", *_ROOM[1:])),
)


@dataclass(frozen=True)
class Finding:
    """What a check found. skipped: why it could not be made; wrong: what arrived wrong."""

    name: str
    datagrams: int = 0
    skipped: str | None = None
    wrong: tuple[str, ...] = ()
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """In one word."""
        if self.skipped is not None:
            return "skipped"
        return "WRONG" if self.wrong else "ok"


def check_offloads() -> Iterator[Finding]:
    """Make each check of the table in turn."""
    for entry in OFFLOAD_CHECKS:
        try:
            yield _check(entry)
        except CannotMeasure as error:
            yield Finding(entry.name, skipped=str(error))


def _check(entry: OffloadCheck) -> Finding:
    [variant] = variants(find([entry.scenario]), entry.overrides)
    forwarders.check(variant)
    with (
        build(variant.scenario, entry.arm) as topology,
        forwarding(topology) as running,
    ):
        path = prove(topology, variant.name)
        report = check(path, datagrams=96, rate=10000, streams=2, stream_bytes=1 << 20)
        refused: dict[str, int] = {}
        for forwarder in running:
            for name, count in (forwarder.counters() if forwarder.counters else {}).items():
                if name.startswith("refused.") and count:
                    refused[name] = refused.get(name, 0) + count
    return Finding(entry.name, report.sent, wrong=tuple(report.problems()), refused=refused)
