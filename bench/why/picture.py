"""The answer as pictures: from the fast path's time to the slow one's, cause by cause; and what the
pump's techniques save, as it was measured and as prices and counts say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.files import replace_file
from bench.probes.priced import PAYLOAD
from bench.report import theme
from bench.report.model import Picture
from bench.report.theme import ink
from bench.units import format_value
from bench.why.design import MEASURES
from bench.why.model import Ablation, Answer, Estimate, Gap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = ("why.svg", "why.png")
_SMALLEST = 0.01
"""Share of a gap below which causes are drawn as one."""
_WIDTH = 8.0
_HEAD, _ROW = 0.95, 0.3
"""Inches of a panel: for its title and its axis, and for each bar."""
_MICRO = 1e6


@dataclass(frozen=True)
class Step:
    """One bar: seconds that come on top of those before; an end of the waterfall stands alone."""

    title: str
    seconds: float
    interval: tuple[float, float] | None = None
    end: bool = False
    known: bool = True


@dataclass(frozen=True)
class Panel:
    """A waterfall of one measure, from top to bottom."""

    measure: str
    title: str
    steps: tuple[Step, ...]

    @property
    def text(self) -> str:
        """What it shows, in words."""
        first, *between, last = self.steps
        changes = ", ".join(f"{_signed(step.seconds)} {step.title}" for step in between)
        start, end = (f"{format_value(s.seconds, 's')} over {s.title}" for s in (first, last))
        return f"{self.title}: from {start} to {end}: {changes}"


def waterfalls(answer: Answer) -> list[Picture]:
    """A picture for each measure; none where the fast path was not measured."""
    return [
        Picture(
            f"why-{panel.measure}",
            f"From {answer.fast} to {answer.slow}, cause by cause: {MEASURES[panel.measure]}",
            theme.described([panel.text]),
            partial(_figure, [panel]),
        )
        for panel in _panels(answer)
    ]


def techniques(ablations: Sequence[Ablation]) -> Picture:
    """What techniques save of one measure, in each arm, by both ways of finding it out."""
    first = ablations[0]
    said = [
        f"{found.arm}: {effect.title} saves {format_value(effect.saved.value, 's')}, predicted "
        f"{format_value(effect.predicted.value, 's')}"
        for found in ablations
        for effect in found.effects
    ]
    return Picture(
        f"why-techniques-{first.measure}",
        f"What techniques save {first.path}, measured and predicted: {MEASURES[first.measure]}",
        theme.described(said),
        partial(_techniques_figure, ablations),
    )


def draw(answer: Answer, folder: Path) -> list[Path]:
    """Draw a panel for each measure, to each of `NAMES` in `folder`. Raises OSError.

    Nothing is drawn where the fast path was not measured.
    """
    panels = list(_panels(answer))
    if not panels:
        return []
    picture = Picture(
        "why",
        f"From {answer.fast} to {answer.slow}, cause by cause",
        theme.described([panel.text for panel in panels]),
        partial(_figure, panels),
    )
    write: dict[str, Callable[[], bytes]] = {
        "why.svg": lambda: theme.svg(picture, themed=False).encode(),
        "why.png": lambda: theme.png(picture),
    }
    paths = [folder / name for name in NAMES]
    for path in paths:
        replace_file(path, write[path.name]())
    return paths


# ---- what is drawn ------------------------------------------------------------------------------


def _panels(answer: Answer) -> Iterator[Panel]:
    """A panel for each measure: of TCP with the lost offload first, then what is left."""
    for measure in MEASURES:
        gaps = {g.arm: g for g in answer.gaps if (g.measure, g.fast) == (measure, answer.fast)}
        native, parity = gaps.get("native"), gaps.get("parity")
        gap = native or parity
        if gap is None:
            continue
        title = f"{MEASURES[measure]}: time of {PAYLOAD} bytes"
        if measure == "stream" and native and parity:
            kept = native.slow_time.value - parity.slow_time.value
            lost = parity.fast_time.value - native.fast_time.value
            steps = [
                _end(native.fast, native.fast_time),
                Step("segmentation offload lost", lost),
                *_causes(parity),
                Step(f"offload that {native.slow} keeps", kept),
                _end(native.slow, native.slow_time),
            ]
        else:
            title += "" if native else " (parity: no segmentation offload)"
            steps = [_end(gap.fast, gap.fast_time), *_causes(gap), _end(gap.slow, gap.slow_time)]
        yield Panel(measure, title, tuple(steps))


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


def _with(intervals: bool) -> str:
    """What an axis says of intervals; of few blocks there are none."""
    return ", with 95 % intervals" if intervals else ", too few blocks for intervals"


def _signed(seconds: float) -> str:
    return ("+" if seconds >= 0 else "-") + format_value(abs(seconds), "s")


# ---- the waterfall ------------------------------------------------------------------------------


def _figure(panels: Sequence[Panel]) -> Figure:
    heights = [_HEAD + _ROW * len(panel.steps) for panel in panels]
    figure = theme.new_figure(_WIDTH, sum(heights))
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for panel, axis in zip(panels, axes[:, 0], strict=True):
        _draw_panel(axis, panel)
    return figure


def _draw_panel(axis: Axes, panel: Panel) -> None:
    """Bars from top to bottom, each beginning where the one above ends; microseconds."""
    reached = 0.0
    for row, step in enumerate(panel.steps):
        start = 0.0 if step.end else reached
        width = step.seconds * _MICRO
        style = _style(step)
        axis.barh(row, width, left=start, height=0.66, **style)
        end = width if step.end else reached + width
        if row < len(panel.steps) - 1:  # what the next bar begins at
            axis.plot([end, end], [row + 0.33, row + 0.67], color=ink("dim"), linewidth=0.8)
        edges = [start, end]
        if step.interval:
            low, high = (start + bound * _MICRO for bound in step.interval)
            axis.plot(
                [low, high], [row, row], color=ink("text"), linewidth=1, marker="|", markersize=5
            )
            edges += [low, high]
        text = f"{width:.2f}" if step.end else f"{width:+.2f}"
        axis.annotate(
            text, (max(edges), row), (5, 0), textcoords="offset points", va="center", size=8,
            weight="bold" if step.end else "normal",
        )  # fmt: skip
        reached = end
    axis.set_yticks(range(len(panel.steps)), [step.title for step in panel.steps])
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False, axis="y")
    axis.invert_yaxis()
    axis.set_xlabel(f"µs per packet{_with(any(step.interval for step in panel.steps))}")
    axis.set_title(panel.title)
    axis.margins(x=0.12)
    low = min(0.0, axis.get_xlim()[0]) if _goes_below_zero(panel) else 0.0
    axis.set_xlim(left=low)


def _goes_below_zero(panel: Panel) -> bool:
    """Whether a bar or an interval does: most do not, and then nothing is left of zero."""
    reached = lowest = 0.0
    for step in panel.steps:
        start = 0.0 if step.end else reached
        reached = start + step.seconds
        lowest = min(lowest, reached, *(start + bound for bound in step.interval or (0.0,)))
    return lowest < 0


def _style(step: Step) -> dict[str, Any]:
    """How a bar looks. What is not known is not told apart by its colour alone."""
    if step.end:
        return {"color": ink("dim")}
    if not step.known:
        return {"facecolor": ink("line"), "edgecolor": ink("dim"), "hatch": "///", "linewidth": 0.6}
    return {"color": ink(1) if step.seconds >= 0 else ink("good")}


# ---- techniques ---------------------------------------------------------------------------------


def _techniques_figure(ablations: Sequence[Ablation]) -> Figure:
    titles = list(dict.fromkeys(e.title for found in ablations for e in found.effects))
    height = 1.1 + 0.24 * len(titles) * (1 + len(ablations))
    figure = theme.new_figure(_WIDTH, height)
    axis = figure.subplots()
    step = 0.7 / (2 * len(ablations))
    for n, found in enumerate(ablations):
        for way, hollow in (("measured", False), ("predicted", True)):
            offset = (2 * n + hollow - len(ablations) + 0.5) * step
            estimates = [
                (titles.index(e.title), e.predicted if hollow else e.saved) for e in found.effects
            ]
            _draw_estimates(axis, estimates, offset, n, hollow, f"{found.arm}, {way}")
    axis.axvline(0, color=ink("dim"), linewidth=0.8)
    axis.set_yticks(range(len(titles)), titles)
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False, axis="y")
    axis.set_ylim(len(titles) - 0.5, -0.5)
    intervals = any(_ends(effect.saved) for found in ablations for effect in found.effects)
    axis.set_xlabel(f"µs saved per packet{_with(intervals)}")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.32 * 2.4 / height), ncols=2)
    return figure


def _draw_estimates(
    axis: Axes,
    estimates: Sequence[tuple[int, Estimate]],
    offset: float,
    series: int,
    hollow: bool,
    label: str,
) -> None:
    """A mark with its interval in each row; hollow, and of another form, where it is predicted."""
    for row, estimate in estimates:
        ends = _ends(estimate)
        if ends:
            axis.plot(
                [end * _MICRO for end in ends], [row + offset] * 2, color=ink(series), linewidth=1.2
            )
    axis.plot(
        [estimate.value * _MICRO for _, estimate in estimates],
        [row + offset for row, _ in estimates],
        linestyle="none", marker="D" if hollow else "o", markersize=5, color=ink(series),
        markerfacecolor=ink("paper") if hollow else ink(series), label=label,
    )  # fmt: skip
