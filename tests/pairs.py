"""Few combinations of many choices in which every pair of values that goes together occurs."""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product

Combination = dict[str, str]
Pair = frozenset[tuple[str, str]]


def pairs_of(combination: Mapping[str, str]) -> Iterator[Pair]:
    """Every pair of values in `combination`."""
    return (frozenset(pair) for pair in combinations(combination.items(), 2))


def allowed(choices: Mapping[str, Sequence[str]]) -> Iterator[Combination]:
    """Every combination of `choices`."""
    return (dict(zip(choices, values, strict=True)) for values in product(*choices.values()))


def covering(candidates: Sequence[Combination]) -> list[Combination]:
    """Some of `candidates` that hold every pair any of them holds; always the same ones."""
    rng = random.Random(1)
    missing = {pair for candidate in candidates for pair in pairs_of(candidate)}
    chosen = []
    while missing:
        # Whatever is drawn, one that holds a missing pair: so it ends.
        wanted = min(missing, key=sorted)
        drawn = [*rng.sample(candidates, min(200, len(candidates)))]
        drawn += [each for each in candidates if wanted <= each.items()][:20]
        best = max(drawn, key=lambda each: len(missing.intersection(pairs_of(each))))
        missing.difference_update(pairs_of(best))
        chosen.append(best)
    return chosen
