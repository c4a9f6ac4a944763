"""What is said of the quality of a run, and of the machine in two of them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bench.quality.rule import DISTURBANCES, MANY
from bench.results.model import Canary, Run
from bench.stats import shift
from bench.units import format_interval, format_ratio

CANARIES = {
    "memcpy": "memcpy rate",
    "system_call": "system call time",
    "loopback": "loopback time",
}
"""The parts of a canary, and what they are called: a rate or a time."""
DRIFT = 0.10
"""How far the canaries of a run may be apart before the machine is said to have drifted."""


def closing(run: Run) -> list[str]:
    """What the user should know of a run that has ended; nothing of one that was not watched."""
    return [*_trials(run), *_machine(run)]


def folded(warnings: Iterable[str], variants: Iterable[str]) -> list[str]:
    """The warnings of a run, those that say the same of several variants as one each.

    "rtt[veth,native]: slow" and "rtt[vxlan,native]: slow" are "veth, vxlan: slow (rtt, native)".
    """
    known = sorted(variants, key=len, reverse=True)
    found: dict[str, dict[str, _Place]] = {}
    for warning in warnings:
        place, text = _place(warning, known)
        found.setdefault(text, {})[warning] = place
    return [line for text, places in found.items() for line in _fold(text, places)]


class _Place(NamedTuple):
    """What a warning is of; empty where it does not say."""

    variant: str
    probe: str
    arm: str


def _place(warning: str, variants: Sequence[str]) -> tuple[_Place, str]:
    """Where a warning belongs, "probe[variant,arm]: " or "variant: ", and what is left of it."""
    for variant in variants:
        if warning.startswith(f"{variant}: "):
            return _Place(variant, "", ""), warning.removeprefix(f"{variant}: ")
        named = re.match(rf"(\w+)\[{re.escape(variant)},(\w+)\]: ", warning)
        if named:
            return _Place(variant, named[1], named[2]), warning[named.end() :]
    return _Place("", "", ""), warning


def _fold(text: str, places: Mapping[str, _Place]) -> list[str]:
    """One line for all warnings of that text; as they are, where there is one, or they name none.

    places: the warnings, and what each is of.
    """
    of = list(places.values())
    if len(of) == 1 or not all(place.variant for place in of):
        return list(places)
    names, probes, arms = (
        ", ".join(filter(None, dict.fromkeys(part))) for part in zip(*of, strict=True)
    )
    where = ", ".join(filter(None, (probes, arms)))
    return [f"{names}: {text} ({where})" if where else f"{names}: {text}"]


def warning(run: Run) -> str | None:
    """What to warn of where much was disturbed and counts nevertheless."""
    kept = _kept(run)
    if len(kept) <= MANY * len(run.quality):
        return None
    return (
        f"{len(kept)} of {len(run.quality)} trials count though they were disturbed "
        f"({_counted(kept)}); measure on a quieter machine for steadier figures"
    )


def notes(old: Run, new: Run) -> list[str]:
    """What a comparison of two runs should be read with."""
    found = _canaries(old, new)
    if old.asked.repeats != new.asked.repeats and old.quality and new.quality:
        found.append(
            f"a disturbed trial was repeated up to {old.asked.repeats} times in the old set and "
            f"up to {new.asked.repeats} times in the new one"
        )
    kept = [len(_kept(run)) for run in (old, new)]
    if any(kept):
        found.append(
            f"trials that count though they were disturbed: {kept[0]} of {len(old.quality)} in "
            f"the old set, {kept[1]} of {len(new.quality)} in the new one"
        )
    return found


# ---- trials -------------------------------------------------------------------------------------


def _trials(run: Run) -> list[str]:
    records = run.quality
    if not records:
        return []
    failed = {failure.trial for failure in run.failures}
    # Of a trial that failed when it was repeated, even the last try on record was repeated.
    tries = [r.attempts if r.trial in failed else r.attempts[:-1] for r in records]
    repeated = [[id_ for attempt in given for id_ in attempt.spoilt] for given in tries if given]
    kept = _kept(run)
    seen = {
        name
        for record in records
        for attempt in record.attempts
        for name, figure in attempt.figures.items()
        if figure is not None
    }
    if repeated or kept:
        be = "was" if len(repeated) == 1 else "were"
        text = f"{len(repeated)} of {len(records)} trials {be} repeated"
        text += f": {_counted(repeated)}." if repeated else "."
    else:
        text = f"None of {len(records)} trials was disturbed."
    if kept:
        text += f" Counted though disturbed: {len(kept)} ({_counted(kept)})."
    unseen = [
        entry.title
        for id_, entry in DISTURBANCES.items()
        if id_ not in seen and (not entry.probe or entry.probe in run.asked.probes)
    ]
    if unseen:
        text += f" Not observed here: {', '.join(unseen)}."
    return [text]


def _kept(run: Run) -> list[tuple[str, ...]]:
    """What disturbed those trials that count nevertheless."""
    failed = {failure.trial for failure in run.failures}
    last = [record.attempts[-1].spoilt for record in run.quality if record.trial not in failed]
    return [spoilt for spoilt in last if spoilt]


def _counted(trials: Iterable[Iterable[str]]) -> str:
    """In how many trials there was each disturbance: "steal 2, other load 1"."""
    counts = Counter(id_ for ids in trials for id_ in set(ids))
    return ", ".join(
        f"{entry.title} {counts[id_]}" for id_, entry in DISTURBANCES.items() if counts[id_]
    )


# ---- canaries -----------------------------------------------------------------------------------


def trusted_canaries(run: Run) -> list[Canary]:
    """The canaries that nothing disturbed; all, where there are none."""
    quiet = [canary for canary in run.canaries if not canary.spoilt]
    return quiet or list(run.canaries)


def _disturbed(run: Run) -> bool:
    """Whether there is no canary that can be believed."""
    return any(canary.spoilt for canary in trusted_canaries(run))


def _values(run: Run, part: str) -> list[float]:
    values = (canary.values.get(part, 0.0) for canary in trusted_canaries(run))
    return [value for value in values if value > 0]


def drift(run: Run) -> dict[str, float]:
    """How far the highest of each canary's values lies above the lowest, as a fraction."""
    found = {part: _values(run, part) for part in CANARIES}
    return {p: max(values) / min(values) - 1 for p, values in found.items() if len(values) > 1}


