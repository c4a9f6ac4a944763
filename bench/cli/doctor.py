"""`vnetbench doctor`: can this machine be trusted?"""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from bench.doctor import Finding, check_offloads
from bench.errors import UsageError
from bench.topology import enter_user_namespace_if_needed

_NOTHING_CHECKED = 3


@click.command(epilog="Example: vnetbench doctor --offloads")
@click.option(
    "--offloads",
    is_flag=True,
    help="Does this kernel segment and coalesce correctly? Known data through a path for each "
    "offload, every byte compared; some 20 seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(offloads: bool, as_json: bool) -> int:
    """Check this machine and its kernel.

    Exit status: 0 all is well, 1 an offload is wrong, 3 nothing could be checked.
    """
    if not offloads:
        raise UsageError("doctor: nothing to check; ask for --offloads")
    enter_user_namespace_if_needed()
    findings = []
    for finding in check_offloads():
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        click.echo(json.dumps([{**asdict(f), "verdict": f.verdict} for f in findings], indent=1))
    if all(finding.skipped is not None for finding in findings):
        return _NOTHING_CHECKED
    return int(any(finding.wrong for finding in findings))


def _print(finding: Finding) -> None:
    click.echo(f"{finding.verdict:8}{finding.name}")
    if finding.skipped is not None:
        click.echo(f"        because {finding.skipped}")
    for line in finding.wrong:
        click.echo(f"        {line}")
    for name, count in finding.refused.items():
        click.echo(f"        {count} {name}: the kernel did not take it, the pump did without")
