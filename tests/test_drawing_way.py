"""The way that is drawn is the way that is traced, and what is counted on it is what happens."""

from pathlib import Path

import pytest
from chains import Chain, chains, text_of
from files import NAMES, PEERS, ROOT, STRESS, load_text, shipped
from hypothesis import HealthCheck, given, settings

from bench.drawing import words
from bench.drawing.model import Way
from bench.drawing.way import way_of
from bench.forwarders import forwarding
from bench.ledger import Load
from bench.ledger.take import take
from bench.probes import prove
from bench.results import load
from bench.scenario import Scenario, find, parse_ref, trace, variants
from bench.topology import build

ALL = (*NAMES, *PEERS)
WITHOUT_COPIES = {"socat", "wireguard-go", "qemu", "qemu-host", "qemu-uplink"}
"""Peers whose files predict no copies, though packets are copied as often as the way crosses: socat
and wireguard-go read for other reasons, too; and nobody looks into a guest."""
ENCRYPTED = {"xfrm-transport", "xfrm-tunnel"}
"""Peers of which nothing is predicted: how often IP is passed with ESP is up to the kernel."""


def counts(way: Way) -> dict[str, int]:
    return {
        "copies": len(way.crossings),
        "traversals": way.traversals,
        "device_hops": way.device_hops,
    }


def traced(scenario: Scenario) -> list[str]:
    ends = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
    return [str(hop.ref) for hop in trace(scenario, *ends)]


# ---- two derivations ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_way_has_exactly_the_devices_of_the_trace(name: str) -> None:
    scenario = shipped(name).scenario
    assert list(map(str, way_of(scenario).devices)) == traced(scenario)


@pytest.mark.parametrize("name", ALL)
def test_what_is_counted_on_the_way_is_what_the_file_predicts(name: str) -> None:
    """Every crossing copies the datagram once; every IP box is a traversal; and so on."""
    scenario = shipped(name).scenario
    counted = counts(way_of(scenario))
    predicted = {item: getattr(scenario.predicted, item) for item in counted}
    if name in WITHOUT_COPIES | ENCRYPTED:
        assert predicted.pop("copies") is None, "it is predicted now: compare it"
        del counted["copies"]
    if name in WITHOUT_COPIES | ENCRYPTED and predicted["traversals"] is None:
        return
    assert counted == predicted


def test_where_no_copies_are_predicted_the_crossings_are_known_all_the_same() -> None:
    for name in ("socat", "wireguard-go"):
        as_with_a_pump = [c.verb for c in way_of(shipped("tun-udp").scenario).crossings]
        assert [c.verb for c in way_of(shipped(name).scenario).crossings] == as_with_a_pump
    told = words.crossings(way_of(shipped("qemu").scenario))
    assert told == (
        "4 crossings of the line between user and kernel space: 1 the client sends, "
        "2 QEMU on host writes tap1, 3 QEMU on host reads tap2, 4 the server receives"
    )


def test_with_vhost_no_process_moves_a_guests_packets() -> None:
    [variant] = variants(find(["qemu"]), ["vhost=true", "accelerator=kvm"])
    way = way_of(variant.scenario)
    assert [c.process for c in way.crossings] == ["client", "server"]
    assert [stop.name for stop in way.stops].count("vhost-net") == 2


@pytest.mark.parametrize(
    "name", ["veth", "host-gw", "vxlan", "tun-udp", "flannel-udp", "xfrm-tunnel"]
)
def test_each_router_adds_one_pass_through_ip_and_one_device_hop(name: str) -> None:
    plain = counts(way_of(shipped(name).scenario))
    for hops in (1, 3):
        [variant] = variants(find([name]), [f"hops={hops}"])
        assert counts(way_of(variant.scenario)) == {
            "copies": plain["copies"],
            "traversals": plain["traversals"] + hops,
            "device_hops": plain["device_hops"] + hops,
        }


def test_the_reference_ledger_has_counted_as_many_copies_and_traversals() -> None:
    results = load(ROOT / "results/ledger-baseline")
    compared = 0
    for cell, series in results.series().items():
        if cell.metric in ("copies", "traversals"):
            expected = counts(way_of(shipped(cell.variant).scenario))[cell.metric]
            for count in series.blocks.values():
                assert count == pytest.approx(expected, rel=0.01), cell
                compared += 1
    assert compared


