"""Measuring until the answer is clear, and what is said then."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench import run as runner
from bench.ab import blocks as kept
from bench.ab.model import INTERRUPTED, TIME_UP, AbAsked, Report
from bench.ab.pairs import Side, not_measured, pairs
from bench.ab.revisions import LABELS, Built
from bench.ab.tries import Tried, repeats_left, set_aside, set_aside_so_far
from bench.process import spawn
from bench.quality.repeats import Repeats
from bench.remaining import Remaining
from bench.results import Attempt
from bench.sequential import Conclusion, Limits, Look, Paired, cut_short, glance

_STATISTICS = 120.0
"""Seconds granted to the statistics of a look."""
_DISTURBED_LOAD = (
    "the load was found while something disturbed it; delays hold for that load, on both sides"
)

Sides = tuple[Side, Side]


def look(found: Sequence[Paired], looks: Sequence[Look], limits: Limits) -> Conclusion:
    """Take the looks, in a process of its own: numpy's threads must not be here when we fork."""

    def task(_: object) -> dict[str, object]:
        from bench.paired import conclude  # noqa: PLC0415

        concluded: dict[str, object] = msgspec.to_builtins(conclude(found, looks, limits))
        return concluded

    with spawn("statistics", task) as child:
        return msgspec.convert(child.receive(_STATISTICS), Conclusion)


def stopping(asked: AbAsked, measured: Callable[[], Sides]) -> runner.Enough:
    """Whether what was `measured` until the end of a block is enough."""
    looks = asked.looks()
    deadline = None if asked.minutes is None else time.monotonic() + 60 * asked.minutes

    def enough(block: int) -> bool:
        if deadline is not None and time.monotonic() > deadline:
            return True
        looked_at = any(planned.blocks == block for planned in looks)
        return looked_at and is_clear(asked, measured(), block)

    return enough


def measure_revisions(
    asked: AbAsked,
    folder: Path,
    sides: tuple[Built, Built],
    tell: Callable[[str], None],
) -> None:
    """Measure what `folder` has not, block by block, each side in turn in random order.

    A block that was disturbed is measured again, on both sides.
    """
    done = kept.whole_blocks(folder, asked)
    enough = stopping(asked, lambda: kept.sides(folder, asked, done))
    if not done:  # what has been measured holds for the load there is
        kept.find_loads(sides[0], asked, folder, tell)
    within = math.inf if asked.minutes is None else 60 * asked.minutes
    left = Remaining(asked.max_blocks - len(done), within=within)
    before = len(done)
    repeats = repeats_left(folder, before, asked.max_blocks)
    for block in range(1, asked.max_blocks + 1):
        if block in done:
            continue
        at_most = left.after(len(done) - before)
        tell(f"block {block} of at most {asked.max_blocks}{at_most}")
        _measure_block(sides, asked, folder, block, repeats)
        done = sorted([*done, block])
        if enough(block):
            return


def _measure_block(
    sides: tuple[Built, Built], asked: AbAsked, folder: Path, block: int, repeats: Repeats
) -> None:
    order = list(sides)
    random.Random(f"{asked.seed} {block} order").shuffle(order)
    attempts: list[Attempt] = []

    def measure() -> Tried:
        if attempts:
            for label in LABELS:
                set_aside(kept.block_folder(folder, label, block))
        for side in order:
            kept.measure_block(side, asked, folder, block)
        return kept.tried(folder, asked, block)

    repeats.settle(measure, attempts)


def is_clear(asked: AbAsked, sides: Sides, blocks: int) -> bool:
    """Whether the answer of `blocks` whole blocks, at the looks they allow, ends the measuring."""
    taken = [each for each in asked.looks() if each.blocks <= blocks]
    return bool(taken and look(pairs(*sides), taken, asked.limits).stopped)


def conclude(
    asked: AbAsked,
    names: tuple[str, str],
    results: Path,
    sides: Sides,
    blocks: int,
    *,
    seconds: float,
    interrupted: bool,
    disturbed_load: bool,
) -> Report:
    """What `blocks` whole blocks say.

    Where the time ended it, all budgets are spent now, and that is its end. An interruption spends
    nothing: it goes on, and is interrupted as often as anybody likes.

    interrupted: whether it can go on.
    disturbed_load: whether the load that both sides go by was found while something disturbed it.
    """
    planned = asked.looks()
    found = pairs(*sides)
    taken = [each for each in planned if each.blocks <= blocks]
    concluded = Conclusion(answers=[], looks=0, blocks=blocks, stopped="")
    if taken:
        concluded = look(found, taken, asked.limits)
    if not concluded.stopped and blocks:
        why, looks = (
            (INTERRUPTED, glance(planned, blocks))
            if interrupted
            else (TIME_UP, cut_short(planned, blocks))
        )
        concluded = look(found, looks, asked.limits)
        concluded = msgspec.structs.replace(concluded, stopped=why)
    return Report(
        results=str(results),
        asked=asked,
        old=names[0],
        new=names[1],
        blocks=concluded.blocks,
        looks=min(concluded.looks, len(taken)) if interrupted else concluded.looks,
        planned_looks=[each.blocks for each in planned],
        stopped=concluded.stopped,
        seconds=seconds,
        answers=concluded.answers,
        failed=not_measured(*sides),
        notes=[
            *(_on_repeats(results, names, sides) if asked.kind == "revisions" else ()),
            *([_DISTURBED_LOAD] if disturbed_load else []),
        ],
    )


def _on_repeats(folder: Path, names: tuple[str, str], sides: Sides) -> list[str]:
    """What was made of disturbed blocks of two revisions, or why nothing could be."""
    silent = [
        f"{label}: {name} does not tell what disturbed its trials, so no block was measured again, "
        "of either side"
        for label, name, side in zip(LABELS, names, sides, strict=True)
        if not side.watched
    ]
    again = set_aside_so_far(folder)
    tries = "try" if again == 1 else "tries"
    told = f"{again} {tries} at a block did not count, of both sides, because one was disturbed"
    return [*silent, *([told] if again else [])]
