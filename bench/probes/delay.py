"""`delay_10`, `delay_50`, `delay_90`: one-way delay under a load that does not wait for the path.

When each datagram is due is fixed beforehand, at so many per cent of the path's base rate, and
its delay counts from there, not from when the sender got round to it: a path that stalls does not
thereby spare the datagrams that it would have delayed (coordinated omission). The delay from the
actual sending is kept beside it; the difference is what a sender that waits would have left out.

The base rate is a packet rate that is searched once for each variant and arm of a run, before
the first trial; it is a condition of the figures (`Measurement.conditions`), and every trial goes
by it.

A percentile is left out, with the reason, where it would not be the path's: too few datagrams lie
beyond it, too many were lost, or too many were sent late because the sender could not keep up.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from bench.errors import CannotMeasure
from bench.metrics import DELAY_LOADS, DELAY_PERCENTILES, delay_id
from bench.native.delay import bucket_bounds
from bench.percentiles import SLICES, Counts, estimate, pooled, share_within
from bench.pingpong import PAYLOAD
from bench.probes.ahead import shared_cpu, shared_cpu_warnings
from bench.probes.base import Measurement, Path, Probe
from bench.probes.paced import PATIENCE, RESTS, Found, Offer, offer

POISSON, SPACINGS = "poisson", ("poisson", "constant")
"""The setting: whether datagrams are due at the first of these distances, or the second."""
BASE_RATE = "base_rate"
"""The condition: datagrams a second of which a load is so many per cent."""
LOSS = 0.001
"""Share of the datagrams that may be lost at the packet rate of which a load is a share."""
_SEARCH: dict[str, Any] = {
    "first": 0.125,
    "final": 0.125,
    "duration_sum": 0.375,
    "width": 0.03,
    "preceding": 1,
    "time_limit": 15.0,
    "gather": 0.0,
}
"""Fields of `bench.search.Options`: a quick search, with datagrams handed over one by one as the
probe does it."""
BEYOND = 10
"""Datagrams that must lie beyond a percentile, at the least."""
_FLOOD, _FLOOD_RATE = 20_000, 1e8
"""Datagrams, and how many a second are due, to see how many the sender can hand over."""
_LATE_MOST = 0.05
"""Share of late datagrams above which even a median is no answer to the load that was meant."""
_LATE_PART = 0.5
"""Part of a percentile that a datagram may be late by without being late: see `late_after`."""


class Percentile(msgspec.Struct, frozen=True, kw_only=True):
    """One percentile in seconds, or why it is left out of the samples.

    low, high: 95 % interval of `intended`; None where the trial gives no such end.
    omitted: by how much `actual`, from when datagrams were handed over, is less than `intended`.
    late: share of those due that went more than `late_after` after that, or never.
    """

    intended: float | None
    low: float | None
    high: float | None
    actual: float | None
    actual_low: float | None
    actual_high: float | None
    omitted: float | None
    late: float
    late_after: float
    left_out: str


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial keeps besides its samples; times in seconds, but in the histograms.

    load: datagrams a second that were due. due, sent, received, lost: datagrams.
    realtime: whether the ends went before all else on their CPUs (SCHED_FIFO).
    at_socket: of the lost, those that the receiver's own socket dropped.
    intended, actual: delay from when datagrams were due, and from when they were handed over.
    lateness: from the one to the other. All three: the least time of a bucket in ns → datagrams.
    """

    base_rate: float
    load: float
    poisson: bool
    realtime: bool
    seed: int
    due: int
    sent: int
    received: int
    lost: int
    at_socket: int
    duplicates: int
    reordered: int
    strange: int
    percentiles: dict[str, Percentile]
    intended: dict[int, int]
    actual: dict[int, int]
    lateness: dict[int, int]


def base_rate(path: Path) -> tuple[float, tuple[str, ...]]:
    """Datagrams a second that the path carries, and what whoever goes by that should know."""
    # Imported here: the search uses other probes.
    from bench.search import Options, search_rates  # noqa: PLC0415

    result = search_rates(path, PAYLOAD, Options(**_SEARCH, goals=(LOSS,)))
    rate = result.of(LOSS).rate
    if rate is None:
        raise CannotMeasure("delay: no packet rate was found of which to take a share")
    return float(round(rate)), tuple(f"{path.name}: {text}" for text in result.warnings())


def sender_limit(path: Path) -> float:
    """Datagrams a second that the sender of this probe can hand over, arrive what may."""
    return float(round(offer(path, Offer(_FLOOD_RATE, _FLOOD, False, False, 0)).sent.rate))


def find_load(path: Path, settings: Mapping[str, Any]) -> Measurement:
    """The base rate of `path`: its packet rate, and no more than the sender can hand over.

    Raises CannotMeasure.
    """
    if settings["rate"]:
        return Measurement({}, conditions={BASE_RATE: settings["rate"]})
    base, warnings = base_rate(path)
    if base > (limit := sender_limit(path)):
        more = f"{path.name}: the path carries {base:.0f} packet/s, the sender {limit:.0f}"
        base, warnings = limit, (*warnings, more)
    return Measurement({}, warnings=warnings, conditions={BASE_RATE: base})


