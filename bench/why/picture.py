"""The answer as a picture: from the fast path's time to the slow one's, cause by cause.

Drawn with matplotlib, which is imported here alone: it takes as long as everything else together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import CannotMeasure
from bench.why.design import MEASURES
from bench.why.model import Answer, Estimate, Gap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = ("why.svg", "why.png")
_SMALLEST = 0.01
"""Share of a gap below which causes are drawn as one."""
_PATH, _CAUSE, _LESS, _UNKNOWN = "#4c566a", "#d08770", "#a3be8c", "#b0b0b0"


@dataclass(frozen=True)
class Step:
    """One bar: seconds that come on top of those before; an end of the waterfall stands alone."""

    title: str
    seconds: float
    interval: tuple[float, float] | None = None
    end: bool = False
    known: bool = True


def draw(answer: Answer, folder: Path) -> list[Path]:
    """Draw a panel for each measure, to each of `NAMES` in `folder`. Raises CannotMeasure.

    Nothing is drawn where the fast path was not measured.
    """
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    mpl.rcParams["svg.fonttype"] = "none"  # text stays text: it can be searched and read aloud
    import matplotlib.pyplot as plt  # noqa: PLC0415

    panels = [
        (title, steps)
        for measure in MEASURES
        if (panel := _panel(answer, measure))
        for title, steps in [panel]
    ]
    if not panels:
        return []
    heights = [len(steps) for _, steps in panels]
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(8, 1.2 * len(panels) + 0.32 * sum(heights)),
        squeeze=False,
        height_ratios=heights,
        layout="constrained",
    )
    for (title, steps), axis in zip(panels, axes[:, 0], strict=True):
        _draw_panel(axis, title, steps)
    paths = [folder / name for name in NAMES]
    try:
        for path in paths:
            figure.savefig(path, dpi=150)
    except OSError as error:
        raise CannotMeasure(f"{folder}: cannot write the picture: {error.strerror}") from None
    finally:
        plt.close(figure)
    return paths


def _panel(answer: Answer, measure: str) -> tuple[str, list[Step]] | None:
    """A measure's title and bars: of TCP with the lost offload first, then what is left."""
    gaps = {
        gap.arm: gap for gap in answer.gaps if (gap.measure, gap.fast) == (measure, answer.fast)
    }
    native, parity = gaps.get("native"), gaps.get("parity")
    if measure == "stream" and native and parity:
        kept = native.slow_time.value - parity.slow_time.value
        steps = [
            _end(native.fast, native.fast_time),
            Step("segmentation offload lost", parity.fast_time.value - native.fast_time.value),
            *_causes(parity),
            Step(f"offload that {native.slow} keeps", kept),
            _end(native.slow, native.slow_time),
        ]
    elif native or parity:
        gap = native or parity
        assert gap is not None  # noqa: S101 - one of the two
        steps = [_end(gap.fast, gap.fast_time), *_causes(gap), _end(gap.slow, gap.slow_time)]
    else:
        return None
    return f"{MEASURES[measure]}: time of 1400 bytes", steps


def _end(name: str, time: Estimate) -> Step:
    return Step(name, time.value, _ends(time), end=True)


def _causes(gap: Gap) -> list[Step]:
    """The causes of a gap, the largest first; small ones together; what is not known last.

    The copies are never small enough to hide: it is them that the usual story is about.
    """
    large = [
        s
        for s in gap.shares
        if s.cause == "copies" or abs(s.seconds.value) >= _SMALLEST * gap.gap.value
    ]
    small = [s.seconds.value for s in gap.shares if s not in large and s.seconds.value != 0]
    steps = [Step(s.title, s.seconds.value, _ends(s.seconds)) for s in large]
    if small:
        steps.append(Step("other causes", sum(small)))
    steps.append(Step("not explained", gap.residual.value, _ends(gap.residual), known=False))
    return steps


def _ends(estimate: Estimate) -> tuple[float, float] | None:
    if estimate.low is None or estimate.high is None:
        return None
    return estimate.low, estimate.high


def _draw_panel(axis: Axes, title: str, steps: Sequence[Step]) -> None:
    """Bars from top to bottom, each beginning where the one above ends; microseconds."""
    reached = 0.0
    for row, step in enumerate(steps):
        start = 0.0 if step.end else reached
        width = step.seconds * 1e6
        colour = _PATH if step.end else _colour(step)
        axis.barh(row, width, left=start, color=colour, height=0.7)
        if step.interval:
            low, high = (start + end * 1e6 for end in step.interval)
            axis.plot([low, high], [row, row], color="black", linewidth=1)
        text = f"{width:.2f}" if step.end else f"{width:+.2f}"
        edge = max(start, start + width, *(start + e * 1e6 for e in step.interval or (0,)))
        axis.annotate(text, (edge, row), (4, 0), textcoords="offset points", va="center", size=8)
        reached = width if step.end else reached + width
    axis.set_yticks(range(len(steps)), [step.title for step in steps])
    axis.invert_yaxis()
    axis.set_xlabel("µs per packet, with 95 % intervals")
    axis.set_title(title, loc="left")
    axis.margins(x=0.12)
    axis.set_xlim(left=0)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _colour(step: Step) -> str:
    if not step.known:
        return _UNKNOWN
    return _CAUSE if step.seconds >= 0 else _LESS
