"""Sessions for the gate's tests, made up in memory: ledgers and times of one path."""

from collections.abc import Mapping

from imagined import imagine
from sets import a_run, noisy

from bench.results import PlannedTrial, ResultSet, Run

COUNTS = {
    "syscalls": 9.0,
    "working_calls": 4.0,
    "copies": 4.0,
    "memory_copies": 0.0,
    "copied_bytes": 368.0,
    "traversals": 2.0,
    "wakeups": 2.0,
    "segments_per_skb": 1.0,
}


def a_ledger_run(blocks: int = 2) -> Run:
    return a_run(variants=("tun-relay",), arms=("native",), probes=("ledger",), blocks=blocks)


def counted(name: str, blocks: int = 2, wobble: float = 0.0, **changes: float) -> ResultSet:
    """The ledger of a path; `changes` are added to its counts, `wobble` to those of odd blocks."""

    def values(trial: PlannedTrial) -> Mapping[str, float]:
        more = wobble * (trial.block % 2)
        return {metric: n + changes.get(metric, 0) + more for metric, n in COUNTS.items()}

    return imagine(name, a_ledger_run(blocks), values)


def timed(name: str, seed: int = 1, blocks: int = 6, **factors: float) -> ResultSet:
    value = noisy(seed, **factors)
    run = a_run(variants=("veth",), arms=("native",), blocks=blocks)

    def values(trial: PlannedTrial) -> Mapping[str, float]:
        raw = value(trial)
        assert not isinstance(raw, str)
        return {trial.probe: raw[0]}

    return imagine(name, run, values)