def measure(load: int, path: Path, settings: Mapping[str, Any]) -> Measurement:
    """Measure the delay at `load` per cent of the base rate of `path`.

    settings: `seconds`; `poisson` or equal distances; `rate` (the base rate; 0: what `find_load`
    found); `sleeps` (the sender leaves its CPU to others between two datagrams).
    Raises CannotMeasure.
    """
    base = settings["rate"] or path.known[BASE_RATE]
    rate = base * load / 100
    count = max(1, round(rate * settings["seconds"] / SLICES)) * SLICES
    seed = random.getrandbits(32)
    found = offer(path, Offer(rate, count, settings[POISSON], settings["sleeps"], seed))
    kept = judge(found, base)
    reasons: dict[str, list[str]] = {}
    for name, percentile in kept.percentiles.items():
        if percentile.left_out:
            reasons.setdefault(percentile.left_out, []).append(name)
    return Measurement(
        {
            delay_id(load, name): [percentile.intended]
            for name, percentile in kept.percentiles.items()
            if percentile.intended is not None and not percentile.left_out
        },
        raw={_id(load): msgspec.json.encode(kept)},
        warnings=(
            *shared_cpu_warnings(path),
            *(
                f"{path.name}: {', '.join(names)} left out: {reason}"
                for reason, names in reasons.items()
            ),
        ),
        conditions={BASE_RATE: base, "realtime": float(kept.realtime), **shared_cpu()},
    )


# ---- what was found -----------------------------------------------------------------------------


def judge(found: Found, base: float) -> Delay:
    """All that is kept of a trial."""
    wanted, sent, arrived = found.offer, found.sent, found.arrived
    return Delay(
        base_rate=base,
        load=wanted.rate,
        poisson=wanted.poisson,
        realtime=found.first,
        seed=wanted.seed,
        due=wanted.count,
        sent=sent.packets,
        received=arrived.unique,
        lost=sent.packets - arrived.unique,
        at_socket=arrived.drops,
        duplicates=arrived.duplicates,
        reordered=arrived.reordered,
        strange=arrived.strange,
        percentiles={
            name: _percentile(found, base, share) for name, share in DELAY_PERCENTILES.items()
        },
        intended=_by_time(pooled(found.intended)),
        actual=_by_time(pooled(found.actual)),
        lateness=_by_time(found.lateness),
    )


def _percentile(found: Found, base: float, share: float) -> Percentile:
    sizes = [found.offer.count // SLICES] * SLICES
    intended, actual = (estimate(s, sizes, share) for s in (found.intended, found.actual))
    omitted = None
    if intended.value is not None and actual.value is not None:
        omitted = intended.value - actual.value
    wanted = found.offer
    limit = late_after(wanted.rate, base, wanted.poisson, share, intended.value or 0.0)
    late = 1 - share_within(found.lateness, wanted.count, limit)
    return Percentile(
        intended=intended.value,
        low=intended.low,
        high=intended.high,
        actual=actual.value,
        actual_low=actual.low,
        actual_high=actual.high,
        omitted=omitted,
        late=late,
        late_after=limit,
        left_out=_left_out(found, share, late, limit),
    )


def late_most(share: float) -> float:
    """Share of the datagrams that may be late: half of what lies beyond a percentile."""
    return min(_LATE_MOST, (1 - share) / 2)


def late_after(rate: float, base: float, poisson: bool, share: float, value: float) -> float:
    """Seconds after which a datagram was handed over so late that it could falsify a percentile.

    Half of the percentile: where no more are late than may be, half of what lies beyond it took at
    least half of it from when it was handed over, which is the path's.
    Or what so many wait by themselves, if that is longer: where the path does its work within the
    sender's system calls, a Poisson stream has its queue there. `base` is what is carried at the
    most, so such a call takes 1/base at the most; the tail is Kingman's, of equal service times.
    """
    queued, load = 0.0, rate / base
    if poisson and load < 1:
        queued = math.log(max(1.0, load / late_most(share))) / (2 * (1 - load) * base)
    return max(_LATE_PART * value, queued)


def _left_out(found: Found, share: float, late: float, limit: float) -> str:
    """Why a percentile is not the path's; empty where it is."""
    count, beyond = found.offer.count, 1 - share
    needed = round(BEYOND / beyond)
    if count < needed:
        return f"it takes {needed} datagrams, and {count} were due"
    if found.sent.packets < count:
        return f"the sender fell {PATIENCE:g} s behind {found.offer.rate:.0f} packet/s and gave up"
    lost = count - found.arrived.unique
    if lost > beyond * count:
        return f"{lost / count:.2%} of the datagrams were lost"
    if late > late_most(share):
        return f"the sender was late: {late:.2%} went more than {1e6 * limit:.0f} µs behind"
    return ""


def _by_time(counts: Counts) -> dict[int, int]:
    return {bucket_bounds(bucket)[0]: count for bucket, count in counts.items()}


def _id(load: int) -> str:
    return f"delay_{load}"


def _settings(seconds: float) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "rate": 0.0,
        POISSON: True,
        "sleeps": False,
    }


PROBES = tuple(
    Probe(
        id=_id(load),
        metrics=tuple(delay_id(load, percentile) for percentile in DELAY_PERCENTILES),
        settings={
            "quick": _settings(2.0),
            "standard": _settings(4.0),
            "rigorous": _settings(10.0),
        },
        measure=partial(measure, load),
        duration=lambda settings: 0.7 + settings["seconds"] * (1 + RESTS),
        missing=lambda: None,
        default=False,
        load=find_load,
    )
    for load in DELAY_LOADS
)
