"""What `vnetbench why` finds out; the structure of `why.json`. Times are seconds."""

from __future__ import annotations

import msgspec

FORMAT = 1


class Estimate(msgspec.Struct, frozen=True):
    """A value with its 95 % interval (bootstrap of blocks); None: too few blocks for one."""

    value: float
    low: float | None = None
    high: float | None = None

    def holds(self, value: float) -> bool:
        """Whether the interval contains `value`; False where there is no interval."""
        return self.low is not None and self.high is not None and self.low <= value <= self.high

    @property
    def certain(self) -> bool:
        """Whether the interval leaves 0 out, so that the sign is known."""
        return self.low is not None and not self.holds(0.0)


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What one more of a cause costs. seconds: of one `unit`."""

    cause: str
    title: str
    unit: str
    seconds: Estimate


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What a cause accounts for. slow, fast: how many of it a packet has. share: of the gap."""

    cause: str
    title: str
    slow: float
    fast: float
    seconds: Estimate
    share: Estimate


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """The way from one path to another, cause by cause (the largest share first).

    measure: the probe whose time it is. ratio: slow / fast. residual: what no cause accounts for.
    """

    measure: str
    arm: str
    slow: str
    fast: str
    blocks: int
    slow_time: Estimate
    fast_time: Estimate
    gap: Estimate
    ratio: Estimate
    shares: list[Share]
    residual: Estimate
    residual_share: Estimate


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a technique saves.

    saved: its Shapley share of what all save together. alone: added to none of the others; last:
    added to all of them. predicted: the share that prices and counts say it should have.
    difference: saved - predicted.
    """

    factor: str
    title: str
    saved: Estimate
    alone: Estimate
    last: Estimate
    predicted: Estimate
    difference: Estimate

    @property
    def agrees(self) -> bool:
        """Whether both ways agree within their intervals; where there are none, nothing says no."""
        return not self.difference.certain


class Interaction(msgspec.Struct, frozen=True, kw_only=True):
    """What two techniques save together beyond what each saves alone."""

    factors: tuple[str, str]
    saved: Estimate


class Ablation(msgspec.Struct, frozen=True, kw_only=True):
    """A path with its pump's techniques added, in all combinations. gap: to the fast path."""

    measure: str
    arm: str
    path: str
    time: Estimate
    best: Estimate
    gap: Estimate
    effects: list[Effect]
    interactions: list[Interaction]


class Bridge(msgspec.Struct, frozen=True, kw_only=True):
    """The gap of saturated TCP in factors: slow / fast = offload x rest x kept.

    offload: the fast path without segmentation offload, to the same with it. rest: the slow path to
    the fast, both without. kept: what the slow path still gains from the offloads it has.
    """

    slow: str
    fast: str
    ratio: Estimate
    offload: Estimate
    rest: Estimate
    kept: Estimate


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. unsound: ledgers whose counts disagree; where there are any, nothing is said."""

    format: int = FORMAT
    results: str
    slow: str
    fast: str
    others: list[str]
    prices: dict[str, list[Price]]
    gaps: list[Gap]
    ablations: list[Ablation]
    bridges: list[Bridge]
    unsound: list[str]
    notes: list[str]
