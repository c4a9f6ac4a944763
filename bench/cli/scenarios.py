"""`vnetbench list` and `vnetbench show`: what there is, and what it looks like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
from rich.text import Text

from bench import forwarders, native, presets
from bench.cli.completers import scenarios
from bench.cli.layout import FittingTable
from bench.cli.measuring import telling
from bench.cli.options import (
    ARMS,
    examples,
    force_option,
    json_option,
    override_option,
    print_json,
    refuse_beside,
)
from bench.cli.streams import messages, output
from bench.cli.tables import print_lines
from bench.errors import UsageError
from bench.probes import PROBES
from bench.recipe import shell_commands
from bench.remaining import Remaining
from bench.scenario import (
    Variant,
    find,
    load,
    parse_ref,
    shipped_peers,
    shipped_scenarios,
    show_value,
    trace,
    variants,
)
from bench.topology import Arm, enter_user_namespace_if_needed
from bench.trial import obstacle


@dataclass(frozen=True)
class Listed:
    """A scenario as `list` shows it.

    ladder: whether it is of those that are measured by default. obstacle: why it does not run here,
    or None. versions: of the programs that are not ours.
    """

    name: str
    title: str
    file: str
    ladder: bool
    runs: bool
    obstacle: str | None
    versions: list[str]


@click.command("list", epilog=examples("vnetbench list", "vnetbench list veth flannel-udp --json"))
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=scenarios)
@json_option
def list_(names: tuple[str, ...], as_json: bool) -> None:
    """List the scenarios, and whether this machine can run each.

    Without names: the ladder, which `run` and `ledger` take by default, and then what is set beside
    it, other programs and other devices. Each is stood up for a moment and a few datagrams cross
    it, so the answer is not a guess.
    """
    enter_user_namespace_if_needed()
    files = find(names) if names else [*find(()), *shipped_peers().values()]
    found = _tried(files)
    lacking = {probe.id: reason for probe in PROBES.values() if (reason := probe.missing())}
    if as_json:
        print_json({"format": 1, "scenarios": found, "not_measured": lacking})
        return
    table = FittingTable(box=None, pad_edge=False)
    for heading in ("scenario", "what it is", "runs here"):
        table.add_column(heading)
    for one in found:
        answer = ", ".join(["yes", *one.versions]) if one.runs else f"no: {one.obstacle}"
        table.add_row(*map(Text, (one.name, one.title, answer)))
    console = output()
    console.print(table)
    for id_, reason in lacking.items():
        print_lines(console, ["", f"Not measured here: {id_}, because {reason}"])


def _tried(files: list[Path]) -> list[Listed]:
    """Each of them with whether it runs."""
    found, remaining = [], Remaining(len(files))
    ladder = set(shipped_scenarios().values())
    with telling(messages()) as tell:
        for done, path in enumerate(files):
            variant = load(path)
            tell(f"trying {variant.base}, {done + 1} of {len(files)}{remaining.after(done)}")
            reason = obstacle(variant)
            found.append(
                Listed(
                    name=variant.base,
                    title=variant.scenario.title,
                    file=str(path),
                    ladder=path in ladder,
                    runs=reason is None,
                    obstacle=reason,
                    versions=[] if reason else list(forwarders.versions(variant.scenario)),
                )
            )
    return found


@click.command(
    epilog=examples(
        "vnetbench show flannel-udp",
        "vnetbench show vxlan --commands --arm parity",
        "vnetbench show flannel-udp -p pump=fast --json",
        "vnetbench show flannel-udp --drawing flannel-udp.svg",
    )
)
@click.argument("name", shell_complete=scenarios)
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
@force_option("FILE")
@json_option
@override_option
def show(
    name: str,
    commands: bool,
    arm: str,
    drawing: Path | None,
    force: bool,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Show a scenario: its drawing, parameters and path, or the commands that build it.

    NAME is one of `vnetbench list`, or the path of a scenario file.
    """
    found = variants(find([name]), overrides)
    forwarders.check(found[0])
    if len(found) > 1:
        raise UsageError("show: give one value for each parameter; there is one drawing")
    if drawing is not None:
        refuse_beside("drawing", "name", "force", "overrides")
        # Imported here: matplotlib would slow every other command down.
        from bench.drawing.picture import save  # noqa: PLC0415

        save(found[0], drawing, option="--drawing", force=force)
    elif as_json:
        print_json(_document(found[0], Arm(arm)))
    elif commands:
        click.echo("\n".join(shell_commands(found[0], Arm(arm))))
    else:
        _describe(found[0])


def _document(variant: Variant, arm: Arm) -> dict[str, object]:
    """All that `show` can say."""
    switches = native.switches() if "pump" in variant.parameters else {}
    return {
        "format": 1,
        "name": variant.name,
        "scenario": variant.base,
        "title": variant.scenario.title,
        "file": str(variant.source),
        "sha256": variant.digest,
        "drawing": variant.scenario.drawing,
        "path": _path(variant),
        "parameters": dict(variant.parameters),
        "switches": {
            name: {"help": switch.help, "choices": switch.choices}
            for name, switch in switches.items()
        },
        "arm": arm,
        "commands": shell_commands(variant, arm),
    }


def _path(variant: Variant) -> list[str]:
    """The devices that a packet passes, from the client to the server."""
    scenario = variant.scenario
    client, server = parse_ref(scenario.endpoints.client), parse_ref(scenario.endpoints.server)
    return [str(hop.ref) for hop in trace(scenario, client, server)]


def _describe(variant: Variant) -> None:
    scenario = variant.scenario
    click.echo(f"{variant.name}: {scenario.title}\n{scenario.drawing.rstrip()}\n")
    click.echo(f"path: {' → '.join(_path(variant))}")
    switches = native.switches() if "pump" in variant.parameters else {}
    others = {k: v for k, v in variant.parameters.items() if k not in switches}
    click.echo(f"parameters: {', '.join(f'{k}={show_value(v)}' for k, v in others.items())}")
    if switches:
        click.echo(f"switches of the pump (pump={'|'.join(presets.NAMES)} sets several at once):")
    for name, switch in switches.items():
        value = show_value(variant.parameters[name])
        click.echo(f"  {name:13} {value:10} {switch.help} [{switch.choices}]")
    click.echo(f"file: {variant.source}")
