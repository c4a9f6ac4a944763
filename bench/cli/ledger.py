"""`vnetbench ledger`: where the work of a packet goes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from bench import forwarders
from bench.cli.completers import scenarios
from bench.cli.ledger_table import render_ledger
from bench.cli.measuring import telling
from bench.cli.options import ARMS, Finite, examples, json_option, override_option, print_json
from bench.cli.streams import messages, output
from bench.errors import NOT_MEASURED, UsageError
from bench.probes import PROBES, prove
from bench.probes.base import refuse_guests
from bench.remaining import Remaining
from bench.scenario import Variant, find, variants
from bench.topology import Arm, build, enter_user_namespace_if_needed

if TYPE_CHECKING:
    from bench.ledger import Ledger, Load

_LARGEST = 1400
"""Bytes of payload that every path carries in one packet."""


@click.command(
    epilog=examples(
        "vnetbench ledger vxlan flannel-udp",
        "vnetbench ledger flannel-udp -p batch=16 --load tcp --json",
    )
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=scenarios)
@click.option("--arm", type=click.Choice(ARMS), default=ARMS[0], show_default=True)
@click.option(
    "--load",
    "kind",
    type=click.Choice(["udp", "tcp"]),
    default="udp",
    show_default=True,
    help="Small datagrams one by one, or one TCP stream as fast as it goes.",
)
@click.option("--packets", type=click.IntRange(100, 10_000_000), default=20_000, show_default=True)
@click.option(
    "--size",
    type=click.IntRange(16, _LARGEST),
    default=64,
    show_default=True,
    help="Bytes of payload of a datagram.",
)
@click.option(
    "--rate",
    type=Finite(1, 1e6),
    default=5000,
    show_default=True,
    help="Datagrams a second; modest, so that none is lost.",
)
@json_option
@override_option
def ledger(
    names: tuple[str, ...],
    arm: str,
    kind: str,
    packets: int,
    size: int,
    rate: float,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Count what is done for each packet: system calls, copies, passes through stack and devices.

    Of the ladder for no NAME. Beside each count stands what the scenario's file predicts. Nothing
    is timed.

    Exit status 3: two ways of counting the same thing disagree.
    """
    # Imported here: most commands do without it.
    from bench.ledger import Load  # noqa: PLC0415

    load = Load(kind=kind, packets=packets, size=size, rate=rate)
    if kind == "tcp":
        _refuse_datagram_options()
    chosen = variants(find(names), overrides)
    for variant in chosen:
        forwarders.check(variant)
    enter_user_namespace_if_needed()
    found = []
    for one in _taken(chosen, Arm(arm), load):
        found.append(one)
        if not as_json:
            render_ledger(one, output())
    if as_json:
        print_json({"format": 1, "ledgers": found})
    if not all(one.sound for one in found):
        sys.exit(NOT_MEASURED)


def _taken(chosen: Sequence[Variant], arm: Arm, load: Load) -> Iterator[Ledger]:
    from bench.ledger import take  # noqa: PLC0415

    probe = PROBES["ledger"]
    remaining = Remaining(
        len(chosen), each=probe.duration({"packets": load.packets, "rate": load.rate})
    )
    for done, variant in enumerate(chosen):
        refuse_guests(probe, variant.scenario)
        with telling(messages()) as tell:
            tell(f"counting {variant.name}, {done + 1} of {len(chosen)}{remaining.after(done)}")
            with (
                build(variant.scenario, arm) as topology,
                forwarders.forwarding(topology) as running,
            ):
                ledger = take(prove(topology, f"{variant.name}, {arm}", running), load)
        yield ledger


def _refuse_datagram_options() -> None:
    context = click.get_current_context()
    given = click.core.ParameterSource.COMMANDLINE
    for name in ("packets", "size", "rate"):
        if context.get_parameter_source(name) == given:
            raise UsageError(f"ledger: --{name} is of datagrams; leave it out with --load tcp")
