"""The blocks of two revisions: measured by each side itself, and what there is of them.

Each side measures with its own `run` command, so whatever else a revision has does not matter.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

from bench import loads
from bench.ab.model import PROBE_SETTINGS, AbAsked
from bench.ab.pairs import Side
from bench.ab.revisions import LABELS, ONCE, Built, Tell, last_line
from bench.ab.tries import Tried, first_tries, most_disturbed
from bench.errors import CannotMeasure, UsageError
from bench.probes import PROBES
from bench.process import execute
from bench.quality.rule import REPEATS
from bench.results import Run, load, partial_of

_BLOCK = 3600.0
"""Seconds granted to a block of one side."""


def find_loads(old: Built, asked: AbAsked, folder: Path, tell: Tell) -> None:
    """Have the old side find the loads that both go by, where what is measured goes by any.

    What was disturbed meanwhile is found again, as often as a trial is repeated.
    Raises CannotMeasure.
    """
    probe = next((id_ for id_ in asked.probes if PROBES[id_].load is not None), None)
    if probe is None:
        return
    for number, scenario in enumerate(asked.scenarios):
        target = _load_folder(folder, number)
        for _ in range(1 + REPEATS):
            if _has_loads(target) and not _disturbed(load(target).run):
                break
            _clear(target)
            tell(f"old: finding the load of {scenario}")
            _run(old, asked, scenario, [probe], target, asked.seed)


def measure_block(side: Built, asked: AbAsked, folder: Path, block: int) -> None:
    """One block of one side, into its own result set. Raises CannotMeasure."""
    target = block_folder(folder, side.label, block)
    _clear(target)
    seed = random.Random(f"{asked.seed} {block}").randrange(2**32)
    for number, scenario in enumerate(asked.scenarios):
        load_set = _load_folder(folder, number)
        words = [ONCE] if side.once else []
        words += ["--loads-of", str(load_set)] if _has_loads(load_set) else []
        _run(side, asked, scenario, asked.probes, target / str(number), seed, words)


def _run(
    side: Built,
    asked: AbAsked,
    scenario: str,
    probes: Sequence[str],
    target: Path,
    seed: int,
    words: Sequence[str] = (),
) -> None:
    """One block of a scenario, by the `run` command of a side."""
    base, overrides = _split(scenario)
    name = f"{side.label} ({side.revision.text})"
    arguments = [
        # Nothing in the user's folder or environment may stand in for a module of that side.
        *("env", "-u", "PYTHONPATH", "-u", "PYTHONHOME", str(side.python), "-P"),
        *("-m", "bench", "run", base, "--profile", PROBE_SETTINGS, "--blocks", "1"),
        *(word for override in overrides for word in ("-p", override)),
        *(word for probe in probes for word in ("--probe", probe)),
        *(word for arm in asked.arms for word in ("--arm", arm)),
        *words,
        *("--seed", str(seed), "-o", str(target)),
    ]
    with execute(name, arguments) as child:
        status = child.wait(_BLOCK)
        if status == UsageError.exit_code:
            raise UsageError(f"{name}: {last_line(child.output())}")
        if status not in (0, CannotMeasure.exit_code):
            raise CannotMeasure(f"{name}: {last_line(child.output())}")


def _clear(target: Path) -> None:
    for leftover in (target, partial_of(target)):
        shutil.rmtree(leftover, ignore_errors=True)


def block_folder(folder: Path, label: str, block: int) -> Path:
    """Where a block of one side is kept, a result set for each scenario."""
    return folder / label / f"block-{block}"


def tried(folder: Path, asked: AbAsked, block: int) -> Tried:
    """What disturbed a block that both sides have measured."""
    targets = [block_folder(folder, label, block) for label in LABELS]
    runs = [load(t / str(number)).run for t in targets for number in range(len(asked.scenarios))]
    return Tried(most_disturbed(runs))


def whole_blocks(folder: Path, asked: AbAsked) -> list[int]:
    """The blocks that both sides have finished."""
    found = []
    for block in range(1, asked.max_blocks + 1):
        sets = [
            block_folder(folder, label, block) / str(number) / "run.json"
            for label in LABELS
            for number in range(len(asked.scenarios))
        ]
        if all(file.exists() and load(file.parent).run.status == "complete" for file in sets):
            found.append(block)
    return found


def sides(folder: Path, asked: AbAsked, blocks: list[int]) -> tuple[Side, Side]:
    """What both sides have in whole blocks."""
    found = (Side(), Side())
    for label, side in zip(LABELS, found, strict=True):
        for block in blocks:
            for number in range(len(asked.scenarios)):
                results = first_tries(load(block_folder(folder, label, block) / str(number)))
                names = {name: name for name in results.run.variants}
                side.add(results, names, block)
    return found


def disturbed_loads(folder: Path, asked: AbAsked) -> bool:
    """Whether a load that both sides go by was found while something disturbed it."""
    folders = [_load_folder(folder, number) for number in range(len(asked.scenarios))]
    return any(_disturbed(load(each).run) for each in folders if _has_loads(each))


def _load_folder(folder: Path, number: int) -> Path:
    """Where the old side's set is kept that has the load of a scenario."""
    return folder / loads.LOAD / str(number)


def _has_loads(target: Path) -> bool:
    return (target / "run.json").exists() and loads.has_loads(load(target).run)


def _disturbed(run: Run) -> bool:
    """Of a revision that does not say it of the load: whether its trial was, which found it."""
    said = loads.disturbed(run)
    return any(q.attempts[-1].spoilt for q in run.quality) if said is None else said


def _split(scenario: str) -> tuple[str, list[str]]:
    """ "name[a=1,b=2]" as the scenario and its overrides."""
    base, _, rest = scenario.partition("[")
    return base, [text for text in rest.removesuffix("]").split(",") if text]
