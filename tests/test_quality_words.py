"""What a run says of its own quality, and a comparison of the machine in both its sessions."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replaced
from sets import asking

from bench.quality import words
from bench.quality.rule import MANY
from bench.results import Attempt, Canary, Quality, Run


def watched(*trials: tuple[str, ...] | list[tuple[str, ...]], **changes: Any) -> Run:
    """A run whose trials were spoilt by these, each a tuple, or a list of one for each try."""
    records = [
        Quality(number, tuple(Attempt({"steal": 0.0, "other_load": 0.0}, s) for s in tries))
        for number, given in enumerate(trials, 1)
        for tries in [given if isinstance(given, list) else [given]]
    ]
    return replaced(asking(2), quality=tuple(records), **changes)


def sung(*loopbacks: float) -> tuple[Canary, ...]:
    return tuple(
        Canary(block, "", {"memcpy": 8e9, "loopback": value})
        for block, value in enumerate(loopbacks, 1)
    )


def test_what_was_repeated_is_counted_by_what_disturbed_it() -> None:
    run = watched(
        (), [("steal",), ()], [("steal", "other_load"), ("steal",), ()], [("steal",), ("steal",)]
    )
    [line] = words.closing(run)
    assert line.startswith(
        "3 of 4 trials were repeated: steal 3, other load 1. Counted though disturbed: 1 (steal 1)."
    )
    assert line.endswith(
        "Not observed here: throttling of our control group, throttling by heat, device interrupts."
    )


def test_what_the_tracer_missed_is_said_to_be_unobserved_only_where_one_was_used() -> None:
    run = watched((), ())
    assert "tracer" not in words.closing(run)[0]
    counting = replaced(run, asked=replaced(run.asked, probes=("ledger",)))
    assert "device interrupts, events the tracer missed." in words.closing(counting)[0]


def test_a_quiet_run_says_so_and_one_that_was_not_watched_says_nothing() -> None:
    assert words.closing(watched((), ()))[0].startswith("None of 2 trials was disturbed.")
    assert words.closing(asking(2)) == []


def test_many_disturbed_trials_are_worth_a_warning() -> None:
    few: list[tuple[str, ...]] = [("steal",)] + [()] * 9
    assert MANY == 0.1
    assert words.warning(watched(*few)) is None
    assert words.warning(watched(("other_load",), *few)) == (
        "2 of 11 trials count though they were disturbed (steal 1, other load 1); measure on a "
        "quieter machine for steadier figures"
    )
    assert words.warning(asking(2)) is None


def test_a_machine_that_drifts_is_said_to() -> None:
    held, drifted = (
        words.closing(watched((), canaries=sung(1e-5, last))) for last in (1.05e-5, 1.2e-5)
    )
    assert held[1] == ("The machine held still between blocks (memcpy rate 0%, loopback time 5%).")
    assert drifted[1].startswith("The machine drifted between blocks (memcpy rate 0%, loopback")


def test_a_disturbed_canary_tells_nothing_of_the_machine() -> None:
    quiet, spoilt = sung(1e-5, 1.01e-5), [replaced(c, spoilt=("steal",)) for c in sung(3e-5, 9e-5)]
    lines = words.closing(watched((), canaries=(*quiet, *spoilt)))
    assert lines[1].startswith("The machine held still")
    lines = words.closing(watched((), canaries=(quiet[0], *spoilt)))
    assert lines[1] == (
        "Whether the machine drifted between blocks cannot be told: 2 of its 3 canaries were "
        "disturbed."
    )
    old, new = replaced(asking(2), canaries=quiet), replaced(asking(2), canaries=tuple(spoilt))
    assert words.notes(old, new) == [
        "the canaries were disturbed: whether the machine itself has changed is not known"
    ]


def test_the_canaries_of_two_sessions_are_compared() -> None:
    steady = [1.00e-5, 1.01e-5, 0.99e-5, 1.02e-5, 0.98e-5]
    old = replaced(asking(2), canaries=sung(*steady))
    new = replaced(asking(2), canaries=sung(*(1.3 * value for value in steady)))
    [note] = words.notes(old, new)
    assert note.startswith(
        "the machine itself, by its canaries, new/old: memcpy rate 1.000 [1.000 1.000], "
        "loopback time 1.300 [1.2"
    )


def test_sets_from_before_there_were_canaries_need_no_note() -> None:
    assert words.notes(asking(0), asking(0)) == []
    [note] = words.notes(asking(0), replaced(asking(0), canaries=sung(1e-5)))
    assert note.startswith("one set has no canaries")


def test_who_compares_is_told_of_what_was_disturbed_and_of_another_rule() -> None:
    old, new = watched((), ()), watched((), ("steal",))
    new = replaced(new, asked=replaced(new.asked, repeats=0))
    assert words.notes(old, new) == [
        "a disturbed trial was repeated up to 2 times in the old set and up to 0 times in the "
        "new one",
        "trials that count though they were disturbed: 0 of 2 in the old set, 1 of 2 in the new "
        "one",
    ]


# ---- what is said of several variants at once ---------------------------------------------------


def test_warnings_that_say_the_same_of_several_variants_are_one() -> None:
    variants = ("tun-udp[pump=none]", "tun-udp[pump=fast]", "socat")
    said = [
        *(f"packet_rate_64[{name},native]: generator-limited" for name in variants),
        "socat: p: 3 trips were lost",
        "tun-udp[pump=fast]: p: the kernel refused offload",
        "tun-udp[pump=none]: p: the kernel refused offload",
        "the hypervisor took 3 %",
        "rtt[elsewhere,native]: generator-limited",
    ]
    assert words.folded(said, variants) == [
        f"{', '.join(variants)}: generator-limited (packet_rate_64, native)",
        "socat: p: 3 trips were lost",
        "tun-udp[pump=fast], tun-udp[pump=none]: p: the kernel refused offload",
        "the hypervisor took 3 %",
        "rtt[elsewhere,native]: generator-limited",
    ]


LONG = ("veth", "flannel-udp[batch=16,tun_offload=on,udp_offload=on]", "tap-bridge[mtu=9000]")
TEXTS = st.sampled_from(["slow", "lost: 3", "x [y,z]: w"])


@given(st.lists(st.tuples(st.sampled_from(LONG), st.sampled_from(["", "rtt", "cpu"]), TEXTS)))
def test_folding_loses_no_variant_and_no_text(parts: list[tuple[str, str, str]]) -> None:
    said = [f"{p}[{v},native]: {text}" if p else f"{v}: {text}" for v, p, text in parts]
    lines = words.folded(dict.fromkeys(said), LONG)
    assert len(lines) == len({text for _, _, text in parts})
    for variant, probe, text in parts:
        assert any(variant in line and text in line and probe in line for line in lines)