def _machine(run: Run) -> list[str]:
    if len(run.canaries) < 2:  # noqa: PLR2004 - a drift is between two
        return []
    found = drift(run)
    if not found or _disturbed(run):
        spoilt = sum(bool(canary.spoilt) for canary in run.canaries)
        return [
            f"Whether the machine drifted between blocks cannot be told: {spoilt} of its "
            f"{len(run.canaries)} canaries were disturbed."
        ]
    spreads = ", ".join(f"{CANARIES[part]} {spread:.0%}" for part, spread in found.items())
    if max(found.values()) > DRIFT:
        return [
            f"The machine drifted between blocks ({spreads}): compare what was measured in one "
            "run, where blocks hold everything."
        ]
    return [f"The machine held still between blocks ({spreads})."]


def _canaries(old: Run, new: Run) -> list[str]:
    """The drift between two sessions."""
    if _disturbed(old) or _disturbed(new):
        return ["the canaries were disturbed: whether the machine itself has changed is not known"]
    ratios = []
    for part, title in CANARIES.items():
        values = [[math.log(value) for value in _values(run, part)] for run in (old, new)]
        if not all(values):
            continue
        change = shift(*values)
        text = f"{title} {format_ratio(math.exp(change.estimate))}"
        if math.isfinite(change.low):
            text += f" [{format_interval(math.exp(change.low), math.exp(change.high))}]"
        ratios.append(text)
    if ratios:
        return [
            f"the machine itself, by its canaries, new/old: {', '.join(ratios)}; what is not 1 "
            "here has changed between the sessions, not on the paths"
        ]
    if old.canaries or new.canaries:
        return ["one set has no canaries: whether the machine itself has changed is not known"]
    return []
