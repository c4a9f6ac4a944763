"""`vnetbench doctor`: is this machine fit to carry, and to measure?"""

from __future__ import annotations

import platform

import click
import msgspec

from bench import doctor as doctor_
from bench.doctor import Finding
from bench.topology import enter_user_namespace_if_needed

_WHAT_THERE_IS = """\
vnetbench doctor checks this machine. There is one check so far:

  --offloads   does this kernel segment and coalesce correctly? Every byte of pseudo-random data
               over veth, VXLAN, tun, tap and UDP sockets is checked (15 s)
"""
_STATUS_WIDTH = 9


@click.command()
@click.option("--offloads", is_flag=True, help="Check segmentation and receive offloads.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document with all details.")
@click.pass_context
def doctor(context: click.Context, offloads: bool, as_json: bool) -> None:
    """Check that this machine carries data correctly, one line for each thing that was checked.

    \b
    Exit status: 0 all that could be checked is well, 1 something is wrong, 3 nothing could be
    checked. What could not be checked is skipped, with the reason.
    """
    if not offloads:
        click.echo(_WHAT_THERE_IS, nl=False)
        return
    enter_user_namespace_if_needed()
    findings = []
    for finding in doctor_.examine():
        findings.append(finding)
        if not as_json:
            click.echo(_line(finding))
    if as_json:
        document = {"kernel": platform.release(), "offloads": findings}
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=1))
    context.exit(doctor_.exit_code(findings))


def _line(finding: Finding) -> str:
    line = f"{finding.status:{_STATUS_WIDTH}}{finding.offload} [{finding.path}]"
    if not finding.details:
        return line
    first, *others = finding.details
    return f"{line}: {first}" + (f" (and {len(others)} more: --json)" if others else "")
