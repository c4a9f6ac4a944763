"""The search finds the rates that a path carries, and says what kept them from being higher."""

import errno
import fcntl
import os
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from files import shipped
from live import live
from msgspec.structs import replace
from searching import CAPACITY, OPTIONS, QUICK, path_of

from bench.errors import CannotMeasure, MissingCapability
from bench.forwarders import forwarding
from bench.probes import PROBES
from bench.probes.ahead import ends
from bench.probes.base import Path
from bench.search import Options, SearchResult, Trial, bounds, search, search_rates
from bench.search.limit import generator_limit
from bench.search.single import switch_segmentation
from bench.search.tester import ready_for_trials
from bench.topology import Arm, build, facts

# ---- paths of which everything is known -----------------------------------------------------


@pytest.mark.parametrize("width", [0.1, 0.03, 0.01])
@pytest.mark.parametrize("capacity", [7000.0, CAPACITY, 790_000.0])
def test_the_bounds_enclose_what_the_path_carries_and_are_as_close_as_asked(
    capacity: float, width: float
) -> None:
    options = Options(width=width, time_limit=60)
    found = search(path_of(capacity), options, lambda: None).of(0.0)
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower <= capacity * 1.0001
    assert found.upper >= capacity * 0.9999
    assert found.lower >= found.upper * (1 - width)
    assert found.rate == found.lower
    assert found.limited_by == "path"


def test_a_goal_that_allows_loss_is_offered_more_and_carries_what_the_path_can() -> None:
    result = search(path_of(CAPACITY), OPTIONS, lambda: None)
    none, some, more = (result.of(goal) for goal in OPTIONS.goals)
    assert none.lower
    assert more.lower
    assert more.lower > none.lower
    assert more.lower == pytest.approx(CAPACITY / (1 - 0.005), rel=OPTIONS.width)
    assert some.rate == pytest.approx(CAPACITY, rel=OPTIONS.width)


def test_a_sender_that_cannot_go_faster_is_told_from_a_path_that_loses() -> None:
    found = search(path_of(CAPACITY, sender=150_000), OPTIONS, lambda: 400_000).of(0.0)
    assert found.limited_by == "sender"
    assert found.rate == pytest.approx(150_000, rel=0.02)


def test_a_rate_near_what_the_generator_can_do_without_a_path_is_labelled() -> None:
    result = search(path_of(CAPACITY, sender=150_000), OPTIONS, lambda: 155_000)
    assert result.of(0.0).limited_by == "generator"
    assert any("generator-limited" in warning for warning in result.warnings())


def test_a_path_that_carries_all_that_was_tried_is_not_said_to_be_the_limit() -> None:
    """The generator's limit was measured while the machine was slow, and bounds what is tried."""
    limits = iter([155_000.0, 400_000.0])
    found = search(path_of(CAPACITY, sender=400_000), OPTIONS, lambda: next(limits)).of(0.0)
    assert found.upper is None
    assert found.limited_by == "generator"


def test_no_more_arrives_than_was_sent() -> None:
    """A sender that lacks less than would make it late: what it did not send did not arrive."""
    punctual = path_of(CAPACITY)

    def attempt(rate: float, seconds: float) -> Trial:
        return replace(punctual(0.992 * rate, seconds), asked=rate)

    found = search(attempt, OPTIONS, lambda: None).of(0.0)
    assert found.lower == pytest.approx(CAPACITY / 0.992, rel=OPTIONS.width)
    assert found.rate == pytest.approx(0.992 * found.lower)
    assert found.rate <= CAPACITY * 1.0001


def test_a_sender_that_is_late_now_and_then_is_asked_again_and_does_not_lower_the_rate() -> None:
    draw = random.Random(1)
    punctual = path_of(CAPACITY)

    def attempt(rate: float, seconds: float) -> Trial:
        share = 0.5 if draw.random() < 0.2 else 1.0
        trial = punctual(rate * share, seconds)
        return Trial(
            asked=rate,
            offered=trial.offered,
            seconds=seconds,
            sent=trial.sent,
            received=trial.received,
        )

    result = search(attempt, OPTIONS, lambda: None)
    found = result.of(0.0)
    assert found.rate == pytest.approx(CAPACITY, rel=2 * OPTIONS.width)
    assert found.limited_by == "path"
    assert any(trial.discarded for trial in result.trials)


