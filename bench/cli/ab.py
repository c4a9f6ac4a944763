"""`vnetbench ab`: two variants or revisions, measured side by side until the answer is clear."""

from __future__ import annotations

import random
import time
from pathlib import Path

import click
import msgspec

from bench import loads
from bench import run as runner
from bench.ab import blocks as kept
from bench.ab import revisions
from bench.ab.kinds import DEFAULT_SCENARIO, kind_of
from bench.ab.model import (
    ANSWER,
    ASKED,
    PROFILE,
    TIMED,
    AbAsked,
    Report,
    read_asked,
    seconds_of,
    time_was_up,
    write,
)
from bench.ab.session import conclude, is_clear, measure_revisions, stopping
from bench.ab.variants import chosen_variants, new_run, sides
from bench.cli.ab_table import render_report
from bench.cli.completers import scenarios as complete_scenarios
from bench.cli.measuring import carry_out, default_folder, keeping, resumed, telling
from bench.cli.options import (
    ARMS,
    Finite,
    examples,
    folder_option,
    json_option,
    print_json,
    probes_option,
    refuse_beside,
    resume_option,
    seed_option,
    source_option,
)
from bench.cli.streams import messages, output
from bench.errors import INTERRUPTED, CannotMeasure, UsageError
from bench.probes import PROBES
from bench.results import ResultSet, ResultWriter, load, partial_of
from bench.scenario import Variant
from bench.sequential import MINUTES, MOST_BLOCKS
from bench.topology import enter_user_namespace_if_needed

_DEFAULT_PROBES = ("rtt", "tcp_goodput")


@click.command(
    epilog=examples(
        "vnetbench ab flannel-udp 'flannel-udp[batch=16]' --probe rtt",
        "vnetbench ab HEAD~1 . --minutes 30 -o results/ab",
        "vnetbench ab --from results/ab --json",
    )
)
@click.argument("old", required=False, shell_complete=complete_scenarios)
@click.argument("new", required=False, shell_complete=complete_scenarios)
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_scenarios,
    help=f"What to measure two revisions by [{DEFAULT_SCENARIO}].",
)
@probes_option(TIMED, f"What to compare [{', '.join(_DEFAULT_PROBES)}].")
@click.option("--arm", "arms", multiple=True, type=click.Choice(ARMS), help=f"[{ARMS[0]}]")
@click.option(
    "--margin",
    type=float,
    default=1.0,
    show_default=True,
    metavar="PERCENT",
    help="Changes up to this do not matter.",
)
@click.option(
    "--look-for",
    type=float,
    default=5.0,
    show_default=True,
    metavar="PERCENT",
    help="Stop when a slowdown as large as this is ruled out for every metric.",
)
@click.option(
    "--max-blocks",
    type=click.IntRange(1, MOST_BLOCKS),
    help="[as many as fit into the minutes]",
)
@click.option(
    "--minutes",
    type=Finite(0, min_open=True),
    default=MINUTES,
    show_default=True,
    help="Begin no block after so long.",
)
@seed_option
@folder_option("Where the results go [default: results/TIME-ab].")
@resume_option("Go on with a comparison that was interrupted or killed.")
@source_option("Answer from what was measured before, instead of measuring.")
@json_option
def ab(
    old: str | None,
    new: str | None,
    scenarios: tuple[str, ...],
    probes: tuple[str, ...],
    arms: tuple[str, ...],
    margin: float,
    look_for: float,
    max_blocks: int | None,
    minutes: float,
    seed: int | None,
    folder: Path | None,
    resume: Path | None,
    source: Path | None,
    as_json: bool,
) -> None:
    """Compare NEW with OLD, both measured in every block, until the answer is clear.

    Two variants, as tables name them: a scenario, or "scenario[parameter=value,…]". Or two
    revisions of this project: whatever git knows as a commit, or "." for the working tree as it is
    built; these are checked out elsewhere and built first. A name of a shipped scenario or of a
    .toml file is a variant, unless --scenario says that revisions are meant.

    Exit status 1: NEW is slower. 130: interrupted; what was measured is kept, and --resume goes on.
    """
    if source is not None:
        refuse_beside("source")
        _answer_from(source, as_json)
        return
    if resume is not None:
        refuse_beside("resume")
        _go_on(resume, as_json)
        return
    if old is None or new is None:
        raise UsageError("ab: name two variants or two revisions, OLD and NEW")
    kind = kind_of(old, new, scenarios)
    asked = AbAsked(
        kind=kind,
        old=old,
        new=new,
        commits=revisions.commits_of(old, new) if kind == "revisions" else (),
        scenarios=tuple(dict.fromkeys(scenarios or (DEFAULT_SCENARIO,)))
        if kind == "revisions"
        else (),
        probes=tuple(dict.fromkeys(probes or _DEFAULT_PROBES)),
        arms=tuple(dict.fromkeys(arms or ARMS[:1])),
        margin=margin / 100,
        look_for=look_for / 100,
        max_blocks=max_blocks or 0,
        minutes=minutes,
        seed=random.SystemRandom().randrange(2**32) if seed is None else seed,
    )
    if max_blocks is None:
        asked = msgspec.structs.replace(asked, max_blocks=asked.blocks_within(minutes))
    _refuse_impossible(asked)
    folder = folder or default_folder(PROFILE)
    if kind == "variants":
        _begin_variants(asked, folder, as_json)
    else:
        _begin_revisions(asked, folder, as_json)


