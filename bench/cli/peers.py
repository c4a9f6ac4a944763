"""`vnetbench peers`: our pump and the programs of others on one topology, in one table."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import click
from rich.text import Text

from bench import forwarders, peers
from bench import run as runner
from bench.cli.completers import scenarios
from bench.cli.measuring import carry_out, default_folder, ended, resumed
from bench.cli.options import (
    ARMS,
    blocks_option,
    examples,
    folder_option,
    json_option,
    override_option,
    print_json,
    profile_option,
    refuse_beside,
    resume_option,
    seed_option,
    source_option,
)
from bench.cli.streams import messages, output
from bench.cli.tables import print_lines, table_of
from bench.errors import INTERRUPTED, UsageError
from bench.metrics import METRICS
from bench.probes import PROBES
from bench.quality.rule import REPEATS
from bench.quality.words import folded
from bench.results import Asked, ResultSet, ResultWriter, load, load_unfinished
from bench.scenario import Variant
from bench.topology import enter_user_namespace_if_needed
from bench.units import format_value


@click.command(
    "peers",
    epilog=examples(
        "vnetbench peers",
        "vnetbench peers tun-udp --profile standard -o results/peers",
        "vnetbench peers --from results/peers --json",
    ),
)
@click.argument("topology", default="tun-udp", shell_complete=scenarios)
@folder_option("Where the result set goes [default: results/TIME-peers].")
@profile_option
@click.option("--arm", type=click.Choice(ARMS), default=ARMS[0], show_default=True)
@blocks_option
@seed_option
@resume_option("Go on with a comparison that was interrupted or killed; takes no other option.")
@source_option("Print the table of a comparison that was measured before.")
@json_option
@override_option
def peers_(
    topology: str,
    folder: Path | None,
    profile: str,
    arm: str,
    blocks: int | None,
    seed: int | None,
    resume: Path | None,
    source: Path | None,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Set our pump beside the programs of others, all on the hosts and devices of TOPOLOGY.

    Takes part: the pump with each set of switches that has a name, and every program (`vnetbench
    list`) whose scenario has the same hosts, devices, MTUs and links, with each of its ciphers. One
    that is not installed is skipped with its reason; `make peers` installs what the distribution
    has.

    Exit status 3: some of it failed or was skipped; the reasons stand below the table.
    """
    if source is not None:
        refuse_beside("source")
        results = load(source)
        if results.run.asked.profile != peers.PROFILE:
            raise UsageError(f"{source}: is not of vnetbench peers; run it anew")
        _print(results, as_json)
        return
    enter_user_namespace_if_needed()
    if resume is not None:
        refuse_beside("resume")
        run = load_unfinished(resume).run
        if run.asked.profile != peers.PROFILE:
            raise UsageError(f"{resume}: is no comparison of peers; go on with its own command")
        chosen = peers.taking_part(run.asked.scenarios[0], run.asked.overrides)
        runner.refuse_changed(run, chosen)
        with resumed(resume) as writer:
            _measure(chosen, writer, as_json)
        return
    chosen = peers.taking_part(topology, overrides)
    for variant in chosen.values():
        forwarders.check(variant)
    asked = Asked(
        scenarios=(topology,),
        overrides=overrides,
        profile=peers.PROFILE,
        settings={id_: dict(PROBES[id_].settings[profile]) for id_ in peers.PROBES},
        probes=peers.PROBES,
        arms=(arm,),
        blocks=blocks or runner.BLOCKS[profile],
        seed=random.SystemRandom().randrange(2**32) if seed is None else seed,
        repeats=REPEATS,
    )
    begun = runner.whole_run(asked, chosen)
    with ResultWriter.create(folder or default_folder(peers.PROFILE), begun) as writer:
        _measure(chosen, writer, as_json)


def _measure(chosen: dict[str, Variant], writer: ResultWriter, as_json: bool) -> None:
    console = messages()
    folder, interrupted = carry_out(chosen, writer, console)
    _print(load(folder), as_json)
    if interrupted:
        text = f"interrupted; go on with: vnetbench peers --resume {folder}"
        console.print(text, soft_wrap=True, markup=False)
        sys.exit(INTERRUPTED)
    sys.exit(ended(writer))


def _print(results: ResultSet, as_json: bool) -> None:
    """The table, and in words where somebody is ahead of us."""
    if as_json:
        print_json(peers.document(results))
        return
    console, run = output(), results.run
    rows = peers.rows(results)
    table = table_of(f"forwarders on {run.asked.scenarios[0]}, {run.asked.arms[0]}")
    table.add_column("cipher")
    for metric in peers.COLUMNS:
        table.add_column(METRICS[metric].title, justify="right", no_wrap=True)
    for row in rows:
        cells = [row.name, row.cipher, *map(_cell, row.entries)]
        table.add_row(*map(Text, cells))
    console.print(table)
    console.print()
    print_lines(
        console,
        [
            f"Median of {run.asked.blocks} blocks; below it how many times as good as the best of "
            "our pumps in that column (1.00x is that pump; more is better, whatever the metric).",
            *_verdict(rows),
            *_missing(results),
            *(f"Warning: {text}" for text in folded(run.warnings, run.variants)),
            *([] if run.status == "complete" else [f"This run is not complete: {run.status}."]),
            f"Results: {results.path}",
        ],
    )


def _cell(entry: peers.Entry) -> str:
    if entry.summary is None:
        return "-"
    value = format_value(entry.summary.median, entry.summary.unit)
    return value if entry.ratio is None else f"{value}\n{entry.ratio:.2f}x"


def _verdict(rows: list[peers.Row]) -> list[str]:
    found = list(peers.ahead(rows))
    if found:
        return ["Ahead of our pump, without encryption:", *(f"  {line}" for line in found)]
    if any(not row.ours and row.cipher == peers.CLEAR for row in rows):
        return ["Our best pump is ahead of every unencrypted program in every column."]
    return ["No unencrypted program was measured."]


def _missing(results: ResultSet) -> list[str]:
    """A line for each thing that was not measured, with its reason."""
    seen = dict.fromkeys(
        f"{failure.variant}: {'skipped' if failure.missing else 'failed'}: {failure.reason}"
        for failure in results.run.failures
    )
    return folded(seen, results.run.variants)
