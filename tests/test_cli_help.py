"""The help: short, in groups, with examples that work."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from rich.cells import cell_len
from screens import here

from bench.cli import cli
from bench.cli.group import GROUPS

COMMANDS = sorted(cli.commands)


def examples(command: click.Command) -> Iterator[list[str]]:
    """The examples of a command's help, as words without the program's name."""
    text = (command.epilog or "").replace("\\\n", " ")
    for found in re.findall(r"^ .*?vnetbench ([^)>|#\n]*)", text, re.MULTILINE):
        yield shlex.split(found)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_and_they_are_accepted(name: str) -> None:
    found = list(examples(cli.commands[name]))
    assert 1 <= len(found) <= 4, "one to four examples"
    root = click.Context(cli, info_name="vnetbench")
    for first, *words in found:
        assert first == name
        # Parses as when it is run: unknown options, missing arguments and bad values are errors.
        cli.commands[name].make_context(name, words, parent=root)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_is_short_and_fits_80_columns(name: str) -> None:
    command = cli.commands[name]
    shown = here(name, "--help").out
    assert max(map(cell_len, shown.splitlines())) <= 80
    assert shown.startswith(f"Usage: vnetbench {name} ")
    about = (command.help or "").split("\n\n")[0]
    assert 20 < len(about) < 200, "what it does, in a sentence"
    assert about.endswith(".")
    assert len((command.help or "").splitlines()) <= 16


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name: str) -> None:
    for parameter in cli.commands[name].params:
        if isinstance(parameter, click.Option):
            context = click.Context(cli.commands[name])
            record = parameter.get_help_record(context)
            assert record is not None
            assert record[1].strip(), f"{name} {parameter.opts}"


def test_every_command_stands_in_one_group_of_the_main_page() -> None:
    named = [name for names in GROUPS.values() for name in names]
    assert sorted(named) == COMMANDS
    page = here("--help").out
    for heading, members in GROUPS.items():
        [section] = re.findall(rf"^{heading}:\n(.*?)\n\n", page, re.DOTALL | re.MULTILINE)
        assert section.splitlines() == [f"  {name:10}  {text}" for name, text in members.items()]


def test_the_program_by_itself_shows_its_help() -> None:
    assert here() == here("--help")
    assert here().status == 0


def test_the_main_page_fits_a_screen() -> None:
    lines = here("--help").out.splitlines()
    assert len(lines) <= 48
    assert max(map(cell_len, lines)) <= 80