def _refuse_impossible(asked: AbAsked) -> None:
    _ = asked.limits, asked.looks()
    missing = {id_: reason for id_ in asked.probes if (reason := PROBES[id_].missing())}
    if len(missing) == len(asked.probes):
        raise CannotMeasure("; ".join(f"{id_}: {reason}" for id_, reason in missing.items()))


def _go_on(folder: Path, as_json: bool) -> None:
    partial = partial_of(folder)
    asked = read_asked(partial if partial.is_dir() else folder)
    if asked.kind == "revisions":
        done = kept.whole_blocks(folder, asked)
        if time_was_up(folder) or is_clear(asked, kept.sides(folder, asked, done), len(done)):
            _answer_revisions(asked, folder, as_json)
        else:
            _measure_revisions(asked, folder, as_json)
        return
    enter_user_namespace_if_needed()
    chosen = chosen_variants(asked)
    with resumed(folder) as writer:
        runner.refuse_changed(writer.run, chosen)
        _measure_variants(asked, chosen, writer, as_json)


def _answer_from(folder: Path, as_json: bool) -> None:
    asked = read_asked(folder)
    if asked.kind == "revisions":
        _answer_revisions(asked, folder, as_json)
    else:
        _answer_variants(asked, load(folder), as_json)


# ---- variants -----------------------------------------------------------------------------------


def _begin_variants(asked: AbAsked, folder: Path, as_json: bool) -> None:
    enter_user_namespace_if_needed()
    chosen = chosen_variants(asked)
    with ResultWriter.create(folder, new_run(asked, chosen)) as writer:
        write(partial_of(writer.directory) / ASKED, asked)
        _measure_variants(asked, chosen, writer, as_json)


def _measure_variants(
    asked: AbAsked, chosen: dict[str, Variant], writer: ResultWriter, as_json: bool
) -> None:
    console, names = messages(), list(chosen)
    partial, started = partial_of(writer.directory), time.monotonic()
    enough = stopping(asked, lambda: sides(load(partial), names))
    folder, interrupted = carry_out(chosen, writer, console, enough)
    seconds = time.monotonic() - started
    _answer_variants(asked, load(folder), as_json, seconds=seconds, interrupted=interrupted)


def _answer_variants(
    asked: AbAsked,
    results: ResultSet,
    as_json: bool,
    *,
    seconds: float | None = None,
    interrupted: bool = False,
) -> None:
    old, new = results.run.variants
    pending = {trial.block for trial in results.run.pending()}
    report = conclude(
        asked,
        (old, new),
        results.path,
        sides(results, (old, new)),
        len({trial.block for trial in results.run.ended()} - pending),
        seconds=seconds_of(results.path) if seconds is None else seconds,
        interrupted=bool(pending),
        disturbed_load=bool(loads.disturbed(results.run)),
    )
    _finish(report, interrupted, as_json)


# ---- revisions ----------------------------------------------------------------------------------


def _begin_revisions(asked: AbAsked, folder: Path, as_json: bool) -> None:
    if folder.exists():
        raise UsageError(f"{folder}: exists, and is never overwritten; name another")
    try:
        folder.mkdir(parents=True)
        write(folder / ASKED, asked)
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be created: {error.strerror}; name another place with -o"
        ) from None
    _measure_revisions(asked, folder, as_json)


def _measure_revisions(asked: AbAsked, folder: Path, as_json: bool) -> None:
    folder = folder.absolute()
    interrupted, started = False, time.monotonic()
    try:
        with (
            telling(messages()) as tell,
            revisions.built(*revisions.asked_for(asked), tell) as ready,
        ):
            measure_revisions(asked, folder, ready, tell)
    except KeyboardInterrupt:
        interrupted = True
    seconds = time.monotonic() - started
    _answer_revisions(asked, folder, as_json, seconds=seconds, interrupted=interrupted)


def _answer_revisions(
    asked: AbAsked,
    folder: Path,
    as_json: bool,
    *,
    seconds: float | None = None,
    interrupted: bool = False,
) -> None:
    names, blocks = revisions.asked_for(asked), kept.whole_blocks(folder, asked)
    before = seconds is None
    report = conclude(
        asked,
        (str(names[0]), str(names[1])),
        folder,
        kept.sides(folder, asked, blocks),
        len(blocks),
        seconds=seconds_of(folder) if seconds is None else seconds,
        interrupted=not time_was_up(folder) if before else interrupted,
        disturbed_load=kept.disturbed_loads(folder, asked),
    )
    _finish(report, interrupted, as_json)


# ---- what both do -------------------------------------------------------------------------------


def _finish(report: Report, interrupted: bool, as_json: bool) -> None:
    """Keep the report, print it, and exit with what came of it."""
    folder = Path(report.results)
    with keeping(folder / ANSWER):
        write(folder / ANSWER, report)
    if as_json:
        print_json(report)
    else:
        render_report(report, output())
    context = click.get_current_context()
    if interrupted:
        text = f"interrupted; go on with: vnetbench ab --resume {folder}"
        messages().print(text, soft_wrap=True, markup=False)
        context.exit(INTERRUPTED)
    context.exit(report.exit_code())
