"""What trials say of a rate, by RFC 9971: whether it is a bound, and what it carries.

The library says so itself at the end of a search. This is the same again from the trials alone,
for a search that ran out of time, and to hold the library's answer against.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from bench.search.model import Options, Trial


def relevant(
    trials: Iterable[Trial], goal: float, options: Options
) -> tuple[float | None, float | None]:
    """The relevant lower and upper bound for `goal`; None where there is none."""
    by_rate: dict[float, list[Trial]] = defaultdict(list)
    for trial in trials:
        by_rate[trial.asked].append(trial)
    passed, failed = [], []
    for rate, tried in by_rate.items():
        best, worst = could_pass(tried, goal, options)
        if worst:
            passed.append(rate)
        elif not best:
            failed.append(rate)
    upper = min(failed, default=None)
    lower = max((rate for rate in passed if upper is None or rate < upper), default=None)
    return lower, upper


def could_pass(tried: Sequence[Trial], goal: float, options: Options) -> tuple[bool, bool]:
    """Whether a rate can still pass if all further trials go well, and if none does.

    Twice yes is a lower bound, twice no an upper one.
    """
    exceed = options.exceed_ratio
    seconds = {(long, good): 0.0 for long in (True, False) for good in (True, False)}
    for trial in tried:
        seconds[trial.seconds >= options.final, trial.loss_ratio <= goal] += trial.seconds
    # Short trials count against a rate only beyond what short good ones make up for.
    made_up = seconds[False, True] * exceed / (1 - exceed)
    bad = seconds[True, False] + max(0.0, seconds[False, False] - made_up)
    whole = max(seconds[True, True] + bad, options.duration_sum)
    return bad <= whole * exceed, whole - seconds[True, True] <= whole * exceed


def conditional_throughput(tried: Sequence[Trial], options: Options) -> float:
    """Datagrams a second that arrive where the rate of these trials is offered.

    By the loss of the worst of the best trials that make up all but the exceed ratio.
    """
    long = sorted(
        (trial for trial in tried if trial.seconds >= options.final),
        key=lambda trial: trial.loss_ratio,
    )
    whole = max(sum(trial.seconds for trial in long), options.duration_sum)
    wanted, loss = whole * (1 - options.exceed_ratio), 1.0
    for trial in long:
        if wanted <= 0:
            break
        loss = trial.loss_ratio
        wanted -= trial.seconds
    return tried[0].asked * (1 - loss)
