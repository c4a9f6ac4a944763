"""What the loads of delays are a share of, and whether that is the packet rate of the same run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.loads import base_of
from bench.metrics import DELAY_LOADS, PACKET_RATES
from bench.pingpong import PAYLOAD
from bench.probes.delay import LOSS
from bench.report.sources import Sources
from bench.report.words import listed
from bench.results import ResultSet, summarise
from bench.units import format_value

_DIFFERS = 0.2
"""Share by which a base rate must differ from the packet rate of its run for that to be said."""


def base_notes(sources: Sources) -> Iterator[str]:
    """What a base rate is and whose, then each that is not the packet rate of the same run."""
    with_delays = [results for results in sources.sets if _loads(results)]
    if not with_delays:
        return
    whose = {results.run.asked.one_for_all for results in with_delays}
    yield (
        f"A load is a share of the base rate: the highest at which at most {100 * LOSS:g} % of "
        f"datagrams of {PAYLOAD} bytes are lost, found by a search of its own before the first of "
        "these trials, or what the sender can hand over, if that is less. (A run that goes by the "
        "loads of another one has the base rates of that.)"
    )
    if False in whose:
        yield "The base rate is each path's own."
    if True in whose:
        yield "A base rate that goes for all paths is the first one's."
    for name, results in zip(sources.names, sources.sets, strict=True):
        yield from (f"{name}: {text}" if sources.several else text for text in _apart(results))


def _loads(results: ResultSet) -> list[int]:
    return [load for load in DELAY_LOADS if f"delay_{load}" in results.run.asked.probes]


def _apart(results: ResultSet) -> Iterator[str]:
    """Where a share of the base rate is another share of what the run itself has measured."""
    run, loads = results.run, _loads(results)
    metric = PACKET_RATES[PAYLOAD][LOSS]
    rates = {(s.variant, s.arm): s.median for s in summarise(results) if s.metric == metric}
    for (variant, arm), rate in rates.items():
        bases = [base_of(run, variant, arm, f"delay_{load}") for load in loads]
        base = next((found for found in bases if found is not None), None)
        if base is None or not rate or abs(base / rate - 1) <= _DIFFERS:
            continue
        more = "more" if base > rate else "less"
        yield (
            f"{variant}, {arm}: the base rate of {format_value(base, 'packet/s')} is "
            f"{100 * abs(base / rate - 1):.0f} % {more} than the packet rate that this run "
            f"measured ({format_value(rate, 'packet/s')}, {PAYLOAD} B, up to {100 * LOSS:g} % "
            f"lost): {_per_cent(loads)} of it {_are(loads)} "
            f"{_per_cent([round(load * base / rate) for load in loads])} of that."
        )


def _per_cent(shares: Sequence[int]) -> str:
    return f"{listed([str(share) for share in shares])} %"


def _are(loads: Sequence[int]) -> str:
    return "is" if len(loads) == 1 else "are"
