"""`vnetbench list` and `vnetbench show`: what there is, and what it looks like."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench import forwarders, native, presets
from bench.cli.options import ARMS, also_given, override_option
from bench.errors import UsageError
from bench.probes import PROBES
from bench.recipe import shell_commands
from bench.scenario import (
    Variant,
    find,
    load,
    parse_ref,
    shipped_peers,
    show_value,
    trace,
    variants,
)
from bench.topology import Arm, enter_user_namespace_if_needed
from bench.trial import obstacle


@click.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def list_(names: tuple[str, ...]) -> None:
    """List the scenarios, and whether this machine can run each.

    Without names: the ladder, which `run` and `why` measure by default, and then what is set beside
    it, other programs and other devices. Each is stood up for a moment and a few datagrams cross
    it, so the answer is not a guess.
    """
    enter_user_namespace_if_needed()
    table = Table(box=None, pad_edge=False)
    table.add_column("scenario")
    table.add_column("what it is", ratio=1)
    table.add_column("runs here")
    files = find(names) if names else [*find(()), *shipped_peers().values()]
    for path in files:
        variant = load(path)
        table.add_row(variant.base, variant.scenario.title, _obstacle(variant) or _yes(variant))
    Console().print(table)
    for probe in PROBES.values():
        reason = probe.missing()
        if reason:
            click.echo(f"\nNot measured here: {probe.id}, because {reason}")


def _yes(variant: Variant) -> str:
    """That it runs, and with which versions of what is not ours."""
    return ", ".join(["yes", *forwarders.versions(variant.scenario)])


def _obstacle(variant: Variant) -> str | None:
    """Why the variant cannot run on this machine, found out by trying."""
    reason = obstacle(variant)
    return reason and f"no: {reason}"


@click.command()
@click.argument("name")
@click.option("--commands", is_flag=True, help="Print the equivalent ip and bridge commands.")
@click.option(
    "--arm",
    type=click.Choice(ARMS),
    default=ARMS[0],
    show_default=True,
    help="Of the commands: offloads as they come, or segmentation and receive offload off.",
)
@click.option(
    "--drawing",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Draw it, with the way of a packet, to FILE.svg or FILE.png.",
)
@override_option
def show(
    name: str, commands: bool, arm: str, drawing: Path | None, overrides: tuple[str, ...]
) -> None:
    """Show a scenario: its drawing, parameters and path, or the commands that build it.

    NAME is one of `vnetbench list`, or the path of a scenario file.
    """
    found = variants(find([name]), overrides)
    forwarders.check(found[0])
    if len(found) > 1:
        raise UsageError("show: give one value for each parameter; there is one drawing")
    if drawing is not None:
        if others := also_given("name", "drawing", "overrides"):
            raise UsageError(f"--drawing takes nothing but -p; leave out {', '.join(others)}")
        # Imported here: matplotlib would slow every other command down.
        from bench.drawing.picture import save  # noqa: PLC0415

        save(found[0], drawing)
    elif commands:
        click.echo("\n".join(shell_commands(found[0], Arm(arm))))
    else:
        _describe(found[0])


def _describe(variant: Variant) -> None:
    scenario = variant.scenario
    client, server = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
    hops = [str(hop.ref) for hop in trace(scenario, client, server)]
    click.echo(f"{variant.name}: {scenario.title}\n{scenario.drawing.rstrip()}\n")
    click.echo(f"path: {' → '.join(hops)}")
    switches = native.switches() if "pump" in variant.parameters else {}
    others = {k: v for k, v in variant.parameters.items() if k not in switches}
    click.echo(f"parameters: {', '.join(f'{k}={show_value(v)}' for k, v in others.items())}")
    if switches:
        click.echo(f"switches of the pump (pump={'|'.join(presets.NAMES)} sets several at once):")
    for name, switch in switches.items():
        value = show_value(variant.parameters[name])
        click.echo(f"  {name:13} {value:10} {switch.help} [{switch.choices}]")
    click.echo(f"file: {variant.source}")