def test_a_tenth_of_the_trials_may_be_unlucky_without_changing_the_answer() -> None:
    draw = random.Random(1)
    result = search(path_of(CAPACITY, unlucky=lambda: draw.random() < 0.1), OPTIONS, lambda: None)
    assert result.of(0.0).rate == pytest.approx(CAPACITY, rel=2 * OPTIONS.width)


def test_a_path_that_loses_at_any_rate_is_unstable_and_has_no_rate_without_loss() -> None:
    result = search(path_of(CAPACITY, unlucky=lambda: True), OPTIONS, lambda: None)
    assert not result.stable
    assert result.of(0.0).rate is None
    assert any("unstable" in warning for warning in result.warnings())
    assert any("at most 0.0% are lost" in warning for warning in result.warnings())


def test_a_rate_of_which_the_generators_share_is_not_known_says_so() -> None:
    def said(limit: float | None) -> bool:
        warnings = search(path_of(CAPACITY), OPTIONS, lambda: limit).warnings()
        return any("whether it is generator-limited is not known" in text for text in warnings)

    assert said(None)
    assert not said(4e6)


def test_a_path_that_carries_nothing_is_given_up_at_once() -> None:
    with pytest.raises(CannotMeasure, match="nothing of what was sent arrived"):
        search(path_of(0), OPTIONS, lambda: None)


def test_the_library_and_the_trials_say_the_same() -> None:
    for seed in range(5):
        draw = random.Random(seed)
        jitter = path_of(CAPACITY, unlucky=lambda draw=draw: draw.random() < 0.3)  # type: ignore[misc]
        result = search(jitter, OPTIONS, lambda: None)
        used = [t for t in result.trials if t.purpose == "search" and not t.discarded]
        for found in result.found:
            assert bounds.relevant(used, found.goal, OPTIONS) == (found.lower, found.upper)
            if found.lower is not None:
                at_lower = [trial for trial in used if trial.asked == found.lower]
                rate = bounds.conditional_throughput(at_lower, OPTIONS)
                assert rate == pytest.approx(found.rate, rel=1e-6)


def test_a_search_that_runs_out_of_time_says_so_and_gives_what_it_has() -> None:
    result = search(path_of(CAPACITY), Options(time_limit=1e-9), lambda: None)
    assert not result.complete
    assert any("out of time" in warning for warning in result.warnings())
    assert any(trial.purpose == "search" for trial in result.trials)


def test_what_breaks_within_a_search_is_no_lack_of_time() -> None:
    """Not even where it is of the kind of error by which the library reports that."""
    with pytest.raises(RuntimeError, match="broken"):
        search(breaking("broken"), OPTIONS, lambda: None)


def breaking(text: str) -> Callable[[float, float], Trial]:
    """A path that breaks at the third trial of the search itself."""
    whole, left = path_of(CAPACITY), iter(range(1 + OPTIONS.stability + 2))

    def attempt(rate: float, seconds: float) -> Trial:
        if next(left, None) is None:
            raise RuntimeError(text)
        return whole(rate, seconds)

    return attempt


# ---- devices ---


def test_a_device_that_is_not_there_is_no_capability_that_the_kernel_lacks() -> None:
    with pytest.raises(CannotMeasure, match="attic0: its segmentation of UDP cannot be") as found:
        switch_segmentation("attic0", on=False)
    assert not isinstance(found.value, MissingCapability)


@pytest.mark.parametrize("granted", [0, 1])
def test_a_kernel_without_the_switch_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, granted: int
) -> None:
    """The library says so in two ways; which one, depends on the call that is refused first."""
    answered, asked = fcntl.ioctl, iter(range(granted))

    def refuse(*arguments: Any) -> Any:
        if next(asked, None) is not None:
            return answered(*arguments)
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    with pytest.raises(MissingCapability) as found:
        switch_segmentation("lo", on=False)
    assert str(found.value) == "lo: this kernel has no switch for its segmentation of UDP"


# ---- live paths -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("namespaces")
def test_the_probe_gives_a_value_for_each_goal_and_keeps_every_trial() -> None:
    probe = PROBES["packet_rate_512"]
    with live(shipped("veth").scenario) as topology:
        settings = {"first": 0.0625, "final": 0.0625, "duration_sum": 0.1, "width": 0.2}
        measured = probe.measure(Path(topology, "veth"), settings)
    assert set(measured.samples) == set(probe.metrics)
    result = msgspec.json.decode(measured.raw["packet_rate_512"], type=SearchResult)
    assert result.size == 512
    assert [[found.rate] for found in result.found] == list(measured.samples.values())
    assert {trial.purpose for trial in result.trials} == {"flood", "stability", "search"}
    assert measured.warnings == tuple(f"veth: {text}" for text in result.warnings())


