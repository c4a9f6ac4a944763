"""`vnetbench gate`: for CI, did anything get worse than it was?"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench import run as runner
from bench.cli.completers import one_of, result_sets
from bench.cli.entry import say
from bench.cli.measuring import carry_out, default_folder
from bench.cli.options import (
    Finite,
    examples,
    folder_option,
    json_option,
    print_json,
    probes_option,
    seed_option,
)
from bench.cli.streams import messages, output
from bench.errors import BAD_USAGE, INTERRUPTED, SUCCESS, UsageError, did_you_mean
from bench.export import EXPORTS
from bench.gate.budget import MINUTE, Clock, needed
from bench.gate.plan import confirmation, measure_again
from bench.gate.rules import MARGIN
from bench.probes import PROBES
from bench.process import Send, spawn
from bench.results import ResultSet, ResultWriter, Run, beside, load
from bench.saving import check, save
from bench.topology import enter_user_namespace_if_needed

if TYPE_CHECKING:
    from bench.compare import Key
    from bench.gate.decide import Decision
    from bench.scenario import Variant

_LEDGER = "ledger"
_STDOUT = Path("-")
_COMPARING = 600.0
"""Seconds that a comparison may take."""


def _exports(
    _: click.Context, __: click.Parameter, texts: tuple[str, ...]
) -> list[tuple[str, Path]]:
    """Each format with its file."""
    found = []
    for text in texts:
        format_, _equals, file = text.partition("=")
        if format_ not in EXPORTS or not file:
            near = "" if format_ in EXPORTS else did_you_mean(format_, EXPORTS)
            known = ", ".join(EXPORTS)
            raise UsageError(f"--export {text}{near}: expected FORMAT=FILE, FORMAT one of {known}")
        found.append((format_, Path(file)))
    return found


@click.command(
    epilog=examples(
        "vnetbench gate --baseline results/main -o results/now --markdown gate.md",
        "vnetbench gate --baseline results/ledger-baseline --ledger-only --json",
        "vnetbench gate --baseline results/main --budget 30 --export bencher=b.json",
    )
)
@click.option(
    "--baseline",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    shell_complete=result_sets,
    help="The result set of vnetbench run to be as good as.",
)
@folder_option(
    "Where the result set goes [default: results/TIME-gate]; a second look goes to DIR-again."
)
@probes_option(list(PROBES), "Only this of the baseline's probes [all].")
@click.option("--ledger-only", is_flag=True, help="The same as --probe ledger.")
@click.option(
    "--margin",
    type=Finite(0),
    default=100 * MARGIN,
    show_default=True,
    metavar="PERCENT",
    help="Changes of times up to this do not matter; two sessions drift apart by some.",
)
@click.option(
    "--budget",
    type=Finite(0, min_open=True),
    metavar="MINUTES",
    help="Measure fewer blocks than the baseline has if both looks would take longer.",
)
@seed_option
@click.option(
    "--markdown",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Write the report as Markdown; -: instead of the table.",
)
@json_option
@click.option(
    "--export",
    "exports",
    multiple=True,
    metavar="FORMAT=FILE",
    callback=_exports,
    shell_complete=one_of(*(f"{name}=" for name in EXPORTS)),
    help=f"Write what was measured for another tool. FORMAT: {', '.join(EXPORTS)}.",
)
@click.pass_context
def gate(
    context: click.Context,
    baseline: Path,
    folder: Path | None,
    probes: tuple[str, ...],
    ledger_only: bool,
    margin: float,
    budget: float | None,
    seed: int | None,
    markdown: Path | None,
    as_json: bool,
    exports: list[tuple[str, Path]],
) -> None:
    """Measure what a baseline measured, as it is now, and fail if anything got worse.

    Counts of the ledger decide first, then instructions, then times; tails only advise. What got
    worse is measured once more, and fails the gate only if it is worse again. docs/ci.md has a
    workflow that is ready for use.

    Exit status 1: a regression was confirmed. 3: nothing got worse, but the tracer could not
    observe something here, or the machine drifted too far. 4: something was not measured or
    compared for another reason, or may have got worse. 130: interrupted, nothing was decided.
    """
    if ledger_only and probes:
        raise UsageError("--ledger-only is --probe ledger; give one of them")
    if as_json and markdown == _STDOUT:
        raise UsageError("--json and --markdown - both print; give the Markdown a file")
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    _check_files(markdown, [file for _, file in exports], Path(summary) if summary else None)
    folder = folder or default_folder("gate")
    if _again(folder).exists():
        raise UsageError(f"{_again(folder)}: exists, and is never overwritten; name another")
    enter_user_namespace_if_needed()
    before = load(baseline)
    seconds = None if budget is None else MINUTE * budget
    chosen, run = measure_again(
        before,
        (_LEDGER,) if ledger_only else tuple(dict.fromkeys(probes)),
        seed=random.SystemRandom().randrange(2**32) if seed is None else seed,
        budget=seconds,
    )
    look = Looking(before, chosen, Clock(seconds), margin / 100)
    now = look.first(run, folder)
    again, unconfirmed = look.second(now)
    # Imported here: all is measured, and numpy's threads do no harm any more.
    from bench.gate.decide import decide  # noqa: PLC0415

    decision = decide(before, now, again, margin / 100, unconfirmed=unconfirmed)
    unwritten = [
        *_Report(decision, markdown, as_json).give(os.environ),
        *_attempted(partial(_export, format_, file, now) for format_, file in exports),
    ]
    for line in unwritten:
        say(line)
    # A file without room takes nothing away from what was decided.
    context.exit(decision.exit_code or (BAD_USAGE if unwritten else SUCCESS))


def _export(format_: str, file: Path, results: ResultSet) -> None:
    save(file, EXPORTS[format_](results).encode(), option="--export")


def _attempted(writers: Iterable[Callable[[], object]]) -> list[str]:
    """Have all of them write, and return what each could not."""
    unwritten = []
    for attempt in writers:
        try:
            attempt()
        except UsageError as error:
            unwritten.append(str(error))
    return unwritten


def _check_files(markdown: Path | None, exports: list[Path], summary: Path | None) -> None:
    """Say before anything is measured that a file cannot be where it was asked for."""
    if summary and not summary.absolute().parent.is_dir():
        raise UsageError(f"{summary}: cannot be written: there is no folder {summary.parent}")
    if markdown not in (None, _STDOUT):
        check(markdown, option="--markdown")
    for file in exports:
        check(file, option="--export")


@dataclass(frozen=True)
class Looking:
    """Both looks at what the baseline measured, within one budget."""

    baseline: ResultSet
    chosen: dict[str, Variant]
    clock: Clock
    margin: float

    def first(self, run: Run, folder: Path) -> ResultSet:
        """Measure all, with time left for a second look that could show something."""
        least = needed(self.baseline, run.asked.probes)
        return _measure(
            self.chosen, run, folder, lambda done: self.clock.first_is_over(done, least)
        )

    def second(self, now: ResultSet) -> tuple[ResultSet | None, str]:
        """Measure what got worse once more; without a set, why not, or nothing got worse."""
        spent = self.clock.spent
        keys = _suspects(self.baseline, now, self.margin)
        if not keys:
            return None, ""
        run, settings = now.run, now.run.asked.settings
        # The first look has shown how far estimates are right on this machine.
        pace = spent / runner.estimate_seconds(run.ended(), settings)
        one = confirmation(run, keys, run.asked.seed + 1, 1)
        fit = self.clock.fit(pace * runner.estimate_seconds(one.plan, settings))
        if fit < needed(self.baseline, {probe for _, _, probe in keys}):
            return None, "the budget has no time left for blocks enough to show anything"
        blocks = int(min(fit, run.asked.blocks))
        click.echo(
            f"{len(keys)} of what was measured got worse, or may have; measuring that once more",
            err=True,
        )
        again = confirmation(run, keys, run.asked.seed + 1, blocks)
        over = self.clock.second_is_over()
        return _measure(self.chosen, again, _again(now.path), over), ""


def _suspects(baseline: ResultSet, now: ResultSet, margin: float) -> set[Key]:
    """What got worse, found out by a child: it needs numpy, whose threads a fork must not meet."""

    def compare(_: Send) -> dict[str, Any]:
        from bench.gate.decide import suspects  # noqa: PLC0415

        try:
            return {"keys": sorted(suspects(baseline, now, margin))}
        except UsageError:  # nothing is comparable: the decision says so
            return {"keys": []}

    with spawn("comparison", compare) as child:
        found = child.receive(_COMPARING)["keys"]
    return {(variant, arm, probe) for variant, arm, probe in found}


def _again(folder: Path) -> Path:
    return beside(folder, "-again")


def _measure(
    chosen: dict[str, Variant], run: Run, folder: Path, enough: runner.Enough
) -> ResultSet:
    console = messages()
    with ResultWriter.create(folder, run) as writer:
        path, interrupted = carry_out(chosen, writer, console, enough)
    if interrupted:
        console.print(
            f"interrupted, nothing was decided; what there is: {path}", soft_wrap=True, markup=False
        )
        sys.exit(INTERRUPTED)
    return load(path)


@dataclass(frozen=True)
class _Report:
    """Where the decision is said: on standard output, in files, and to GitHub where it runs us."""

    decision: Decision
    markdown: Path | None
    as_json: bool

    def give(self, environment: Mapping[str, str]) -> list[str]:
        """Say it everywhere. Returns a line for each file that could not be written."""
        from bench.cli.gate_table import render_decision  # noqa: PLC0415
        from bench.gate.github import workflow_commands  # noqa: PLC0415
        from bench.gate.markdown import markdown  # noqa: PLC0415

        text = markdown(self.decision)
        on_screen = self.markdown == _STDOUT
        if self.as_json:
            print_json(self.decision)
        elif on_screen:
            click.echo(text, nl=False)
        else:
            render_decision(self.decision, output())
        if environment.get("GITHUB_ACTIONS") == "true":
            # GitHub reads both streams; the document on standard output stays whole.
            for line in workflow_commands(self.decision):
                click.echo(line, err=self.as_json or on_screen)
        files: list[Callable[[], object]] = []
        if self.markdown is not None and not on_screen:
            files.append(partial(save, self.markdown, text.encode(), option="--markdown"))
        if summary := environment.get("GITHUB_STEP_SUMMARY"):
            files.append(partial(_append, Path(summary), text))
        return _attempted(files)


def _append(file: Path, text: str) -> None:
    try:
        with file.open("a", encoding="utf-8") as summary:
            summary.write(text)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from None
