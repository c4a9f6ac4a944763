"""What is commonly said of these paths, checked: one entry of `CLAIMS` each.

An entry names the claim, the measurement that decides it and, as a function, the rule by which it
is decided, all fixed before anything is measured. Where the measurement is not possible, or leaves
both answers open, the verdict is that this machine cannot tell.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from bench.devices import Tap, Tun, parse_ref
from bench.errors import CannotMeasure
from bench.ledger import Ledger, Load
from bench.probes.priced import PAYLOAD
from bench.stats import median_interval
from bench.units import format_times, format_value, significant
from bench.why.design import MEASURES, variant_of
from bench.why.lab import Lab

SMALL = Load(kind="udp", packets=2_000, size=64, rate=5_000)
_BURST = Load(kind="udp", packets=2_000, size=64, rate=0)
_CLOSE = 0.01
"""How far a count may be from the number in the claim."""
_DOSE = 48
"""Copies more that each pump makes of each packet, to learn what one costs."""

Word = Literal["confirmed", "refuted", "cannot tell here"]


class Verdict(msgspec.Struct, frozen=True):
    """What became of a claim, and the figures that decided it."""

    word: Word
    figures: list[str]


@dataclass(frozen=True)
class Claim:
    """One entry. decides: what is measured and when the claim holds. judge: does it."""

    id: str
    claim: str
    decides: str
    judge: Callable[[Lab], Verdict]


def check(claim: Claim, lab: Lab) -> Verdict:
    """The verdict on a claim; what cannot be measured here is no error."""
    try:
        return claim.judge(lab)
    except CannotMeasure as error:
        return Verdict("cannot tell here", [str(error)])


# ---- counts -------------------------------------------------------------------------------------


def _told(holds: bool, figures: Sequence[str]) -> Verdict:
    return Verdict("confirmed" if holds else "refuted", list(figures))


def _near(value: float, wanted: float) -> bool:
    return abs(value - wanted) <= _CLOSE * max(1.0, wanted)


def _by_host(ledger: Ledger, item: str) -> dict[str, float]:
    """An item's counts by host. Raises CannotMeasure where it was not observed, or is not sound."""
    if not ledger.sound:
        raise CannotMeasure(f"{ledger.name}: {'; '.join(ledger.disagreements())}")
    if ledger.per_packet[item] is None:
        raise CannotMeasure(f"{ledger.name}: {item} not observed: {ledger.reasons[item]}")
    return ledger.by_host.get(item, {})


def _tun_crosses_twice(lab: Lab) -> Verdict:
    figures, holds = [], True
    for name in ("tun-udp", "flannel-udp"):
        scenario = variant_of(name).scenario
        crossed = _by_host(lab.ledger(name, SMALL), "traversals")
        for host, declared in scenario.hosts.items():
            if any(isinstance(device, Tun) for device in declared.devices.values()):
                holds &= _near(crossed.get(host, 0.0), 2)
                figures.append(f"{name}: {host} {crossed.get(host, 0.0):.2f} times")
    return _told(holds, figures)


def _copies_on_the_sending_side(lab: Lab) -> Verdict:
    copied = _by_host(lab.ledger("flannel-udp", SMALL), "copies")
    count = copied.get("ctr-a", 0.0) + copied.get("host-a", 0.0)
    parts = ", ".join(f"{host} {n:.2f}" for host, n in copied.items())
    return _told(_near(count, 3), [f"{count:.2f} on the sending side ({parts})"])


def _tap_spares_the_stack(lab: Lab) -> Verdict:
    scenario = variant_of("tap-bridge").scenario
    ends = {parse_ref(e).host for e in (scenario.endpoints.client, scenario.endpoints.server)}
    crossed = _by_host(lab.ledger("tap-bridge", SMALL), "traversals")
    hosts = [
        host
        for host, declared in scenario.hosts.items()
        if host not in ends and any(isinstance(d, Tap) for d in declared.devices.values())
    ]
    counts = {host: crossed.get(host, 0.0) for host in hosts}
    return _told(
        all(_near(count, 0) for count in counts.values()),
        [f"{host}: {count:.2f} passes through IP a packet" for host, count in counts.items()],
    )


def _sendmmsg_saves_stack_work(lab: Lab) -> Verdict:
    singly = lab.ledger("veth", _BURST)
    batched = lab.ledger("veth", replace(_BURST, batch=32))
    figures, fewer = [], False
    for item in ("useful_calls", "traversals", "device_hops"):
        counts = [sum(_by_host(ledger, item).values()) for ledger in (singly, batched)]
        figures.append(f"{item} {counts[0]:.2f} one by one, {counts[1]:.2f} in batches of 32")
        if item != "useful_calls":
            fewer |= counts[1] < counts[0] and not _near(counts[1], counts[0])
    return _told(fewer, figures)


