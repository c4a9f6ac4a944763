"""What every command that measures does: progress, warnings, and leaving a set that is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn

from bench import environment
from bench import run as runner
from bench.cli.streams import messages, shows_progress
from bench.errors import NOT_MEASURED, SUCCESS
from bench.interrupts import undisturbed
from bench.quality.words import warning
from bench.results import ResultWriter, Run
from bench.scenario import Variant
from bench.units import format_duration

_TEXT = TextColumn("{task.description}", markup=False)
_STEAL_WORTH_A_WARNING = 0.01


def carry_out(
    chosen: dict[str, Variant],
    writer: ResultWriter,
    console: Console,
    enough: runner.Enough = lambda _: False,
) -> tuple[Path, bool]:
    """Run what is pending, until it is `enough`.

    Returns where it is kept now, and whether it was interrupted.
    """
    settings = writer.run.asked.settings
    before = environment.cpu_times()
    interrupted = False
    try:
        with _progress(console, writer, settings) as report:
            runner.run(chosen, settings, writer, report, enough)
    except KeyboardInterrupt:
        interrupted = True
    with undisturbed():
        _warn_about_steal(writer, before)
        if text := warning(writer.run):
            writer.warn(text)
        if not interrupted:
            writer.curtail()
        return writer.finish("interrupted" if interrupted else "complete"), interrupted


def ended(writer: ResultWriter) -> int:
    """The exit status of a run that came to its end: whatever failed or was skipped counts."""
    return NOT_MEASURED if writer.run.failures else SUCCESS


@contextmanager
def keeping(place: Path) -> Iterator[None]:
    """Keep an answer in `place`: where that cannot be written, it is printed all the same."""
    try:
        yield
    except OSError as error:
        text = f"{place}: cannot be written: {error.strerror}; the answer is printed only"
        messages().print(text, soft_wrap=True, markup=False)


def default_folder(profile: str) -> Path:
    """Where a run of a profile is kept that was not told where."""
    return Path("results", f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}-{profile}")


@contextmanager
def resumed(directory: Path) -> Iterator[ResultWriter]:
    """An unfinished result set to go on with, warned of what has changed on the machine."""
    with ResultWriter.resume(directory) as writer:
        for change in _changes_since(writer.run):
            writer.warn(f"the run was resumed on a changed machine: {change}")
        yield writer


@contextmanager
def telling(console: Console) -> Iterator[Callable[[str], None]]:
    """A line on a terminal that says what is being done, and is gone afterwards.

    Nothing may be printed on standard output meanwhile: it would be written across the line.
    """
    with _live(console, _TEXT) as progress:
        task = progress.add_task("")

        def tell(text: str) -> None:
            progress.update(task, description=text, refresh=True)

        yield tell


def _live(console: Console, *columns: ProgressColumn) -> Progress:
    """Progress on a terminal, nothing elsewhere."""
    return Progress(
        *columns,
        console=console,
        auto_refresh=False,  # by a thread, which would be there when we fork
        transient=True,
        redirect_stdout=False,  # to standard error, that is
        redirect_stderr=False,
        disable=not shows_progress(console),
    )


def _changes_since(run: Run) -> list[str]:
    """What has changed on this machine since the run began, where it matters."""
    try:
        before = msgspec.convert(run.environment, environment.Environment)
    except msgspec.ValidationError as error:
        return [f"its fingerprint cannot be compared: {error}"]
    return environment.differences(before, environment.fingerprint())


def _warn_about_steal(writer: ResultWriter, before: environment.CpuTimes) -> None:
    share = environment.steal_share(before, environment.cpu_times())
    if share is not None and share > _STEAL_WORTH_A_WARNING:
        writer.warn(
            f"the hypervisor took {share:.1%} of the CPU time during the run (steal); "
            "run on a quieter host for steadier figures"
        )


@contextmanager
def _progress(
    console: Console, writer: ResultWriter, settings: dict[str, dict[str, Any]]
) -> Iterator[runner.Report]:
    """A progress bar on a terminal; elsewhere only what could not be measured."""
    pending = writer.pending()
    estimate = runner.estimate_seconds(pending, settings)
    blocks = writer.run.asked.blocks
    if shows_progress(console):
        console.print(
            f"{len(pending)} trials in {blocks} blocks, about {format_duration(estimate)}; "
            f"seed {writer.run.asked.seed}",
            soft_wrap=True,
        )
    columns = (BarColumn(), MofNCompleteColumn(), _TEXT)
    with _live(console, *columns) as progress:
        task = progress.add_task(f"{format_duration(estimate)} left", total=len(pending))
        progress.refresh()

        def report(outcome: runner.Outcome, remaining: float) -> None:
            trial = outcome.trial
            if problem := outcome.problem:
                where = f"{trial.probe}[{trial.variant},{trial.arm}] block {trial.block}"
                what = "skipped" if problem.missing else "not measured"
                text = f"{what}: {where}: {problem.reason}"
                progress.console.print(text, markup=False, soft_wrap=True)
            last = f"{trial.variant} {trial.arm} {trial.probe}"
            text = f"{format_duration(remaining)} left, last {last}"
            progress.update(task, advance=1, description=text, refresh=True)

        yield report
