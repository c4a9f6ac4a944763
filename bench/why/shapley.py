"""Sharing out what several techniques do together (L. S. Shapley, 1953).

A technique's share is what it adds, averaged over all orders in which the techniques could have
been added one after the other. The shares add up to the whole, and what two of them do only
together is shared between them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def shapley(values: Mapping[frozenset[str], float], ids: Sequence[str]) -> dict[str, float]:
    """Share `values[all] - values[none]` out among `ids`; `values` has every subset of them."""
    n = len(ids)
    found = dict.fromkeys(ids, 0.0)
    for subset, value in values.items():
        for id_ in ids:
            if id_ not in subset:
                weight = math.factorial(len(subset)) * math.factorial(n - len(subset) - 1)
                gain = values[subset | {id_}] - value
                found[id_] += weight * gain / math.factorial(n)
    return found


def interaction(values: Mapping[frozenset[str], float], a: str, b: str) -> float:
    """What `a` and `b` do together beyond what each does alone, without the others."""
    alone = [values[frozenset({x})] - values[frozenset()] for x in (a, b)]
    return values[frozenset({a, b})] - values[frozenset()] - sum(alone)
