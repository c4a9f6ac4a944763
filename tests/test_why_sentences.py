"""Sentences follow from figures by rule; what the figures do not bear is not printed."""

import io

import msgspec
import pytest
from made_up import US, a_gap, a_share, about
from rich.console import Console

from bench.cli.why_table import render_answer
from bench.why.causes import CAUSES
from bench.why.model import Ablation, Answer, Bridge, Effect, Estimate, Gap, Interaction, Price
from bench.why.sentences import in_short, sentences

STRADDLES = Estimate(0.3, -0.1, 0.7)
ALONE = Estimate(0.3)
"""Of too few blocks for an interval."""


def an_answer(
    *gaps: Gap,
    ablations: list[Ablation] | None = None,
    bridges: list[Bridge] | None = None,
    unsound: list[str] | None = None,
) -> Answer:
    prices = [
        Price(cause=id_, title=cause.title, unit=cause.unit, seconds=about(1 * US))
        for id_, cause in CAUSES.items()
    ]
    return Answer(
        results="nowhere",
        slow="flannel-udp",
        fast="vxlan",
        others=[],
        prices={"serial,native": prices, "serial,parity": prices},
        gaps=list(gaps),
        ablations=ablations or [],
        bridges=bridges or [],
        unsound=unsound or [],
        notes=[],
    )


def said(*gaps: Gap, bridge: Bridge | None = None, ablation: Ablation | None = None) -> str:
    """All that is said."""
    bridges, ablations = ([x] if x else [] for x in (bridge, ablation))
    found = an_answer(*gaps, bridges=bridges, ablations=ablations)  # type: ignore[arg-type]
    return "\n".join(sentences(found))


def a_bridge(
    ratio: Estimate, offload: Estimate, kept: Estimate | None = None, rest: Estimate | None = None
) -> Bridge:
    return Bridge(
        slow="flannel-udp",
        fast="vxlan",
        ratio=ratio,
        offload=offload,
        rest=rest or about(2.2),
        kept=kept or Estimate(1.0, 0.95, 1.05),
    )


def an_effect(factor: str, saved: Estimate, predicted: Estimate, difference: Estimate) -> Effect:
    return Effect(
        factor=factor,
        title=f"doing {factor}",
        saved=saved,
        alone=saved,
        last=saved,
        predicted=predicted,
        difference=difference,
    )


def an_ablation(*effects: Effect, gap: Estimate | None = None, arm: str = "native") -> Ablation:
    return Ablation(
        measure="serial",
        arm=arm,
        path="flannel-udp",
        time=about(30 * US),
        best=about(25 * US),
        gap=gap or about(10 * US),
        effects=list(effects),
        interactions=[Interaction(factors=("batch", "waking"), saved=about(1 * US))],
    )


# ---- when nothing is concluded ------------------------------------------------------------------


def test_of_counts_that_disagree_nothing_is_concluded() -> None:
    gap = a_gap(a_share("calls", about(0.5)))
    found = an_answer(gap, bridges=[a_bridge(about(24), about(10))], unsound=["vxlan: 1 is not 2"])
    assert sentences(found) == ["Nothing is concluded: vxlan: 1 is not 2."]


@pytest.mark.parametrize(
    "gap", [Estimate(1 * US, -1 * US, 3 * US), Estimate(1 * US), about(-2 * US)]
)
def test_of_a_gap_whose_sign_is_not_known_or_wrong_only_that_is_said(gap: Estimate) -> None:
    text = said(a_gap(a_share("calls", about(0.5)), gap=gap), ablation=an_ablation(gap=gap))
    assert text == (
        "One packet at a time: it is not certain that flannel-udp is slower than vxlan."
    )


# ---- in short -----------------------------------------------------------------------------------


def test_in_short_has_the_three_largest_causes_and_the_residual() -> None:
    shares = {"calls": 0.5, "wakeups": 0.2, "switches": 0.1, "polling": 0.07}
    gap = a_gap(*(a_share(cause, about(share)) for cause, share in shares.items()))
    assert in_short(an_answer(gap)) == [
        (
            "One packet at a time, native",
            "of the 10.0 µs [9.00 µs, 11.0 µs] that flannel-udp takes longer than vxlan, 50.0% "
            "[45.0%, 55.0%] are system calls, 20.0% [18.0%, 22.0%] are going to sleep and being "
            "woken up and 10.0% [9.0%, 11.0%] are context switches; "
            "not explained: 10.0% [9.0%, 11.0%].",
        )
    ]


