"""What of a baseline is never judged: times that its own probes gave too seldom, without failing.

A delay that a sender cannot offer in time is left out of some blocks or of all, on a machine that
is not fast enough for it. No change has a part in what a baseline lacks, and no gate against it can
say anything of that: it is a note in each of them, and costs other cells no power. What failed, and
counts, which a quiet machine has, are missing from a baseline by accident: that is to be mended.
"""

from __future__ import annotations

from bench.compare import Key, key_of
from bench.counts import TOLERANCES
from bench.gate.rules import stage_of
from bench.labelings import can_show
from bench.probes import PROBES
from bench.results import Cell, ResultSet


def ungated(baseline: ResultSet) -> dict[Cell, str]:
    """Cells of `baseline` with too few blocks for any verdict, each with the reason."""
    planned = _planned(baseline)
    found = {}
    for cell, series in baseline.series().items():
        blocks = planned[cell.variant, cell.arm, series.probe]
        has, most = len(series.blocks), len(blocks)
        if cell.metric not in TOLERANCES and blocks and _too_few(has, most):
            found[cell] = (
                f"{baseline.path}: only in {has} of {most} blocks, too few for any verdict; its "
                "warnings may say why"
            )
    return found


def ungated_keys(baseline: ResultSet, cells: dict[Cell, str]) -> set[Key]:
    """Times that `baseline` measured without failing and without any cell that may fail a gate.

    cells: what is not gated of it.
    """
    gated = {
        (cell.variant, cell.arm, series.probe)
        for cell, series in baseline.series().items()
        if cell not in cells and stage_of(cell.metric).fails
    }
    measured = {key for key, blocks in _planned(baseline).items() if blocks}
    return {key for key in measured - gated if not _counts(key)}


def _counts(key: Key) -> bool:
    """Whether what it gives is counted. What a probe that is not of this version gives is not."""
    probe = PROBES.get(key[2])
    return probe is not None and not TOLERANCES.keys().isdisjoint(probe.metrics)


def _planned(results: ResultSet) -> dict[Key, set[int]]:
    """The blocks that were planned of each kind of trial; none where one of its trials failed."""
    failed = set(map(key_of, results.run.failures))
    blocks: dict[Key, set[int]] = {}
    for trial in results.run.plan:
        key = key_of(trial)
        blocks.setdefault(key, set()).update(() if key in failed else (trial.block,))
    return blocks


def _too_few(has: int, planned: int) -> bool:
    """Whether values of `has` blocks show nothing, however many of `planned` are measured now.

    No gate measures more blocks than were planned for its baseline.
    """
    return has < planned and not any(can_show(has, new) for new in range(1, planned + 1))
