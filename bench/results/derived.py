"""The files of a result set that follow from the others: `summary.json` and `rtt.json`."""

from __future__ import annotations

import io
import itertools
import statistics
from pathlib import Path

import msgspec

from bench.errors import UsageError
from bench.files import replace_file
from bench.results.model import FORMAT, Run
from bench.results.read import ResultSet, load
from bench.stats import median_interval

SUMMARY, RTT, PYPERF = "summary.json", "rtt.json", "pyperf"


class CellSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One cell over its blocks; all figures are of block values, in `unit`.

    low, high: 95 % interval for the median, None where there are too few blocks for one.
    """

    variant: str
    arm: str
    metric: str
    unit: str
    blocks: int
    median: float
    low: float | None
    high: float | None
    min: float
    max: float

    @property
    def ends(self) -> tuple[float, float]:
        """The interval, or where there is none the lowest and the highest block."""
        if self.low is None or self.high is None:
            return self.min, self.max
        return self.low, self.high


class _Summary(msgspec.Struct, frozen=True):
    format: int
    run: str
    cells: list[CellSummary]


def summarise(results: ResultSet) -> list[CellSummary]:
    """Summarise every cell that has values, in the order of variants, arms and metrics asked."""
    order = {variant: position for position, variant in enumerate(results.run.variants)}
    arms = {arm: position for position, arm in enumerate(results.run.asked.arms)}
    summaries = []
    for cell, series in results.series().items():
        values = list(series.blocks.values())
        low, high = median_interval(values) or (None, None)
        summaries.append(
            CellSummary(
                **cell._asdict(),
                unit=series.unit,
                blocks=len(values),
                median=statistics.median(values),
                low=low,
                high=high,
                min=min(values),
                max=max(values),
            )
        )
    return sorted(summaries, key=lambda s: (order[s.variant], arms.get(s.arm, 0), s.arm, s.metric))


def summary_json(results: ResultSet) -> bytes:
    """The content of `summary.json`."""
    summary = _Summary(FORMAT, results.run.id, summarise(results))
    return msgspec.json.format(msgspec.json.encode(summary), indent=1) + b"\n"


def rebuild_summary(path: Path) -> None:
    """Write `summary.json` of the set in `path` anew. Raises UsageError."""
    data = summary_json(load(path))
    try:
        replace_file(path / SUMMARY, data)
    except OSError as error:
        raise UsageError(f"{path / SUMMARY}: cannot be written: {error.strerror}") from None


def pyperf_suite(folder: Path, run: Run) -> tuple[bytes | None, list[str]]:
    """Merge `pyperf/<trial>.json` of the completed trials into one pyperf suite.

    One benchmark for each variant and arm, `rtt[<variant>,<arm>]`, whose runs know their trial
    and block. Returns the suite as JSON, or None if there is nothing to merge, and a warning for
    each trial that pyperf does not accept beside the others (the interpreter was changed
    between two parts of a resumed run, say).
    """
    completed = {trial.trial for trial in run.completed}
    files = {trial: folder / PYPERF / f"{trial.trial}.json" for trial in run.plan}
    present = {t: file for t, file in files.items() if t.trial in completed and file.exists()}
    if not present:
        return None, []
    # Imported here because it costs more time than all else that a command imports.
    import pyperf  # noqa: PLC0415

    benchmarks: dict[str, pyperf.Benchmark] = {}
    problems = []
    for trial, file in present.items():
        name = f"rtt[{trial.variant},{trial.arm}]"
        try:
            part = pyperf.Benchmark.loads(file.read_text())
            part.update_metadata({"name": name, "block": trial.block, "trial": trial.trial})
            if name in benchmarks:
                benchmarks[name].add_runs(part)
            else:
                benchmarks[name] = part
        except ValueError as error:
            problems.append(f"{RTT} leaves out trial {trial.trial}, {name}: {error}")
    if not benchmarks:
        return None, problems
    places = itertools.product(run.variants, run.asked.arms)
    names = [f"rtt[{variant},{arm}]" for variant, arm in places]
    ordered = [benchmarks[name] for name in names if name in benchmarks]
    text = io.StringIO()
    pyperf.BenchmarkSuite(ordered).dump(text)
    return text.getvalue().encode(), problems
