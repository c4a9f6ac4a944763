"""Common claims: what the real kernel says of those that counts decide, and that each can fall."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest

import bench.why.lab
from bench.errors import CannotMeasure
from bench.ledger import Ledger, Load
from bench.ledger.model import Check
from bench.why.claims import CLAIMS, Verdict, check
from bench.why.lab import BLOCKS, Lab

pytestmark = pytest.mark.usefixtures("tuns")

Change = Callable[[Ledger], Ledger]
Frames = list[tuple[str, list[bytes]]]

USUAL = {
    "veth": 1.0,
    "bridge": 1.5,
    "host-gw": 2.0,
    "vxlan": 3.0,
    "tun-relay": 4.0,
    "tap-bridge": 5.0,
    "flannel-udp": 10.0,
    "flannel-udp[hot_copies=48]": 16.0,
}
"""Microseconds of a packet on each path."""


class Bench(Lab):
    """A lab whose times are given, and whose ledgers and frames may be tampered with.

    What is counted is counted once for all tests, by the lab `counting`.
    """

    def __init__(
        self,
        counting: Lab,
        *,
        times: Mapping[str, float | Sequence[float]] | None = None,
        change: Change = lambda ledger: ledger,
        frames: Callable[[Frames], Frames] = lambda frames: frames,
    ) -> None:
        super().__init__(lambda _: None)
        self._counting, self._given = counting, {**USUAL, **(times or {})}
        self._change, self._tamper = change, frames

    def ledger(self, name: str, load: Load) -> Ledger:
        return self._change(self._counting.ledger(name, load))

    def times(self, measure: str, names: Sequence[str]) -> dict[str, list[float]]:
        del measure
        found = {name: self._given[name] for name in names}
        return {
            name: [us * 1e-6 for us in ([given] * 8 if isinstance(given, float) else given)]
            for name, given in found.items()
        }

    def frames(self, name: str) -> Frames:
        return self._tamper(self._counting.frames(name))


@pytest.fixture(scope="module")
def counting() -> Iterator[Lab]:
    """Without a tracer, which takes seconds: pumps, IP layers and devices tell what is needed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.devnull)
        yield Lab(lambda _: None)


def verdict(id_: str, lab: Lab) -> Verdict:
    return check(CLAIMS[id_], lab)


# ---- entries ------------------------------------------------------------------------------------


def test_every_claim_says_what_decides_it() -> None:
    assert len(CLAIMS) >= 8
    for id_, claim in CLAIMS.items():
        assert claim.id == id_
        assert claim.claim
        assert ":" in claim.decides, "a measurement, and what it must be"
    assert len({claim.judge for claim in CLAIMS.values()}) == len(CLAIMS)


# ---- what this kernel says ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id_", "word", "figure"),
    [
        ("tun-twice", "confirmed", "flannel-udp: host-a 2.00 times"),
        ("three-copies", "confirmed", "3.00 on the sending side"),
        ("tap-spares-ip", "confirmed", "host: 0.00 passes through IP"),
        ("veth-unchanged", "confirmed", "equal byte for byte: True"),
        ("sendmmsg", "refuted", "traversals 2.00 one by one, 2.00 in batches of 32"),
        ("vxlan-twice", "confirmed", "vxlan 4.00, host-gw 2.00"),
        ("veth-faster", "confirmed", "tun-relay takes 4.00x [4.00, 4.00] as long as veth"),
        ("copies-are-why", "refuted", "account for 3.6% [3.6%, 3.6%] of the gap"),
    ],
)
def test_claims_meet_the_real_kernel(id_: str, word: str, figure: str, counting: Lab) -> None:
    """Times are given; all that is counted or captured is real."""
    found = verdict(id_, Bench(counting))
    assert found.word == word, found.figures
    assert any(figure in text for text in found.figures), found.figures


# ---- each can fall ------------------------------------------------------------------------------


def scaled(item: str, factor: float, *, where: str = "", host: str = "") -> Change:
    """Ledgers whose path has `where` in its name count more of an item, on one host or all."""

    def change(ledger: Ledger) -> Ledger:
        if where not in ledger.name:
            return ledger
        counts = {
            name: count * (factor if host in name else 1)
            for name, count in ledger.by_host[item].items()
        }
        return msgspec.structs.replace(ledger, by_host={**ledger.by_host, item: counts})

    return change


def batched_less(ledger: Ledger) -> Ledger:
    factor = 0.5 if ledger.load["batch"] > 1 else 1.0
    return scaled("traversals", factor)(ledger)


def batched_more(ledger: Ledger) -> Ledger:
    factor = 2.0 if ledger.load["batch"] > 1 else 1.0
    return scaled("device_hops", factor)(ledger)


def touched(ledger: Ledger) -> Ledger:
    """A host of the bridge through whose IP layer every packet goes."""
    crossed = {**ledger.by_host["traversals"], "host": 1.0}
    return msgspec.structs.replace(ledger, by_host={**ledger.by_host, "traversals": crossed})


def last_byte_changed(frames: Frames) -> Frames:
    (first, sent), (second, seen) = frames
    return [(first, sent), (second, [*seen[:-1], seen[-1][:-1] + b"?"])]


