"""`vnetbench doctor`: is this machine fit to carry, and to measure?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bench.cli.doctor_table import render
from bench.cli.measuring import telling
from bench.cli.options import examples, json_option, print_json
from bench.cli.streams import messages, output
from bench.errors import MissingCapability
from bench.topology import enter_user_namespace_if_needed

if TYPE_CHECKING:
    from bench.doctor.offloads import Finding

_STATUS_WIDTH = 9


@click.command(
    epilog=examples("vnetbench doctor", "vnetbench doctor --json", "vnetbench doctor --offloads")
)
@click.option(
    "--offloads", is_flag=True, help="Instead, check segmentation and receive offloads (15 s)."
)
@json_option
@click.pass_context
def doctor(context: click.Context, offloads: bool, as_json: bool) -> None:
    """Say what this machine can measure, what makes it noisy, and which command mends each.

    Takes some seconds and changes nothing. With --offloads it finds out whether this kernel carries
    data correctly: every byte of pseudo-random data over veth, VXLAN, tun, tap and UDP sockets is
    checked, one line for each offload.

    Exit status 0 whatever is noisy, or missing in part: the doctor advises. 1: data was harmed
    (--offloads alone finds that). 3: nothing can be measured, or nothing could be checked.
    """
    context.exit(_offloads(as_json) if offloads else _examine(as_json))


def _examine(as_json: bool) -> int:
    """Look at the machine; returns the exit status."""
    # Imported here: it looks at parts of vnetbench that other commands can do without.
    from bench.doctor.examine import examine, exit_code  # noqa: PLC0415
    from bench.doctor.model import Here  # noqa: PLC0415

    with telling(messages()) as tell:
        tell("looking at this machine for some seconds …")
        found = examine(Here(confined=_confined()))
    if as_json:
        print_json(found)
    else:
        render(found, output())
    return exit_code(found.can_measure)


def _confined() -> str | None:
    """Why no namespaces can be made here, which is a finding among others."""
    try:
        enter_user_namespace_if_needed()
    except MissingCapability as error:
        return str(error)
    return None


def _offloads(as_json: bool) -> int:
    """Check what the kernel does to data; returns the exit status."""
    from bench.doctor import offloads  # noqa: PLC0415

    enter_user_namespace_if_needed()
    findings = []
    for finding in offloads.examine():
        findings.append(finding)
        if not as_json:
            click.echo(_line(finding))
    if as_json:
        print_json(offloads.Document(offloads=tuple(findings)))
    return offloads.exit_code(findings)


def _line(finding: Finding) -> str:
    line = f"{finding.status:{_STATUS_WIDTH}}{finding.offload} [{finding.path}]"
    if not finding.details:
        return line
    first, *others = finding.details
    return f"{line}: {first}" + (f" (and {len(others)} more: --json)" if others else "")
