"""`vnetbench selftest`: how far `ab` can be trusted on this machine."""

from __future__ import annotations

import random
import time
from datetime import datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.text import Text

from bench.ab.kinds import DEFAULT_SCENARIO
from bench.ab.model import TIMED
from bench.cli.completers import scenarios
from bench.cli.measuring import carry_out, default_folder, keeping, telling
from bench.cli.options import (
    Finite,
    examples,
    folder_option,
    json_option,
    print_json,
    probes_option,
    refuse_beside,
    seed_option,
    source_option,
)
from bench.cli.streams import messages, output
from bench.cli.tables import new_table, print_lines
from bench.errors import INTERRUPTED, REGRESSION, SUCCESS, CannotMeasure, UsageError
from bench.metrics import METRICS
from bench.probes import PROBES
from bench.results import ResultSet, ResultWriter, Run, beside, load
from bench.results.model import now
from bench.selftest.design import ARM, calibration, calls_for, main_run, path_of
from bench.selftest.model import ANSWER, PLANTED, PROFILE, Planted, Rate, Selftest
from bench.sequential import MINUTES, Limits
from bench.topology import enter_user_namespace_if_needed

_DEFAULT_PROBES = ("serial", "rtt")


@click.command(
    epilog=examples(
        "vnetbench selftest --minutes 15 --probe rtt -o results/selftest",
        "vnetbench selftest --from results/selftest --json",
    )
)
@click.option(
    "--scenario",
    default=DEFAULT_SCENARIO,
    show_default=True,
    metavar="NAME",
    shell_complete=scenarios,
    help="What to measure; a pump must be on it.",
)
@probes_option(TIMED, f"What to examine [{', '.join(_DEFAULT_PROBES)}].")
@click.option(
    "--minutes",
    type=Finite(0, min_open=True),
    default=MINUTES,
    show_default=True,
    help="To measure for; the statistics take some three more.",
)
@seed_option
@folder_option("Where the results go [default: results/TIME-selftest].")
@source_option("Draw from what was measured before, instead of measuring.")
@json_option
@click.pass_context
def selftest(
    context: click.Context,
    scenario: str,
    probes: tuple[str, ...],
    minutes: float,
    seed: int | None,
    folder: Path | None,
    source: Path | None,
    as_json: bool,
) -> None:
    """Measure how often `ab` raises a false alarm here, and how often it catches what is planted.

    A path is measured against itself, and against itself with a handicap of about 5 %; hundreds of
    comparisons are then drawn from these blocks and decided as `ab` decides. docs/comparing.md
    says how far that goes.

    Exit status 1: more than 1 % false alarms, or what was planted caught in less than 95 %.
    """
    if source is not None:
        refuse_beside("source")
        results = load(source)
        if results.run.asked.profile != PROFILE:
            raise UsageError(f"{source}: is not of vnetbench selftest; run it anew")
        context.exit(_report(results, as_json))
    enter_user_namespace_if_needed()
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    chosen = tuple(dict.fromkeys(probes or _DEFAULT_PROBES))
    folder = folder or default_folder(PROFILE)
    if folder.exists():  # said now, and not after the calibration
        raise UsageError(f"{folder}: exists, and is never overwritten; name another")
    results, interrupted = _measure(scenario, chosen, 60 * minutes, seed, folder)
    status = _report(results, as_json)
    context.exit(INTERRUPTED if interrupted else status)


def _measure(
    scenario: str, probes: tuple[str, ...], seconds: float, seed: int, folder: Path
) -> tuple[ResultSet, bool]:
    """Calibrate, then measure until the time is up; returns also whether it was interrupted."""
    begun = time.monotonic()
    for probe in probes:
        if reason := PROBES[probe].missing():
            raise CannotMeasure(f"{probe}: {reason}")
    console, path = messages(), path_of(scenario)
    run, chosen = calibration(path, probes, seed)
    with ResultWriter.create(beside(folder, "-calibration"), run) as writer:
        where, interrupted = carry_out(chosen, writer, console)
    if interrupted:
        console.print(
            f"interrupted while calibrating; run it anew (what there is: {where})",
            soft_wrap=True,
            markup=False,
        )
        click.get_current_context().exit(INTERRUPTED)
    run, chosen = main_run(path, calls_for(load(where), probes), seconds, seed)
    with ResultWriter.create(folder, run) as writer:
        where, interrupted = carry_out(
            chosen, writer, console, lambda _: time.monotonic() - begun > seconds
        )
    return load(where), interrupted


