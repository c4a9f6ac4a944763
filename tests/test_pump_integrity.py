"""Whatever its switches, a pump delivers what it was given: every byte, once, in order."""

import re
import signal
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path as File

import pytest
from files import load_text, text_of
from live import live
from pairs import Combination, allowed, covering, pairs_of

from bench import forwarders, integrity, integrity_udp
from bench.errors import ScenarioError
from bench.forwarders import forwarding
from bench.integrity import IntegrityReport
from bench.probes import prove
from bench.probes.base import Path
from bench.probes.flow import settle
from bench.process import Send, spawn
from bench.scenario import Variant, find, variants
from bench.topology import Arm, build

pytestmark = pytest.mark.slow

SWITCHES = {
    "readiness": ("off", "on"),
    "batch": ("1", "8", "64"),
    "tun_offload": ("off", "on"),
    "udp_offload": ("off", "on"),
    "wait": ("block", "spin", "busy"),
    "linger": ("0", "50"),
    "io": ("syscall", "uring"),
    "queues": ("1", "2", "2 shared"),
    "mtu": ("usual", "jumbo"),
}
TUNNELS = ("flannel-udp", "tun-udp", "flannel-udp6")
BETWEEN_DEVICES = ("tun-relay", "tap-bridge")
ROOMY = "buffer=4194304"
"""Socket buffers that hold all of a burst: where they do not, loss is what the kernel does."""
MIB = 1 << 20
MOST_MEMORY = 16 * MIB


def overrides(combination: Mapping[str, str]) -> list[str]:
    """What is said to `vnetbench -p`, of everything but the scenario."""
    said = dict(combination)
    scenario = said.pop("scenario")
    queues, *shared = said.pop("queues").split()
    jumbo = said.pop("mtu") == "jumbo"
    said["queues"] = queues
    if shared:
        said["sockets"] = "shared"
    if jumbo:
        said["mtu"] = "8900"
        if scenario in TUNNELS:
            said["underlay_mtu"] = "9000"
    return [ROOMY, *(f"{name}={value}" for name, value in said.items())]


def variant_of(combination: Mapping[str, str]) -> Variant:
    [variant] = variants(find([combination["scenario"]]), overrides(combination))
    forwarders.check(variant)
    return variant


def is_allowed(combination: Mapping[str, str]) -> bool:
    """What docs/pump.md says goes together."""
    device_only = combination["scenario"] in BETWEEN_DEVICES
    return not (
        (device_only and (combination["udp_offload"] == "on" or combination["wait"] == "busy"))
        or (combination["io"] == "uring" and combination["readiness"] == "off")
        or (combination["io"] == "uring" and combination["wait"] == "busy")
        or (combination["linger"] != "0" and combination["wait"] == "spin")
    )


def combinations() -> list[Combination]:
    every = allowed({"scenario": (*TUNNELS, *BETWEEN_DEVICES), **SWITCHES})
    return covering([each for each in every if is_allowed(each)])