def _vxlan_costs_twice(lab: Lab) -> Verdict:
    counts = {}
    for name in ("host-gw", "vxlan"):
        crossed = _by_host(lab.ledger(name, SMALL), "traversals")
        counts[name] = crossed.get("host-a", 0.0) + crossed.get("host-b", 0.0)
    times = lab.times("serial", ("veth", "host-gw", "vxlan"))
    own = {
        name: [time - bare for time, bare in zip(times[name], times["veth"], strict=True)]
        for name in ("host-gw", "vxlan")
    }
    ratios = [v / r for v, r in zip(own["vxlan"], own["host-gw"], strict=True)]
    return _told(
        _near(counts["vxlan"], 2 * counts["host-gw"]),
        [
            f"passes through IP on the two hosts: vxlan {counts['vxlan']:.2f}, host-gw "
            f"{counts['host-gw']:.2f}",
            f"time beyond veth: vxlan {_ratio(ratios)} as long as host-gw",
        ],
    )


def _veth_changes_nothing(lab: Lab) -> Verdict:
    (first, sent), (second, seen) = lab.frames("veth")
    same = sent == seen and len(sent) > 0
    return _told(
        same,
        [f"{len(sent)} frames at {first}, {len(seen)} at {second}, equal byte for byte: {same}"],
    )


# ---- times --------------------------------------------------------------------------------------


def _ratio(ratios: list[float]) -> str:
    low, high = median_interval(ratios) or (min(ratios), max(ratios))
    ends = f"{significant(low, 3)}, {significant(high, 3)}"
    return f"{format_times(statistics.median(ratios), 3)} [{ends}]"


def _veth_is_faster(lab: Lab) -> Verdict:
    """In every block, or it is open; the other way round in every block refutes it."""
    figures, words = [], set[Word]()
    for measure in MEASURES:
        for mine, other in (("veth", "tun-relay"), ("bridge", "tap-bridge")):
            times = lab.times(measure, (mine, other))
            ratios = [o / m for m, o in zip(times[mine], times[other], strict=True)]
            figures.append(f"{MEASURES[measure]}: {other} takes {_ratio(ratios)} as long as {mine}")
            words.add(_word(min(ratios) > 1, max(ratios) < 1))
    return Verdict(words.pop() if len(words) == 1 else "cannot tell here", figures)


def _word(holds: bool, fails: bool) -> Word:
    return "confirmed" if holds else "refuted" if fails else "cannot tell here"


def _copies_are_why(lab: Lab) -> Verdict:
    """The share of the gap to vxlan that the copies account for: more than half of it, or less."""
    slow, fast = "flannel-udp", "vxlan"
    dosed = f"{slow}[hot_copies={_DOSE}]"
    figures, words = [], set[Word]()
    for measure in MEASURES:
        times = lab.times(measure, (fast, slow, dosed))
        gaps = [s - f for s, f in zip(times[slow], times[fast], strict=True)]
        if min(gaps) <= 0:
            raise CannotMeasure(f"{MEASURES[measure]}: {slow} is not slower than {fast} each time")
        shares = []
        for gap, s, d in zip(gaps, times[slow], times[dosed], strict=True):
            one = (d - s) / (2 * _DOSE)  # of one copy: two pumps make each dose
            shares.append(4 * one / gap)
        low, high = median_interval(shares) or (min(shares), max(shares))
        figures.append(
            f"{MEASURES[measure]}: four copies of {PAYLOAD} bytes account for "
            f"{statistics.median(shares):.1%} "
            f"[{low:.1%}, {high:.1%}] of the gap to {fast} "
            f"({format_value(statistics.median(gaps), 's', 2)})"
        )
        words.add(_word(low > 1 / 2, high < 1 / 2))
    return Verdict(words.pop() if len(words) == 1 else "cannot tell here", figures)


CLAIMS: dict[str, Claim] = {
    claim.id: claim
    for claim in (
        Claim(
            "tun-twice",
            "a tun device makes a packet cross the protocol stack twice on each host",
            "passes through IP on each host with a tun, small datagrams: 2",
            _tun_crosses_twice,
        ),
        Claim(
            "three-copies",
            "UDP mode copies three times between user and kernel on the sending side",
            "copies by container and host that send, small datagrams: 3",
            _copies_on_the_sending_side,
        ),
        Claim(
            "copies-are-why",
            "those copies are why it is slow",
            "the price of a copy times the copies more than vxlan has: over half of the gap",
            _copies_are_why,
        ),
        Claim(
            "tap-spares-ip",
            "a tap on a bridge does not touch the host's IP stack",
            "passes through IP on the bridge's host, small datagrams: 0",
            _tap_spares_the_stack,
        ),
        Claim(
            "veth-unchanged",
            "veth hands frames on unchanged",
            "frames captured at both ends of the pair: equal byte for byte",
            _veth_changes_nothing,
        ),
        Claim(
            "veth-faster",
            "veth is faster than tun and tap",
            "time of a packet against tun-relay and, on a bridge, tap-bridge: less in every block",
            _veth_is_faster,
        ),
        Claim(
            "sendmmsg",
            "sendmmsg saves stack work",
            "passes through IP and devices with 32 datagrams a call: fewer than with one",
            _sendmmsg_saves_stack_work,
        ),
        Claim(
            "vxlan-twice",
            "VXLAN costs twice the stack of plain routes",
            "passes through IP on the two hosts: twice those of host-gw",
            _vxlan_costs_twice,
        ),
    )
}