@pytest.mark.usefixtures("namespaces")
def test_datagrams_are_single_packets_on_the_first_device_and_its_offload_is_put_back() -> None:
    with live(shipped("veth").scenario) as topology:
        before = facts(topology)
        with ready_for_trials(Path(topology, "veth"), 64, QUICK) as tester:
            counted = topology.traffic("client")["eth0"].tx_packets
            trial = tester.run(200_000, 0.1)
            counted = topology.traffic("client")["eth0"].tx_packets - counted
        calls = tester.sent.read().calls
        assert facts(topology) == before
    assert 0 < trial.sent <= counted <= trial.sent + 10
    assert calls < trial.sent / 2


@pytest.mark.usefixtures("namespaces")
def test_destinations_take_turns() -> None:
    """Of two, one of which nobody has, the other gets every second datagram."""
    with live(shipped("veth").scenario) as topology:
        path = Path(topology, "veth")
        there, nowhere = path.server_address, "10.1.1.99"
        received = {}
        for turns in ((there, there), (there, nowhere)):
            with ready_for_trials(path, 64, QUICK, turns) as tester:
                trial = tester.run(2_000, 0.2)
            received[turns] = trial.received / trial.sent
    assert received == {(there, there): 1, (there, nowhere): pytest.approx(0.5, abs=0.01)}


@pytest.mark.usefixtures("tuns")
def test_forwarders_are_kept_off_the_senders_cpu_meanwhile() -> None:
    """Behind a sender that spins ahead of all a pump would stand still."""
    with build(shipped("flannel-udp").scenario) as topology, forwarding(topology) as running:
        path = Path(topology, "flannel-udp", running)
        pids = [forwarder.child.pid for forwarder in running]
        before = [os.sched_getaffinity(pid) for pid in pids]
        with ready_for_trials(path, 64, QUICK) as tester:
            assert os.sched_getaffinity(tester.flow.sender.child.pid) == {ends()[0]}
            for pid, cpus in zip(pids, before, strict=True):
                assert os.sched_getaffinity(pid) == (cpus - {ends()[0]} or cpus)
        assert [os.sched_getaffinity(pid) for pid in pids] == before


def searched(name: str, arm: Arm = Arm.NATIVE, options: Options = QUICK) -> SearchResult:
    with live(shipped(name).scenario, arm) as topology:
        return search_rates(Path(topology, name), 64, options)


@pytest.mark.slow
@pytest.mark.usefixtures("tuns")
@pytest.mark.parametrize("name", ["veth", "tun-relay"])
def test_a_live_path_has_a_rate_and_every_lost_packet_a_place(name: str) -> None:
    result = searched(name)
    found = result.of(0.005)
    assert found.rate is not None
    assert found.rate > 1000
    assert found.limited_by in {"path", "sender", "generator"}
    for trial in result.trials:
        assert trial.received <= trial.sent
        assert trial.lost.get("elsewhere", 0) <= 0.01 * trial.sent


@pytest.mark.slow
@pytest.mark.usefixtures("namespaces")
def test_loss_at_the_receiving_socket_is_told() -> None:
    options = Options(first=0.0625, final=0.0625, duration_sum=0.0625, width=0.3, buffer=1 << 12)
    result = searched("veth", options=options)
    lossy = [trial for trial in result.trials if trial.sent > trial.received]
    assert lossy
    for trial in lossy:
        assert trial.lost["socket"] == pytest.approx(trial.sent - trial.received, rel=0.01)


@pytest.mark.slow
@pytest.mark.usefixtures("tuns")
def test_loss_in_front_of_a_pump_is_told() -> None:
    result = searched("tun-relay")
    flood = result.trials[0]
    assert flood.purpose == "flood"
    assert flood.lost.get("tun queue", 0) > 0.5 * (flood.sent - flood.received)


@pytest.mark.slow
@pytest.mark.usefixtures("tuns")
def test_the_generator_is_faster_where_nothing_has_to_arrive() -> None:
    limit, reason = generator_limit(64, QUICK)
    assert limit is not None, reason
    with live(shipped("vxlan").scenario) as topology:
        found = search_rates(Path(topology, "vxlan"), 64, QUICK).of(0.005)
    assert found.rate is not None
    assert found.rate < limit