@pytest.mark.parametrize(
    ("id_", "word", "tampering"),
    [
        ("tun-twice", "refuted", {"change": scaled("traversals", 0.5, host="host-b")}),
        ("three-copies", "refuted", {"change": scaled("copies", 4 / 3, host="-a")}),
        ("three-copies", "refuted", {"change": scaled("copies", 1.02, host="-a")}),
        ("tap-spares-ip", "refuted", {"change": touched}),
        ("veth-unchanged", "refuted", {"frames": last_byte_changed}),
        ("veth-unchanged", "refuted", {"frames": lambda f: [f[0], (f[1][0], f[1][1][:-1])]}),
        ("veth-unchanged", "refuted", {"frames": lambda f: [(name, []) for name, _ in f]}),
        ("sendmmsg", "confirmed", {"change": batched_less}),
        ("sendmmsg", "refuted", {"change": batched_more}),
        ("vxlan-twice", "refuted", {"change": scaled("traversals", 1.5, where="vxlan")}),
        ("veth-faster", "refuted", {"times": {"veth": 6.0, "bridge": 7.0}}),
        ("copies-are-why", "confirmed", {"times": {"flannel-udp[hot_copies=48]": 100.0}}),
    ],
)
def test_what_contradicts_a_verdict_turns_it(
    id_: str, word: str, tampering: dict[str, Any], counting: Lab
) -> None:
    found = verdict(id_, Bench(counting, **tampering))
    assert found.word == word, found.figures


# ---- what cannot be told ------------------------------------------------------------------------


def unobserved(ledger: Ledger) -> Ledger:
    return msgspec.structs.replace(
        ledger,
        per_packet=dict.fromkeys(ledger.per_packet),
        reasons=dict.fromkeys(ledger.per_packet, "nobody may look"),
    )


def unsound(ledger: Ledger) -> Ledger:
    off = Check(id="datagrams", what="datagrams", left_count=1, right_count=9, agree=False)
    return msgspec.structs.replace(ledger, sound=False, checks=[*ledger.checks, off])


@pytest.mark.parametrize(
    "id_", ["tun-twice", "three-copies", "tap-spares-ip", "sendmmsg", "vxlan-twice"]
)
@pytest.mark.parametrize(
    ("change", "reason"), [(unobserved, "nobody may look"), (unsound, "datagrams:  1,  9")]
)
def test_what_was_not_observed_or_contradicts_itself_decides_nothing(
    id_: str, change: Change, reason: str, counting: Lab
) -> None:
    found = verdict(id_, Bench(counting, change=change))
    assert found.word == "cannot tell here"
    assert reason in found.figures[0]


@pytest.mark.parametrize(
    ("id_", "times"),
    [
        ("veth-faster", {"tun-relay": [4.0] * 7 + [0.9]}),
        ("veth-faster", {"veth": 6.0}),
        ("copies-are-why", {"flannel-udp[hot_copies=48]": [20.0, 150.0] * 4}),
    ],
)
def test_figures_on_both_sides_of_the_rule_decide_nothing(
    id_: str, times: dict[str, Any], counting: Lab
) -> None:
    found = verdict(id_, Bench(counting, times=times))
    assert found.word == "cannot tell here"
    assert len(found.figures) >= 2, "the figures are said all the same"


def test_where_there_is_no_gap_nothing_has_a_share_of_it(counting: Lab) -> None:
    found = verdict("copies-are-why", Bench(counting, times={"vxlan": [3.0] * 7 + [10.0]}))
    assert found.word == "cannot tell here"
    assert found.figures == ["one packet at a time: flannel-udp is not slower than vxlan each time"]


def test_what_cannot_be_measured_is_a_reason_and_no_error() -> None:
    class Nowhere(Lab):
        def times(self, measure: str, names: Sequence[str]) -> dict[str, list[float]]:
            raise CannotMeasure(f"{measure}: there is no iperf3")

    found = verdict("veth-faster", Nowhere(lambda _: None))
    assert found == Verdict("cannot tell here", ["serial: there is no iperf3"])


# ---- the lab itself -----------------------------------------------------------------------------


def test_a_lab_measures_once_what_is_asked_twice_and_times_in_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(BLOCKS, "serial", 3)
    told: list[str] = []
    lab = Lab(told.append)
    first = lab.times("serial", ("veth", "bridge"))
    assert {name: len(values) for name, values in first.items()} == {"veth": 3, "bridge": 3}
    assert all(1e-7 < value < 1e-3 for values in first.values() for value in values)
    assert [text.split(",")[0] for text in told] == ["timing veth", "timing bridge"] * 3
    assert lab.times("serial", ("veth", "bridge")) is first


def test_a_lab_takes_no_ledger_of_what_was_lost(
    counting: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tries again, and says so where that does not help."""
    real, taken = bench.why.lab.take, []

    def losing(*arguments: Any, **options: Any) -> Ledger:
        ledger = real(*arguments, **options)
        taken.append(ledger)
        return msgspec.structs.replace(ledger, sent=int(ledger.delivered) + len(lost.pop(0)))

    monkeypatch.setattr(bench.why.lab, "take", losing)
    load = Load(packets=100, rate=5_000)
    lost = ["one", ""]
    assert Lab(lambda _: None).ledger("veth", load) == taken[1]
    lost = ["one"] * 4
    with pytest.raises(CannotMeasure, match="veth: 3 of 103 datagrams were lost in the last of 4"):
        Lab(lambda _: None).ledger("veth", load)
    del counting  # which keeps the tracer away