def _report(results: ResultSet, as_json: bool) -> int:
    """Examine, keep the answer beside the results, print it, and return the exit status."""
    # Imported here: numpy's threads must not be there while we measure.
    from bench.selftest.redraw import examine  # noqa: PLC0415

    notes = [*results.run.warnings, *{failure.reason for failure in results.run.failures}]
    limits = Limits(look_for=PLANTED)
    with telling(messages()) as tell:
        found = examine(results, limits, _seconds(results.run), tell, notes)
    text = msgspec.json.format(msgspec.json.encode(found), indent=1)
    with keeping(file := results.path / ANSWER):
        file.write_bytes(text + b"\n")
    if as_json:
        print_json(found)
    else:
        _render(found, output())
    return SUCCESS if found.passed() else REGRESSION


def _seconds(run: Run) -> float:
    """How long measuring took."""
    begun, ended = (datetime.fromisoformat(text) for text in (run.started, run.finished or now()))
    return (ended - begun).total_seconds()


def _render(found: Selftest, console: Console) -> None:
    table = new_table(f"False alarms: {found.scenario} against itself")
    for heading in ("comparisons", "alarms", "rate", "95 % interval", "blocks"):
        figures = heading != "comparisons"
        table.add_column(heading, justify="right" if figures else "left", no_wrap=figures)
    table.add_row("each of blocks of its own", *_rate(found.fresh))
    table.add_row("drawn again from the same blocks", *_rate(found.redrawn))
    console.print(table)
    for metric in dict.fromkeys(planted.metric for planted in found.planted):
        table = new_table(f"Caught: the same with something planted in {METRICS[metric].title}")
        table.add_column("planted", no_wrap=True)
        for heading in ("slowdown", "caught", "95 % interval", "blocks", "time"):
            table.add_column(heading, justify="right", no_wrap=True)
        for planted in found.planted:
            if planted.metric == metric:
                table.add_row(*_planted(planted, found.seconds_per_block))
        console.print(table)
    console.print()
    print_lines(
        console,
        [
            f"{found.blocks} blocks were measured in {found.seconds / 60:.1f} min. A comparison of "
            f"{found.most} blocks at most, {found.most * found.seconds_per_block / 60:.0f} min, is "
            "drawn from them. The intervals are for the noise of this session, not for another "
            "day's.",
            "null_calls: planted in the pump, and measured. figures x: nothing is planted in the "
            "path, the values of the second side are made so much worse.",
            f"Margin {100 * found.margin:g} %, budget for false alarms {found.alarm:.1%}. "
            f"{ARM}: offloads as each path ships them. Blocks and time: the median.",
            *(f"Note: {text}" for text in found.notes),
            f"Results: {found.results} ({ANSWER})",
        ],
    )


def _rate(rate: Rate) -> list[Text]:
    return [
        Text(f"{rate.hits} of {rate.comparisons}"),
        Text(f"{rate.rate:.1%}"),
        Text(f"{rate.low:.1%} to {rate.high:.1%}"),
        Text(f"{rate.median_blocks:g}"),
    ]


def _planted(planted: Planted, each: float) -> list[Text]:
    size = f"{planted.size:.1%}"
    if planted.low is not None and planted.high is not None:
        size += f" ({100 * planted.low:.1f} {100 * planted.high:.1f})"
    caught = planted.caught
    return [
        Text(planted.how.partition("[")[2].removesuffix("]") or planted.how),
        Text(size),
        Text(f"{caught.rate:.1%}"),
        Text(f"{caught.low:.1%} to {caught.high:.1%}"),
        Text(f"{caught.median_blocks:g}"),
        Text(f"{caught.median_blocks * each:.0f} s"),
    ]