@pytest.mark.usefixtures("tuns")
@pytest.mark.parametrize(
    "chain",
    [
        Chain(("a", "b", "c"), ("veth", "veth"), frozenset({1, 2}), tunnels=("pump", "vxlan")),
        Chain(("a", "b", "c"), ("veth", "veth"), frozenset({2}), tunnels=("vxlan", "pump", "pump")),
    ],
    ids=("vxlan in a pump's tunnel", "pumps' tunnels in vxlan"),
)
def test_tunnels_in_tunnels_are_counted_as_they_are_drawn(chain: Chain, tmp_path: Path) -> None:
    """On a path that no file of ours has, what the kernel counts is what the way says."""
    scenario = load_text(text_of(chain), tmp_path).scenario
    with build(scenario) as topology, forwarding(topology) as running:
        ledger = take(
            prove(topology, "chain", running), Load(packets=500, rate=1000), overhead=False
        )
    expected = counts(way_of(scenario))
    for item in ("copies", "traversals"):
        assert ledger.per_packet[item] == pytest.approx(expected[item], rel=0.02), item
    hops = ledger.per_packet["device_hops"]
    assert hops is None or hops == pytest.approx(expected["device_hops"], rel=0.02)


# ---- any scenario -------------------------------------------------------------------------------


@settings(
    max_examples=150 * STRESS,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(chain=chains())
def test_any_chain_of_hosts_and_tunnels_has_the_way_of_its_trace(
    chain: Chain, tmp_path: Path
) -> None:
    scenario = load_text(text_of(chain), tmp_path).scenario
    way = way_of(scenario)
    assert list(map(str, way.devices)) == traced(scenario)
    processes = sum(kind in ("pump", "tinc") for kind in chain.tunnels)
    assert len(way.crossings) == 2 + 4 * processes
    assert [c.number for c in way.crossings] == list(range(1, len(way.crossings) + 1))
    first, second = chain.ends
    routed = second - first - 1 if chain.tunnels else len(chain.hosts) - 2
    assert way.traversals == 2 + 2 * len(chain.tunnels) + routed
    assert not way.legs[0].tunnels
    assert not way.legs[-1].tunnels


# ---- particular ways ----------------------------------------------------------------------------


def said(name: str) -> list[str]:
    return [words.crossing(c) for c in way_of(shipped(name).scenario).crossings]


def test_crossings_say_who_does_what_and_where() -> None:
    assert said("flannel-udp") == [
        "the client sends",
        "pump on host-a reads flannel0",
        "pump on host-a sends",
        "pump on host-b receives",
        "pump on host-b writes flannel0",
        "the server receives",
    ]
    assert said("pasta") == [
        "the client sends",
        "pasta on host reads container:tap0",
        "pasta on host sends",
        "the server receives",
    ]
    assert said("tun-relay")[1:3] == ["pump reads client:tun0", "pump writes server:tun0"]


def test_a_way_says_what_a_packet_is_inside_of() -> None:
    way = way_of(shipped("vxlan").scenario)
    inside = [stop.name for stop, leg in zip(way.stops, way.legs, strict=False) if leg.tunnels]
    assert inside == ["flannel.1", "IP", "eth0", "eth0", "IP"]
    assert {leg.tunnels for leg in way.legs if leg.tunnels} == {("VXLAN, UDP 8472",)}


def test_the_way_in_words_names_every_device_and_counts() -> None:
    for name in ALL:
        scenario = shipped(name).scenario
        way = way_of(scenario)
        text = ". ".join(words.in_words(scenario, way))
        for ref in way.devices:
            assert ref.device in text
        for crossing in way.crossings:
            assert f"crossing {crossing.number}" in text
        assert f"{way.device_hops} device hops" in text


def test_what_ipsec_does_is_on_the_way() -> None:
    ways = {name: way_of(shipped(name).scenario) for name in sorted(ENCRYPTED)}
    told = [detail for stop in ways["xfrm-transport"].stops for detail in stop.details]
    assert [text for text in told if "ESP" in text] == ["ESP encrypts", "ESP decrypts"]
    assert [s.name for s in ways["xfrm-tunnel"].stops].count("ESP") == 2