def test_in_short_says_where_no_cause_is_certain_and_where_the_gap_itself_is_not() -> None:
    [(_, text)] = in_short(an_answer(a_gap(a_share("calls", STRADDLES))))
    assert "no cause is 5% or more for certain; not explained: 10.0%" in text
    [(_, text)] = in_short(an_answer(a_gap(gap=Estimate(1 * US))))
    assert text == "it is not certain that flannel-udp is slower than vxlan."


def test_in_short_is_of_the_two_paths_alone_and_begins_with_the_offload() -> None:
    beside = msgspec.structs.replace(a_gap(), fast="host-gw")
    found = in_short(an_answer(beside, a_gap(), bridges=[a_bridge(about(24), about(10))]))
    assert [what for what, _ in found] == ["Segmentation offload", "One packet at a time, native"]
    assert "over vxlan" in found[0][1]


def test_in_short_concludes_nothing_from_counts_that_disagree() -> None:
    found = an_answer(a_gap(), unsound=["vxlan: 1 is not 2"])
    assert in_short(found) == [("Why", "nothing is concluded: vxlan: 1 is not 2.")]


# ---- causes -------------------------------------------------------------------------------------


def test_the_times_the_gap_and_the_residual_are_always_said() -> None:
    text = said(a_gap())
    assert "1400 bytes take 30.0 µs [27.0 µs, 33.0 µs] over flannel-udp" in text
    assert "and 20.0 µs [18.0 µs, 22.0 µs] over vxlan." in text
    assert "Not explained: 10.0% [9.0%, 11.0%] of the gap." in text
    assert "Of these" not in text


def test_causes_are_named_with_the_shares_of_the_answer_in_its_order() -> None:
    text = said(a_gap(a_share("calls", about(0.5)), a_share("wakeups", about(0.2))))
    assert (
        "Of these 10.0 µs [9.00 µs, 11.0 µs] more, 50.0% [45.0%, 55.0%] are system calls and 20.0% "
        "[18.0%, 22.0%] are going to sleep and being woken up."
    ) in text


def test_of_a_path_beside_the_two_the_frame_is_said_and_no_causes() -> None:
    beside = msgspec.structs.replace(a_gap(a_share("calls", about(0.5))), fast="host-gw")
    text = said(beside)
    assert "over flannel-udp and 20.0 µs [18.0 µs, 22.0 µs] over host-gw." in text
    assert "Not explained" in text
    assert "system calls" not in text


@pytest.mark.parametrize("share", [about(0.049), STRADDLES, ALONE, about(-0.02)])
def test_a_cause_that_is_small_or_uncertain_is_not_named(share: Estimate) -> None:
    text = said(a_gap(a_share("calls", about(0.5)), a_share("wakeups", share)))
    assert "50.0% [45.0%, 55.0%] are system calls" in text
    assert "sleep" not in text


def test_a_cause_that_makes_the_slow_path_cheaper_is_named_too() -> None:
    text = said(a_gap(a_share("calls", about(1.2)), a_share("wakeups", about(-0.3))))
    assert "120.0% [108.0%, 132.0%] are system calls" in text
    assert "-30.0% [-33.0%, -27.0%] are going to sleep and being woken up" in text


@pytest.mark.parametrize("share", [about(0.01), about(0.5), STRADDLES])
def test_the_copies_are_named_however_little_they_are(share: Estimate) -> None:
    text = said(a_gap(a_share("copies", share, slow=8400, fast=2800)))
    low, high = (f"{end:.1%}" for end in (share.low or 0, share.high or 0))
    assert (
        "The 4.0 copies of each byte that flannel-udp has more than vxlan account for "
        f"{share.value:.1%} [{low}, {high}] of it."
    ) in text


def test_copies_that_both_have_are_not_said_to_be_more() -> None:
    """A stray packet is in the count of one of them."""
    text = said(a_gap(a_share("copies", about(0.001), slow=8400.9, fast=8400.2)))
    assert "copies" not in text


def test_the_native_arm_is_spoken_of_and_of_parity_alone_that_it_is() -> None:
    native, parity = (
        a_gap(a_share(cause, about(0.5)), arm=arm)
        for cause, arm in (("calls", "native"), ("wakeups", "parity"))
    )
    both = said(native, parity)
    assert "system calls" in both
    assert "woken up" not in both
    only = said(parity)
    assert only.startswith("Without segmentation offload on any device:")
    assert "50.0% [45.0%, 55.0%] are going to sleep and being woken up" in only


# ---- a stream -----------------------------------------------------------------------------------


def test_of_a_stream_the_lost_offload_and_the_rest_are_said_as_factors() -> None:
    text = said(bridge=a_bridge(about(24), about(10)))
    assert text == (
        "One TCP stream needs 24x [22, 26] as long over flannel-udp as over vxlan. Of that "
        "24-fold gap, segmentation offload that vxlan has and flannel-udp has lost accounts for a "
        "factor of 10x [9.0, 11]; what is left without it is 2.2x [2.0, 2.4]."
    )


