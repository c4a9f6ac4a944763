"""Delays of all trials of a path taken together, from the histograms that a result set keeps."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench.metrics import DELAY_PERCENTILES
from bench.results import PlannedTrial, ResultSet

if TYPE_CHECKING:
    from bench.probes.delay import Delay

_STEPS = 16
"""Points of a curve for each decade of what lies beyond."""
_LIMIT = 7
"""Decades of a curve at the most."""

_MIDDLE = 0.5


@dataclass(frozen=True)
class Point:
    """Of the datagrams that were due, `share` took at most `seconds`.

    fit: whether senders kept up well enough for that to be the path's own. Where they did not, it
    is more than the path takes.
    """

    share: float
    seconds: float
    fit: bool = True


Curve = tuple[Point, ...]


@dataclass(frozen=True)
class Delays:
    """What a path's trials at one load come to.

    load: datagrams a second that were due; base: of which that is a share; both the median over
    trials. trials: that curves are of; gave_up: how many are not in them, as their senders did.
    reach: the share up to which curves go, and why not further. intended: from when datagrams were
    due; actual: from when they were handed over.
    omitted: percentile → seconds by which the latter is less, the median over trials.
    left_out: percentile → reasons why trials do not give it, each with how many.
    """

    load: float
    base: float
    trials: int
    gave_up: int
    reach: float
    why: str
    intended: Curve
    actual: Curve
    omitted: Mapping[str, float]
    left_out: Mapping[str, Mapping[str, int]]


def delays(results: ResultSet, load: int, variant: str, arm: str) -> tuple[Delays | None, str]:
    """All trials of a variant and arm at `load` per cent; None and the reason where there is none.

    The reason also tells of files that could not be read although others could.
    """
    key = (variant, arm, f"delay_{load}")
    completed = {done.trial for done in results.run.completed}
    trials = [
        t for t in results.run.plan if t.trial in completed and (t.variant, t.arm, t.probe) == key
    ]
    found: list[Delay] = []
    problems: Counter[str] = Counter()
    for trial in trials:
        kept = _read(results.path, trial)
        if isinstance(kept, str):
            problems[kept] += 1
        else:
            found.append(kept)
    said = "; ".join(f"{n} of {len(trials)} trials: {text}" for text, n in problems.items())
    return (_pooled(found) if found else None), said


def _read(folder: Path, trial: PlannedTrial) -> Delay | str:
    """What a trial has kept, or why that cannot be told."""
    # Imported here: the probes need more than a report does.
    from bench.probes.delay import Delay  # noqa: PLC0415

    file = folder / trial.probe / f"{trial.trial}.json"
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=Delay)
    except FileNotFoundError:
        return "no histogram is kept"
    except OSError as error:
        return f"its histogram cannot be read ({error.strerror})"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"its histogram cannot be read ({error})"
    sensible = kept.base_rate > 0 and kept.due > 0 and min(map(min, _times(kept)), default=0) >= 0
    return kept if sensible else "its histogram cannot be read (it is of no datagrams)"


def _times(kept: Delay) -> Iterator[Mapping[int, int]]:
    """The histograms that hold anything."""
    yield from filter(None, (kept.intended, kept.actual, kept.lateness))


def _pooled(found: Sequence[Delay]) -> Delays:
    from bench.probes.delay import BEYOND  # noqa: PLC0415

    used = [one for one in found if one.sent == one.due]
    total, lost = sum(one.due for one in used), sum(one.lost for one in used)
    limits = {
        f"fewer than {BEYOND} datagrams lie beyond": 1 - BEYOND / total if total else 0.0,
        "datagrams were lost": 1 - lost / total if lost else 1.0,
    }
    why = min(limits, key=lambda text: limits[text])
    shares = list(_shares(limits[why]))
    intended = _curve([one.intended for one in used], total, shares)
    return Delays(
        load=statistics.median(one.load for one in found),
        base=statistics.median(one.base_rate for one in found),
        trials=len(used),
        gave_up=len(found) - len(used),
        reach=max(0.0, limits[why]),
        why=why,
        intended=tuple(_judged(used, total, intended)),
        actual=_curve([one.actual for one in used], total, shares),
        omitted=dict(_omitted(found)),
        left_out=_left_out(found),
    )


def _curve(histograms: Sequence[Mapping[int, int]], total: int, shares: Sequence[float]) -> Curve:
    from bench.percentiles import quantiles  # noqa: PLC0415

    values = quantiles(_together(histograms), total, shares)
    pairs = zip(shares, values, strict=True)
    return tuple(Point(share, value) for share, value in pairs if value is not None and value > 0)


def _judged(used: Sequence[Delay], total: int, curve: Curve) -> Iterator[Point]:
    """The points, each held against the lateness of all trials by the rule of the probe.

    What lies below the median is as fit as the median is.
    """
    from bench.percentiles import within  # noqa: PLC0415
    from bench.probes.delay import late_after, late_most  # noqa: PLC0415

    lateness = within(_together([one.lateness for one in used]), total)
    middle = next((point.seconds for point in curve if point.share >= _MIDDLE), 0.0)
    for point in curve:
        share, value = max(point.share, _MIDDLE), max(point.seconds, middle)
        limit = late_after(used[0].load, used[0].base_rate, used[0].poisson, share, value)
        yield replace(point, fit=1 - lateness(limit) <= late_most(share))


def _shares(reach: float) -> Iterator[float]:
    """Where a curve has points: evenly on the axis of a percentile plot, and at percentiles."""
    even = {1 - 10 ** (-step / _STEPS) for step in range(1, _STEPS * _LIMIT)} | {0.01, 0.07}
    named = {1 - 10.0**-decade for decade in range(1, _LIMIT)} | {0.5}
    rough = {share for share in even if all(abs(share - at) > (1 - at) / 50 for at in named)}
    yield from sorted(share for share in rough | named | {reach} if 0 < share <= reach)


def _together(histograms: Sequence[Mapping[int, int]]) -> dict[int, int]:
    """Bucket → datagrams, in the order of buckets, from the least times that are stored."""
    from bench.native.delay import bucket_of  # noqa: PLC0415

    total: Counter[int] = Counter()
    for histogram in histograms:
        total.update(histogram)
    return {bucket_of(least): count for least, count in sorted(total.items())}


def _omitted(found: Sequence[Delay]) -> Iterator[tuple[str, float]]:
    for name in DELAY_PERCENTILES:
        values = [
            percentile.omitted
            for one in found
            if (percentile := one.percentiles.get(name))
            and not percentile.left_out
            and percentile.omitted is not None
        ]
        if values:
            yield name, statistics.median(values)


def _left_out(found: Sequence[Delay]) -> dict[str, dict[str, int]]:
    reasons: dict[str, dict[str, int]] = {}
    for one in found:
        for name, percentile in one.percentiles.items():
            if percentile.left_out:
                of_this = reasons.setdefault(name, {})
                of_this[percentile.left_out] = of_this.get(percentile.left_out, 0) + 1
    return reasons
