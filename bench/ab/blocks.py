"""The blocks of two revisions: measured by each side itself, and what there is of them.

Each side measures with its own `run` command, so whatever else a revision has does not matter.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from bench.ab.model import PROBE_SETTINGS, AbAsked
from bench.ab.pairs import Side
from bench.ab.revisions import LABELS, Built, last_line
from bench.errors import CannotMeasure, UsageError
from bench.process import execute
from bench.results import load, partial_of
from bench.run import has_loads

_BLOCK = 3600.0
"""Seconds granted to a block of one side."""


def measure_block(side: Built, asked: AbAsked, folder: Path, block: int) -> None:
    """One block of one side, into its own result set. Raises CannotMeasure."""
    target = block_folder(folder, side.label, block)
    for leftover in (target, partial_of(target)):
        shutil.rmtree(leftover, ignore_errors=True)
    seed = random.Random(f"{asked.seed} {block}").randrange(2**32)
    name = f"{side.label} ({side.revision.text})"
    for number, scenario in enumerate(asked.scenarios):
        base, overrides = _split(scenario)
        arguments = [
            # Nothing in the user's folder or environment may stand in for a module of that side.
            *("env", "-u", "PYTHONPATH", "-u", "PYTHONHOME", str(side.python), "-P"),
            *("-m", "bench", "run", base, "--profile", PROBE_SETTINGS, "--blocks", "1"),
            *(word for override in overrides for word in ("-p", override)),
            *(word for probe in asked.probes for word in ("--probe", probe)),
            *(word for arm in asked.arms for word in ("--arm", arm)),
            *_loads(folder, asked, number),
            *("--seed", str(seed), "-o", str(target / str(number))),
        ]
        with execute(name, arguments) as child:
            status = child.wait(_BLOCK)
            if status == UsageError.exit_code:
                raise UsageError(f"{name}: {last_line(child.output())}")
            if status not in (0, CannotMeasure.exit_code):
                raise CannotMeasure(f"{name}: {last_line(child.output())}")


def block_folder(folder: Path, label: str, block: int) -> Path:
    """Where a block of one side is kept, a result set for each scenario."""
    return folder / label / f"block-{block}"


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
                results = load(block_folder(folder, label, block) / str(number))
                names = {name: name for name in results.run.variants}
                side.add(results, names, block)
    return found


def _loads(folder: Path, asked: AbAsked, number: int) -> list[str]:
    """Words that make a run go by the loads which the first one of its scenario found, if any."""
    for block in range(1, asked.max_blocks + 1):
        for label in LABELS:
            first = block_folder(folder, label, block) / str(number)
            if (first / "run.json").exists():
                return ["--loads-of", str(first)] if has_loads(load(first).run) else []
    return []


def _split(scenario: str) -> tuple[str, list[str]]:
    """ "name[a=1,b=2]" as the scenario and its overrides."""
    base, _, rest = scenario.partition("[")
    return base, [text for text in rest.removesuffix("]").split(",") if text]
