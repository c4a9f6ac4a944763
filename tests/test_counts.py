"""What a packet has of each cause, counted without a tracer: as the tracer counts it, by name."""

from collections.abc import Callable

import pytest
from capabilities import require

from bench.forwarders import forwarding
from bench.ledger import Load, counts, trace
from bench.ledger.evidence import Evidence
from bench.ledger.model import Unseen
from bench.ledger.observers import OBSERVERS, UNOBTRUSIVE
from bench.ledger.take import assemble, observe
from bench.probes import prove
from bench.topology import build
from bench.why.causes import CAUSES
from bench.why.design import variant_of

pytestmark = pytest.mark.usefixtures("tuns")

PAYLOAD = 1400
PACKET = PAYLOAD + 28
"""With the headers that a pump sees: IP and UDP."""
ECHO = Load(kind="echo", size=PAYLOAD, seconds=0.03, values=1)

SCHEDULED = frozenset({"polling", "switches", "wakeups"})
"""Causes that depend on who runs when: whoever is preempted before it sleeps need not sleep."""

Counts = dict[str, float]
Counted = Callable[[str], Counts]


def evidence_of(name: str, *, traced: bool = False) -> Evidence:
    variant = variant_of(name)
    with build(variant.scenario) as topology, forwarding(topology) as running:
        path = prove(topology, variant.name, running)
        return observe(path, ECHO, OBSERVERS if traced else UNOBTRUSIVE)


@pytest.fixture(scope="module")
def counted() -> Counted:
    """Counts of a path by its name, each taken once."""
    known: dict[str, Counts] = {}

    def of(name: str) -> Counts:
        if name not in known:
            known[name] = counts(evidence_of(name))
        return known[name]

    return of


# ---- against the tracer -------------------------------------------------------------------------


def test_they_are_what_the_tracer_counts() -> None:
    require(trace.missing() is None, f"needs to trace: {trace.missing()}")
    evidence = evidence_of("flannel-udp", traced=True)
    found, packets = counts(evidence), evidence.delivered.packets
    made = [
        (name, outcome, n)
        for process, _ in evidence.pumps()
        for name, outcome, n in evidence.calls(process)
    ]
    idle = sum(n for name, outcome, n in made if outcome == "eagain" or name == "poll")
    assert found["polling"] * packets == pytest.approx(idle, rel=0.001, abs=6)
    every = sum(n for _, _, n in made)
    assert (found["calls"] + found["polling"]) * packets == pytest.approx(every, rel=0.001, abs=6)
    assert assemble(evidence, ECHO).sound
    threads = evidence.subject.threads
    switched = sum(n for thread, n in evidence.trace().switches.items() if thread in threads)
    assert found["switches"] * packets == pytest.approx(switched, rel=0.001, abs=6)


# ---- what each path has -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["veth", "vxlan"])
def test_a_path_in_the_kernel_has_the_copies_of_its_ends_and_no_pump(
    name: str, counted: Counted
) -> None:
    found = counted(name)
    assert found.keys() == CAUSES.keys()
    assert found["copies"] == 2 * PAYLOAD
    assert [found[c] for c in ("cold_copies", "calls", "polling", "sockets", "devices")] == [0] * 5


def test_flannels_pumps_copy_four_times_and_pass_two_sockets_and_two_devices(
    counted: Counted,
) -> None:
    found = counted("flannel-udp")
    assert found["copies"] == pytest.approx(2 * PAYLOAD + 4 * PACKET, rel=0.01)
    assert found["calls"] == pytest.approx(4, rel=0.01)
    assert found["sockets"] == found["devices"] == pytest.approx(2, rel=0.01)
    assert found["traversals"] == pytest.approx(6, rel=0.01)


@pytest.mark.parametrize(
    ("name", "sockets", "devices"), [("tun-relay", 0, 2), ("tap-bridge", 0, 4), ("tun-udp", 2, 2)]
)
def test_sockets_and_devices_are_those_of_the_pumps(
    name: str, sockets: int, devices: int, counted: Counted
) -> None:
    found = counted(name)
    assert found["sockets"] == pytest.approx(sockets, rel=0.01)
    assert found["devices"] == pytest.approx(devices, rel=0.01)


def test_a_sleep_is_a_switch_and_every_pump_has_some(counted: Counted) -> None:
    """On one CPU a packet gets from one process to the next by a switch."""
    veth, flannel = counted("veth"), counted("flannel-udp")
    for found in (veth, flannel):
        assert 0 < found["wakeups"] <= found["switches"]
    assert 1 <= flannel["wakeups"] - veth["wakeups"] <= 3
    assert flannel["switches"] - veth["switches"] >= 2 * 0.9


# ---- handicaps are the causes they stand for ----------------------------------------------------


@pytest.mark.parametrize(
    ("handicap", "more"),
    [
        ("hot_copies=3", {"copies": 3 * PACKET}),
        ("cold_copies=2", {"cold_copies": 2 * PACKET}),
        ("null_calls=5", {"calls": 5}),
        ("vain_receives=3", {"polling": 3}),
        ("handoffs=1", {"wakeups": 2, "switches": 2, "polling": 6}),
        ("udp_trips=1", {"sockets": 2, "calls": 2, "copies": 2 * PACKET, "traversals": 2}),
        (
            "tun_trips=1",
            {"sockets": 2, "devices": 2, "calls": 4, "copies": 4 * PACKET, "traversals": 2},
        ),
    ],
)
def test_a_handicap_is_counted_as_what_it_stands_for_and_little_else(
    handicap: str, more: dict[str, float], counted: Counted
) -> None:
    """Of each packet in each of two pumps."""
    base, found = counted("flannel-udp"), counted(f"flannel-udp[{handicap}]")
    for cause in CAUSES:
        unit = PACKET if "copies" in cause else 1
        close = 1.5 if cause in SCHEDULED else 0.02
        gained = (found[cause] - base[cause]) / 2
        assert gained == pytest.approx(more.get(cause, 0), rel=0.02, abs=close * unit), cause


def test_turns_are_context_switches_without_sleep(counted: Counted) -> None:
    """Two turns each of two threads, in each of two pumps, on one CPU."""
    base, found = (counted(f"flannel-udp[handoffs=1{more}]") for more in ("", ",yields=2"))
    assert 3 < (found["switches"] - base["switches"]) / 2 < 6.5
    assert 3 < (found["polling"] - base["polling"]) / 2 < 6.5
    assert found["wakeups"] == pytest.approx(base["wakeups"], abs=1.5)
    for cause in CAUSES.keys() - SCHEDULED:
        assert found[cause] == pytest.approx(base[cause], rel=0.01), cause


def test_of_a_super_packet_a_copy_is_of_its_whole(counted: Counted) -> None:
    """A pump with offload that gets single packets copies what one without does."""
    plain, offload = counted("flannel-udp"), counted("flannel-udp[tun_offload=on,udp_offload=on]")
    assert offload["copies"] == pytest.approx(plain["copies"], rel=0.01)


def test_what_this_machine_does_not_tell_is_unseen() -> None:
    evidence = evidence_of("veth")
    evidence.seen.snmp = None
    evidence.seen.reasons["snmp"] = "nobody may look"
    with pytest.raises(Unseen, match="nobody may look"):
        counts(evidence)
