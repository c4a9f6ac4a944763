"""`vnetbench run`: measure scenarios and keep the results."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench import forwarders, loads
from bench import run as runner
from bench.ab.model import PROFILE as AB
from bench.cli.completers import result_sets
from bench.cli.completers import scenarios as complete_scenarios
from bench.cli.measuring import carry_out, default_folder, ended, resumed
from bench.cli.options import (
    ARMS,
    blocks_option,
    examples,
    folder_option,
    json_option,
    override_option,
    print_json,
    probes_option,
    profile_option,
    refuse_beside,
    resume_option,
    seed_option,
)
from bench.cli.streams import messages, output
from bench.cli.tables import render_summary
from bench.errors import INTERRUPTED, UsageError
from bench.peers import PROFILE as PEERS
from bench.probes import PROBES
from bench.probes.delay import POISSON, SPACINGS
from bench.quality.rule import REPEATS
from bench.results import Asked, ResultWriter, Run, load, load_unfinished
from bench.scenario import Variant, find, variants
from bench.selftest.model import PROFILE as SELFTEST
from bench.topology import enter_user_namespace_if_needed
from bench.why.experiment import PROFILE as WHY

_DEFAULT_PROBES = tuple(id_ for id_, probe in PROBES.items() if probe.default)
_OWN_COMMAND = {
    WHY: "why --resume",
    AB: "ab --resume",
    SELFTEST: "selftest --from",
    PEERS: "peers --resume",
}
"""Profiles whose runs another command goes on with, or answers from."""


@click.command(
    epilog=examples(
        "vnetbench run veth vxlan",
        "vnetbench run flannel-udp -p mtu=1400,9000 --profile standard -o results/a",
        "vnetbench run vxlan --probe packet_rate_64 --arm native --json",
        "vnetbench run --resume results/a",
    )
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_scenarios)
@folder_option("Where the result set goes [default: results/TIME-PROFILE].")
@profile_option
@probes_option(list(PROBES), f"What to measure [{', '.join(_DEFAULT_PROBES)}].")
@click.option("--arm", "arms", multiple=True, type=click.Choice(ARMS), help="[both]")
@blocks_option
@seed_option
@click.option(
    "--no-repeat",
    is_flag=True,
    help="Let a trial count at once, whatever disturbed it.",
)
@click.option(
    "--spacing",
    type=click.Choice(SPACINGS),
    default=SPACINGS[0],
    show_default=True,
    help="Of the datagrams whose delay is measured.",
)
@resume_option("Go on with a run that was interrupted or killed; takes no other option.")
@click.option(
    "--loads-of",
    metavar="DIR",
    type=click.Path(path_type=Path),
    shell_complete=result_sets,
    help="Measure delays at the loads of that result set, to be compared with it.",
)
@json_option
@override_option
def run(
    names: tuple[str, ...],
    folder: Path | None,
    profile: str,
    probes: tuple[str, ...],
    arms: tuple[str, ...],
    blocks: int | None,
    seed: int | None,
    no_repeat: bool,
    spacing: str,
    resume: Path | None,
    loads_of: Path | None,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Measure scenarios (the ladder for no NAME) and write a result set.

    NAME is one of `vnetbench list`, or the path of a scenario file. Every trial runs on freshly
    built namespaces; trials of all scenarios are interleaved in random order.

    Exit status 3: some of it failed or was skipped; the reasons stand below the table.
    """
    enter_user_namespace_if_needed()
    if resume is not None:
        refuse_beside("resume")
        begun = load_unfinished(resume).run
        if own := _OWN_COMMAND.get(begun.asked.profile):
            raise UsageError(f"{resume}: go on with vnetbench {own} {resume}")
        chosen = _variants_of(begun)
        with resumed(resume) as writer:
            _measure(chosen, writer, as_json)
        return
    chosen = {variant.name: variant for variant in variants(find(names), overrides)}
    for variant in chosen.values():
        forwarders.check(variant)
    asked = Asked(
        scenarios=names,
        overrides=overrides,
        profile=profile,
        settings=_settings(probes or _DEFAULT_PROBES, profile, spacing),
        probes=tuple(dict.fromkeys(probes or _DEFAULT_PROBES)),
        arms=tuple(dict.fromkeys(arms)) or tuple(ARMS),
        blocks=blocks or runner.BLOCKS[profile],
        seed=random.SystemRandom().randrange(2**32) if seed is None else seed,
        repeats=0 if no_repeat else REPEATS,
    )
    begun = runner.whole_run(asked, chosen)
    if loads_of is not None:
        begun = loads.go_by(begun, load(loads_of).run)
        if not loads.has_loads(begun):
            raise UsageError(f"{loads_of}: has no loads of any of these scenarios")
    with ResultWriter.create(folder or default_folder(profile), begun) as writer:
        _measure(chosen, writer, as_json)


def _settings(probes: Sequence[str], profile: str, spacing: str) -> dict[str, dict[str, Any]]:
    """What the probes are given. Raises UsageError for a spacing of datagrams that none sends."""
    settings = {id_: dict(PROBES[id_].settings[profile]) for id_ in probes}
    delays = [values for values in settings.values() if POISSON in values]
    if spacing != SPACINGS[0] and not delays:
        raise UsageError(f"--spacing {spacing}: is of delays; choose one, as --probe delay_50")
    for values in delays:
        values[POISSON] = spacing == SPACINGS[0]
    return settings


def _variants_of(run: Run) -> dict[str, Variant]:
    """The variants of a run that is resumed; all it needs must be what it was."""
    if unknown := [probe for probe in run.asked.probes if probe not in PROBES]:
        raise UsageError(f"{', '.join(unknown)}: not a probe of this vnetbench; run anew")
    chosen = {v.name: v for v in variants(find(run.asked.scenarios), run.asked.overrides)}
    runner.refuse_changed(run, chosen)
    return chosen


def _measure(chosen: dict[str, Variant], writer: ResultWriter, as_json: bool) -> None:
    """Run what is pending, keep it, print the table, and exit with what came of it."""
    console = messages()
    folder, interrupted = carry_out(chosen, writer, console)
    results = load(folder)
    if as_json:
        # Imported here: numpy would slow every other command down.
        from bench.summary import document  # noqa: PLC0415

        print_json(document(results))
    else:
        render_summary(results, output())
    if interrupted:
        text = f"interrupted; go on with: vnetbench run --resume {folder}"
        console.print(text, soft_wrap=True, markup=False)
        sys.exit(INTERRUPTED)
    sys.exit(ended(writer))