def name_of(combination: Mapping[str, str]) -> str:
    """Short: what is not as in flannel's loop."""
    plain = {name: values[0] for name, values in SWITCHES.items()}
    said = [f"{k}={v}" for k, v in combination.items() if plain.get(k) not in {v, None}]
    return ",".join([combination["scenario"], *said]).replace(" ", "+")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pumps that spin keep each other waiting where there are fewer CPUs than spin."""
    monkeypatch.setattr(integrity_udp, "settle", partial(settle, quiet=3.0))


def check(path: Path, gro: Sequence[bool] = (False, True)) -> IntegrityReport:
    return integrity.check(path, datagrams=64, gro=gro, streams=2, stream_bytes=MIB // 4, seed=1)


def wrong(report: IntegrityReport, queues: int) -> list[str]:
    """What is wrong. Several queues may change the order of datagrams, and of the fragments of one
    too long for the path, which reassembly then does not always put together."""
    return [line for line in report.problems() if queues == 1 or not of_order(line, report.mtu)]


def of_order(line: str, mtu: int) -> bool:
    """Whether a problem is, or comes of, packets that have overtaken each other."""
    size = re.search(r": (\d+) bytes", line)
    fragments = size is not None and int(size[1]) + 28 > mtu
    return line.endswith(" reordered") or (fragments and " datagrams lost" in line)


COMBINATIONS = combinations()


def test_the_combinations_hold_every_pair_but_the_refused() -> None:
    held = {pair for each in COMBINATIONS for pair in pairs_of(each)}
    everything = {"scenario": (*TUNNELS, *BETWEEN_DEVICES), **SWITCHES}
    every = {pair for each in allowed(everything) for pair in pairs_of(each)}
    between = [("scenario", name) for name in BETWEEN_DEVICES]
    assert every - held == {
        frozenset((("io", "uring"), ("readiness", "off"))),
        frozenset((("io", "uring"), ("wait", "busy"))),
        frozenset((("linger", "50"), ("wait", "spin"))),
        *(frozenset((scenario, ("udp_offload", "on"))) for scenario in between),
        *(frozenset((scenario, ("wait", "busy"))) for scenario in between),
    }


def test_what_is_held_to_go_together_does_and_nothing_else() -> None:
    every = allowed({"scenario": ("flannel-udp", "tun-relay"), **SWITCHES})
    few = [each for each in every if each["batch"] == "1" and each["mtu"] == "usual"]
    few = [each for each in few if each["queues"] == "1" and each["tun_offload"] == "off"]
    for combination in few:
        if is_allowed(combination):
            variant_of(combination)
        else:
            with pytest.raises(ScenarioError):
                variant_of(combination)


@pytest.mark.usefixtures("tuns")
@pytest.mark.parametrize("combination", COMBINATIONS, ids=name_of)
def test_nothing_is_lost_changed_repeated_or_out_of_order(combination: Combination) -> None:
    variant = variant_of(combination)
    gro = COMBINATIONS.index(combination) % 2 == 0
    with live(variant.scenario) as topology:
        report = check(prove(topology, variant.name), [gro])
    assert wrong(report, int(combination["queues"][0])) == []
    assert report.mtu >= (8000 if combination["mtu"] == "jumbo" else 1400)
    assert report.sent == 64 * len(report.udp)


# ---- two sides that differ ------------------------------------------------------------------


def text_of_pair(scenario: str, *sides: str) -> str:
    """The shipped `scenario` with these switches for each of its two pumps."""
    first, *pumps = text_of(scenario).split('kind = "pump"\n')
    assert len(pumps) == len(sides)
    return first + "".join(
        f'kind = "pump"\nswitches = {{ {side} }}\n{pump}'
        for side, pump in zip(sides, pumps, strict=True)
    )


FLANNEL = 'trust = "anyone", buffer = 4194304'
OFFLOADS = "readiness = true, batch = 16, tun_offload = true, udp_offload = true, buffer = 4194304"
SPLITS = "readiness = true, batch = 8, tun_offload = true, buffer = 4194304"
RING = f'{OFFLOADS}, io = "uring"'
QUEUES = f"{OFFLOADS}, queues = 2"


@pytest.mark.usefixtures("tuns")
@pytest.mark.parametrize(
    ("scenario", "sides"),
    [
        ("flannel-udp", (FLANNEL, OFFLOADS)),
        ("flannel-udp", (RING, FLANNEL)),
        ("flannel-udp6", (SPLITS, RING)),
        ("tun-udp", (QUEUES, FLANNEL)),
    ],
    ids=["flannel-offloads", "ring-flannel", "splits-ring", "queues-flannel"],
)
def test_pumps_of_different_switches_understand_each_other(
    scenario: str, sides: tuple[str, str], tmp_path: File
) -> None:
    variant = load_text(text_of_pair(scenario, *sides), tmp_path)
    forwarders.check(variant)
    with live(variant.scenario) as topology:
        report = check(prove(topology, variant.name))
    assert wrong(report, 2 if QUEUES in sides else 1) == []


@pytest.mark.usefixtures("tuns")
@pytest.mark.parametrize("scenario", ["flannel-udp", "tap-bridge"])
def test_nothing_is_lost_where_the_devices_do_not_segment(scenario: str) -> None:
    switches = ["tun_offload=on", "batch=16"]
    [variant] = variants(find([scenario]), [ROOMY, *switches])
    with live(variant.scenario, Arm.PARITY) as topology:
        assert wrong(check(prove(topology, variant.name)), 1) == []


# ---- memory ---------------------------------------------------------------------------------


def peak(pid: int) -> int:
    """Bytes of memory a process had at most."""
    status = File(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def idle(send: Send) -> None:
    send({"ready": True})
    signal.pause()


@pytest.mark.usefixtures("tuns")
def test_a_fast_pump_needs_little_memory() -> None:
    [variant] = variants(find(["flannel-udp"]), ["pump=fast"])
    with build(variant.scenario) as topology, spawn("idle", idle) as child:
        child.receive(5)
        with forwarding(topology) as pumps:
            path = prove(topology, variant.name)
            report = integrity.check(path, datagrams=64, streams=4, stream_bytes=4 * MIB, seed=1)
            grown = [peak(pump.child.pid) - peak(child.pid) for pump in pumps]
            counted = [pump.counters() for pump in pumps if pump.counters]
    assert report.problems() == []
    assert all(
        each["port0.tx_supers"] > 100 for each in counted
    )  # so that there was something to hold
    assert all(0 < each <= MOST_MEMORY for each in grown), grown
