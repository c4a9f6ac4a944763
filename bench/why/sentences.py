"""Plain sentences that follow from the figures by rule.

One whose figures do not bear it is not said.

The rules, fixed before anything was measured:

- Nothing is said about counts that disagree with each other.
- They are of the arm `native`; of `parity`, and it is said, where that alone was measured.
- A ratio is said where its interval leaves 1 out, a share where its interval leaves 0 out.
- A path has lost segmentation offload where it gains less by it than the other, for certain.
- A cause is named where its share is at least `_NAMED` of the gap, one way or the other.
- The copies are always named, because it is them that the usual story is about.
- The residual is always said.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.probes.priced import PAYLOAD
from bench.topology import Arm
from bench.units import capitalised, format_times, format_value, significant
from bench.why.causes import CAUSES
from bench.why.design import MEASURES
from bench.why.model import Ablation, Answer, Bridge, Estimate, Gap, Share

_NAMED = 0.05
_IN_SHORT = 3
"""Causes that are named where there is room for one sentence."""
_ANY_COPY = 0.05
"""Copies of a byte below which two paths have the same: what else arrives is counted as well."""
_WORTH_SAYING = 0.1
"""Share of the gap from which a technique is named, and held against the prices."""


def sentences(answer: Answer) -> list[str]:
    """What the figures say, most important first."""
    if answer.unsound:
        return [f"Nothing is concluded: {text}." for text in answer.unsound]
    arm = _arm(answer)
    return [
        *(["Without segmentation offload on any device:"] if arm == Arm.PARITY else []),
        *(text for bridge in answer.bridges for text in _of_bridge(bridge)),
        *(text for gap in answer.gaps if gap.arm == arm for text in _of_gap(gap, answer)),
        *(text for found in answer.ablations if found.arm == arm for text in _of(found)),
    ]


def in_short(answer: Answer) -> list[tuple[str, str]]:
    """The same of the two paths alone, in a sentence or two on each thing: what on, and those.

    Of each measure the largest causes and the residual.
    """
    if answer.unsound:
        return [("Why", f"nothing is concluded: {text}.") for text in answer.unsound]
    arm, fast = _arm(answer), answer.fast
    bridges = [bridge for bridge in answer.bridges if bridge.fast == fast]
    gaps = [gap for gap in answer.gaps if (gap.arm, gap.fast) == (arm, fast)]
    return [
        *(("Segmentation offload", text) for bridge in bridges for text in _of_bridge(bridge)),
        *((f"{_what(gap.measure)}, {gap.arm}", _causes_in_short(gap)) for gap in gaps),
    ]


def _arm(answer: Answer) -> str:
    """The arm that is talked about."""
    arms = {gap.arm for gap in answer.gaps}
    return str(Arm.PARITY if arms == {Arm.PARITY} else Arm.NATIVE)


def _causes_in_short(gap: Gap) -> str:
    if not _is_slower(gap):
        return f"it is not certain that {gap.slow} is slower than {gap.fast}."
    parts = _shares_told(gap)[:_IN_SHORT]
    causes = _and(parts) if parts else f"no cause is {_NAMED:.0%} or more for certain"
    return (
        f"of the {_seconds(gap.gap)} that {gap.slow} takes longer than {gap.fast}, {causes}; "
        f"not explained: {_percent(gap.residual_share)}."
    )


def _is_slower(gap: Gap) -> bool:
    return gap.gap.certain and gap.gap.value > 0


def _shares_told(gap: Gap) -> list[str]:
    """The causes that are named, the largest first: of some size, and for certain."""
    named = [s for s in gap.shares if abs(s.share.value) >= _NAMED and s.share.certain]
    return [f"{_percent(s.share)} are {CAUSES[s.cause].noun}" for s in named]


def _of_bridge(bridge: Bridge) -> Iterator[str]:
    """What segmentation offload has to do with the gap of a saturating stream."""
    if not _is_above_one(bridge.ratio):
        yield (
            f"One TCP stream: it is not certain that {bridge.slow} is slower than {bridge.fast}."
        )
        return
    text = (
        f"One TCP stream needs {_times(bridge.ratio)} as long over {bridge.slow} as over "
        f"{bridge.fast}."
    )
    gained = _inverse(bridge.kept)
    if _is_above_one(bridge.offload) and _is_above(bridge.offload, gained):
        kept = ""
        if _is_above_one(gained):
            kept = f", of which {bridge.slow} keeps {_times(gained)}"
        text += (
            f" Of that {significant(bridge.ratio.value, 2)}-fold gap, segmentation offload that "
            f"{bridge.fast} has and {bridge.slow} has lost accounts for a factor of "
            f"{_times(bridge.offload)}{kept}; what is left without it is {_times(bridge.rest)}."
        )
    yield text


def _is_above_one(ratio: Estimate) -> bool:
    return ratio.low is not None and ratio.low > 1


def _is_above(ratio: Estimate, other: Estimate) -> bool:
    return ratio.low is not None and other.high is not None and ratio.low > other.high


def _inverse(ratio: Estimate) -> Estimate:
    low, high = (None if end is None else 1 / end for end in (ratio.high, ratio.low))
    return Estimate(1 / ratio.value, low, high)


def _of_gap(gap: Gap, answer: Answer) -> Iterator[str]:
    """What the causes make of a gap; of those to paths beside the two only the frame."""
    what = _what(gap.measure)
    if not _is_slower(gap):
        yield f"{what}: it is not certain that {gap.slow} is slower than {gap.fast}."
        return
    yield (
        f"{what}: {PAYLOAD} bytes take {_seconds(gap.slow_time)} over {gap.slow} and "
        f"{_seconds(gap.fast_time)} over {gap.fast}."
    )
    parts = _shares_told(gap)
    if parts and gap.fast == answer.fast:
        yield f"Of these {_seconds(gap.gap)} more, {_and(parts)}."
    copies = next((share for share in gap.shares if share.cause == "copies"), None)
    if copies is not None and copies.slow - copies.fast >= _ANY_COPY * PAYLOAD:
        yield _about_copies(gap, copies)
    yield f"Not explained: {_percent(gap.residual_share)} of the gap."


def _about_copies(gap: Gap, copies: Share) -> str:
    count = (copies.slow - copies.fast) / PAYLOAD
    return (
        f"The {significant(count, 2)} copies of each byte that {gap.slow} has more than {gap.fast} "
        f"account for {_percent(copies.share)} of it."
    )


def _of(found: Ablation) -> Iterator[str]:
    """What the techniques of the pump win back, and whether that is what the prices say."""
    if not found.gap.certain or found.gap.value <= 0:
        return
    worth = [e for e in found.effects if abs(e.saved.value) >= _WORTH_SAYING * found.gap.value]
    won = (found.time.value - found.best.value) / found.gap.value
    what = _what(found.measure)
    parts = [
        f"{e.title} {_percent(_of_the_gap(e.saved, found))}"
        for e in worth
        if e.saved.certain and e.saved.value > 0
    ]
    if parts:
        text = f"the pump's techniques win back {won:.0%} of the gap: {_and(parts)}."
        yield f"{what}: {text}"
    for effect in worth:
        if not effect.agrees:
            yield (
                f"{what}: the two ways disagree about {effect.title}: it saves "
                f"{_seconds(effect.saved)}, by prices and counts it should save "
                f"{_seconds(effect.predicted)}."
            )


def _of_the_gap(part: Estimate, found: Ablation) -> Estimate:
    """A part as a share of the gap; the gap's own uncertainty is small beside the part's."""
    whole = found.gap.value
    ends = [None if end is None else end / whole for end in (part.low, part.high)]
    return Estimate(part.value / whole, *ends)


def _what(measure: str) -> str:
    """A measure at the beginning of a sentence."""
    return capitalised(MEASURES[measure])


# ---- how figures are written --------------------------------------------------------------------


def _times(ratio: Estimate) -> str:
    return f"{format_times(ratio.value)}{_interval(ratio, lambda v: significant(v, 2))}"


def _percent(share: Estimate) -> str:
    return f"{share.value:.1%}{_interval(share, lambda v: f'{v:.1%}')}"


def _seconds(time: Estimate) -> str:
    return f"{format_value(time.value, 's')}{_interval(time, lambda v: format_value(v, 's'))}"


def _interval(estimate: Estimate, write: object) -> str:
    if estimate.low is None or estimate.high is None or not callable(write):
        return ""
    return f" [{write(estimate.low)}, {write(estimate.high)}]"


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