def test_what_the_slow_path_keeps_of_its_offload_is_said() -> None:
    text = said(bridge=a_bridge(about(24), about(10), kept=Estimate(0.8, 0.7, 0.9)))
    assert "factor of 10x [9.0, 11], of which flannel-udp keeps 1.2x [1.1, 1.4]; what" in text


@pytest.mark.parametrize(
    "ratio", [Estimate(1.1, 0.9, 1.3), Estimate(24.0), Estimate(0.5, 0.4, 0.6)]
)
def test_a_stream_that_is_not_slower_for_certain_is_not_explained(ratio: Estimate) -> None:
    text = said(bridge=a_bridge(ratio, about(10)))
    assert text == "One TCP stream: it is not certain that flannel-udp is slower than vxlan."


@pytest.mark.parametrize("offload", [Estimate(1.1, 0.9, 1.2), about(0.8), Estimate(10.0)])
def test_an_offload_that_gains_nothing_for_certain_is_not_named(offload: Estimate) -> None:
    text = said(bridge=a_bridge(about(24), offload))
    assert text == "One TCP stream needs 24x [22, 26] as long over flannel-udp as over vxlan."


def test_a_path_that_gains_as_much_by_its_offload_has_not_lost_it() -> None:
    """VXLAN beside plain routes: both carry super-packets."""
    text = said(bridge=a_bridge(about(1.6), about(11), kept=about(0.09)))
    assert "lost" not in text


# ---- ablation -----------------------------------------------------------------------------------

AGREE = Estimate(0.0, -0.5 * US, 0.5 * US)
DIFFER = about(2 * US)


def test_what_techniques_win_back_is_said_as_shares_of_the_gap() -> None:
    text = said(
        ablation=an_ablation(
            an_effect("readiness", about(4 * US), about(4 * US), AGREE),
            an_effect("batch", about(0.9 * US), about(0.9 * US), AGREE),
            an_effect("waking", Estimate(2 * US, -US, 5 * US), about(2 * US), AGREE),
            an_effect("segmentation", about(-2 * US), about(-2 * US), AGREE),
        )
    )
    assert text == (
        "One packet at a time: the pump's techniques win back 50% of the gap: "
        "doing readiness 40.0% [36.0%, 44.0%]."
    )


def test_where_the_two_ways_disagree_both_figures_are_said() -> None:
    text = said(ablation=an_ablation(an_effect("readiness", about(4 * US), about(2 * US), DIFFER)))
    assert (
        "the two ways disagree about doing readiness: it saves 4.00 µs [3.60 µs, 4.40 µs], by "
        "prices and counts it should save 2.00 µs [1.80 µs, 2.20 µs]."
    ) in text


def test_a_disagreement_about_little_is_not_worth_saying() -> None:
    small = an_effect("batch", about(0.5 * US), about(0.1 * US), about(0.4 * US))
    assert said(ablation=an_ablation(small)) == ""


def test_where_there_are_no_intervals_nothing_is_said_to_disagree() -> None:
    bare = an_effect("batch", *map(Estimate, (4 * US, 2 * US, 2 * US)))
    assert bare.agrees
    assert said(ablation=an_ablation(bare, gap=Estimate(10 * US))) == ""


# ---- the table above them -----------------------------------------------------------------------


def printed(found: Answer) -> str:
    console = Console(file=io.StringIO(), width=200)
    render_answer(found, console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_the_table_marks_what_disagrees_and_nothing_else() -> None:
    effects = (
        an_effect("batch", about(4 * US), about(4 * US), AGREE),
        an_effect("readiness", about(4 * US), about(2 * US), DIFFER),
        an_effect("waking", *map(Estimate, (4 * US, 2 * US, 2 * US))),
    )
    text = printed(an_answer(a_gap(), ablations=[an_ablation(*effects)]))
    rows = [line for line in text.splitlines() if line.startswith("doing")]
    assert [" !" in row for row in rows] == [False, True, False]


def test_a_cause_that_has_a_price_in_one_arm_only_is_in_the_table() -> None:
    native = a_gap(a_share("calls", about(0.5)))
    parity = a_gap(a_share("calls", about(0.6)), a_share("wakeups", about(0.2)), arm="parity")
    text = printed(an_answer(native, parity))
    [calls] = [line for line in text.splitlines() if line.startswith("system calls  ")]
    assert calls.split()[-4:] == ["50%", "[45,", "55]", "60%"]
    [waking] = [line for line in text.splitlines() if line.startswith("sleeping and waking")]
    assert waking.split()[-1] == "20%"
    assert waking.count("%") == 1
