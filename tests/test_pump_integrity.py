"""Every byte through every kind of pump: what a switch changes is how packets move, not packets.

The combinations cover every pair of values of the switches that move packets, on every path that
has a pump. Loss, duplication and corruption are never allowed; reordering is where a flow's packets
pass through several threads.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest
from files import load_text, text_of

from bench.forwarders import check as check_forwarders
from bench.forwarders import forwarding
from bench.integrity import IntegrityReport, check
from bench.probes import prove
from bench.scenario import Variant, find, variants
from bench.topology import build

ROOM = ("buffer=1048576", "queue_length=2000")
"""So that no burst is lost for want of room: what overload does is not the question here."""
JUMBO = ("mtu=8900", "underlay_mtu=9000")
OFFLOADS = ("tun_offload=on", "udp_offload=on")
QUEUES = ("queues=2", "readiness=on", "batch=8")

OVERLAYS: list[tuple[str, ...]] = [
    ("readiness=on",),
    ("batch=16",),
    ("tun_offload=on",),
    ("udp_offload=on",),
    ("batch=64", "readiness=on", *OFFLOADS),
    ("batch=8", "wait=spin", *OFFLOADS),
    ("batch=1", "linger=100", *OFFLOADS),
    ("wait=busy", "batch=16", "udp_offload=on"),
    ("io=uring", "readiness=on"),
    ("io=uring", "readiness=on", "batch=16", "linger=100", *OFFLOADS),
    ("io=uring", "readiness=on", "batch=64", "wait=spin", "tun_offload=on"),
    ("io=uring", "readiness=on", "batch=4", "udp_offload=on", "trust=peers"),
    ("pump=fast", *JUMBO),
    ("pump=fast", "hot_copies=1", "cold_copies=1", "null_calls=2", "handoffs=1"),
    (*QUEUES, "sockets=reuseport", *OFFLOADS),
    (*QUEUES, "sockets=shared", "tun_offload=on"),
    (*QUEUES, "sockets=shared", "io=uring", "udp_offload=on"),
]
RELAYS: list[tuple[str, ...]] = [
    ("readiness=on", "batch=16"),
    ("tun_offload=on",),
    ("pump=fast", "mtu=9000"),
    ("io=uring", "readiness=on", "batch=16", "tun_offload=on"),
    ("wait=spin", "tun_offload=on"),
    (*QUEUES, "tun_offload=on"),
]
CASES = [
    ("flannel-udp", ("pump=flannel", *ROOM)),
    *(("flannel-udp", (*overrides, *ROOM)) for overrides in OVERLAYS),
    ("tun-udp", ("pump=fast",)),
    ("tun-udp", ("pump=fast", "io=uring")),
    *(("flannel-udp6", (*overrides, *ROOM)) for overrides in OVERLAYS[::3]),
    *(("tun-relay", overrides) for overrides in RELAYS),
    *(("tap-bridge", overrides) for overrides in RELAYS),
]


def variant_of(scenario: str, overrides: Sequence[str]) -> Variant:
    [variant] = variants(find([scenario]), overrides)
    check_forwarders(variant)
    return variant


def report_of(variant: Variant) -> IntegrityReport:
    """What becomes of a little data on the variant's path, with the pumps' own accounts checked."""
    with build(variant.scenario) as topology, forwarding(topology) as forwarders:
        path = prove(topology, variant.name)
        report = check(path, datagrams=48, rate=10000, streams=2, stream_bytes=1 << 19)
        for forwarder in forwarders:
            assert forwarder.child.alive(), forwarder.name
            assert forwarder.counters is not None
            counters = forwarder.counters()
            dropped = {k: v for k, v in counters.items() if k.startswith("drop.") and v}
            dropped.pop("drop.no_route", None)  # what IPv6 hosts send to multicast groups
            assert dropped == {}, forwarder.name
    return report


def assert_sound(report: IntegrityReport, *, may_reorder: bool) -> None:
    """With several threads the check's receiver may end before the last datagram has come; that
    the pumps lost none is in their own accounts."""
    assert report.sent > 0
    assert (report.duplicates, report.corrupt, report.corrupt_bytes) == (0, 0, 0)
    if not may_reorder:
        assert report.problems() == []


@pytest.mark.parametrize(
    ("scenario", "overrides"), CASES, ids=[f"{s}-{','.join(o)}" for s, o in CASES]
)
def test_every_byte_arrives(tuns: None, scenario: str, overrides: tuple[str, ...]) -> None:
    report = report_of(variant_of(scenario, overrides))
    assert_sound(report, may_reorder="queues=2" in overrides)


MIXED = {
    "flannel's loop and all offloads": (
        {},
        {"batch": 16, "tun_offload": "on", "udp_offload": "on"},
    ),
    "io_uring and several queues": (
        {"io": "uring", "readiness": "on"},
        {"queues": 2, "tun_offload": "on"},
    ),
}


@pytest.mark.parametrize("pair", MIXED.values(), ids=MIXED)
def test_pumps_of_any_two_kinds_talk_to_each_other(
    tuns: None, tmp_path: Path, pair: tuple[dict[str, object], dict[str, object]]
) -> None:
    text = text_of("flannel-udp")
    for listen, switches in zip(("192.0.2.1:8285", "192.0.2.2:8285"), pair, strict=True):
        words = ", ".join(
            f'{name} = "{v}"' if isinstance(v, str) else f"{name} = {v}"
            for name, v in switches.items()
        )
        line = f'listen = "{listen}"\n'
        assert text.count(line) == 1
        text = text.replace(line, f"{line}switches = {{ {words} }}\n")
    assert_sound(report_of(load_text(text, tmp_path)), may_reorder=True)


def test_a_pump_at_work_needs_little_memory(tuns: None) -> None:
    """Peak beyond what its process had before it moved the first packet."""
    variant = variant_of("flannel-udp", ("pump=fast",))
    with build(variant.scenario) as topology, forwarding(topology) as forwarders:
        path = prove(topology, variant.name)
        peaks = {f.name: peak(f.child.pid) for f in forwarders}
        check(path, datagrams=48, rate=10000, streams=4, stream_bytes=8 << 20)
        for forwarder in forwarders:
            grown = peak(forwarder.child.pid) - peaks[forwarder.name]
            assert grown <= 16 << 20, f"{forwarder.name} grew by {grown >> 20} MiB"


def peak(pid: int) -> int:
    """VmHWM of a process in bytes."""
    with open(f"/proc/{pid}/status") as status:
        [line] = [line for line in status if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
