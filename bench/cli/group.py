"""The main page of the help: commands in groups, and what all of them have in common."""

from __future__ import annotations

import click

from bench.errors import EXIT_STATUSES

GROUPS = {
    "Measure": {
        "run": "paths, into a result set: goodput, round trips, rates, delays",
        "why": "what makes one path slower than another, cause by cause",
        "ledger": "what is done for each packet: system calls, copies, stack passes",
        "peers": "our pump beside the programs of others, in one table",
    },
    "Compare": {
        "ab": "two variants or revisions, side by side until it is clear",
        "compare": "two result sets: ratios, intervals, verdicts",
        "gate": "what a baseline measured, as it is now; for CI",
        "trend": "many result sets: what changed, and when",
        "report": "result sets as a page for a browser, and in other formats",
        "export": "a result set in the format of another tool",
    },
    "Look closer": {
        "list": "the scenarios, and whether each runs here",
        "show": "a scenario: drawing, path, parameters, or commands to build it",
        "capture": "one pcap a device, of a ping across a path",
        "shell": "a shell inside a live scenario",
        "pump": "the packet pump by itself, on devices of your own",
    },
    "This machine": {
        "doctor": "what it can measure, and whether it carries data correctly",
        "selftest": "how often ab is wrong here, and what it catches",
        "completion": "have the shell complete names and options",
    },
}
"""Heading → commands and what each is for, in the order of the help; every command is in one."""


class GroupedCommands(click.Group):
    """A group that lists its commands under the headings of `GROUPS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the help."""
        return [name for members in GROUPS.values() for name in members]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group, all aligned alike."""
        widest = max(map(len, self.list_commands(ctx)))
        for heading, members in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:{widest}}", text) for name, text in members.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit statuses."""
        with formatter.section("Exit status"):
            formatter.write_dl([(str(status), text) for status, text in EXIT_STATUSES.items()])
