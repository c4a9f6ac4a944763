"""What documents show can be typed: commands parse, cheap ones run, targets and snippets exist."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from documents import Code, Command, blocks, code, commands, pages
from files import ROOT, three_hosts
from sets import a_run, noisy, write_set

from bench import forwarders
from bench.cli import cli
from bench.errors import VnetbenchError
from bench.results import load
from bench.scenario import find, shipped_peers, variants
from bench.scenario import load as load_scenario
from bench.why.design import variant_of

pytestmark = pytest.mark.slow

SHOWN = [command for page in pages() for found in code(page) for command in commands(found)]
TYPED = [
    command
    for command in SHOWN
    if command.exact and command.words[0] == "vnetbench" and command.code.language != "console"
]
CHEAP = ("show", "compare", "trend", "export", "report")
"""Commands that take no time, nothing of the machine, and only read."""
ABOUT_SCENARIOS = ("list", "show", "run")
WHOLE = {"title", "hosts"}
"""Keys of a scenario file that is complete."""


def of(command: Command) -> click.Command:
    """The command of the program that is meant."""
    names = [word for word in command.words[1:] if not word.startswith("-")]
    found = cli.commands.get(names[0]) if names else cli
    assert found is not None, f"{command}: there is no such command"
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files and result sets that examples name."""
    place = tmp_path_factory.mktemp("examples")
    (place / "my.toml").write_text(three_hosts())
    for number, name in enumerate(("old", "new")):
        write_set(place / "results" / name, a_run(blocks=6), noisy(number))
        (place / name).symlink_to(place / "results" / name)
    (place / "rtt.json").symlink_to(place / "results/old/rtt.json")
    for name in ("before", "mtu1400", "main", "now"):
        (place / "results" / name).symlink_to(place / "results/old")
    for kept in (ROOT / "results").iterdir():
        if kept.is_dir():
            (place / "results" / kept.name).symlink_to(kept)
    return place


@pytest.fixture
def folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, as the present one."""
    monkeypatch.chdir(place)
    return place


def test_there_are_examples_in_most_pages() -> None:
    assert len(TYPED) > 50
    assert len({command.code.page for command in TYPED}) > 6


@pytest.mark.parametrize("command", TYPED, ids=str)
def test_a_command_can_be_typed_as_it_stands(command: Command, folder: Path) -> None:
    if of(command) is cli:
        assert CliRunner().invoke(cli, command.words[1:]).exit_code == 0
        return
    name, *words = command.words[1:]
    context = of(command).make_context(name, list(words))
    given = context.params
    if name in ABOUT_SCENARIOS:
        names = given.get("names") or given.get("scenarios") or given.get("name") or ()
        names = [names] if isinstance(names, str) else names
        for variant in variants(find(names), given.get("overrides", ())):
            forwarders.check(variant)
    paths = [
        given[key]
        for key in ("slow", "fast", "old", "new")
        if name in ("why", "ab") and isinstance(given.get(key), str)
    ]
    for path in paths:
        if not re.match(r"HEAD|OLD|NEW", path):
            assert variant_of(path).scenario.title


@pytest.mark.parametrize("command", [c for c in TYPED if c.words[1] in CHEAP], ids=str)
def test_a_cheap_command_does_what_it_says(command: Command, folder: Path) -> None:
    result = CliRunner().invoke(cli, command.words[1:], standalone_mode=False)
    if isinstance(result.exception, VnetbenchError):
        raise result.exception
    # Comparing may find something, in results that were drawn; nothing else may.
    assert result.exit_code in ({0, 1} if command.words[1] == "compare" else {0}), result.output
    assert result.output.strip() or any((folder / word).exists() for word in command.words[2:])


def test_options_and_targets_that_are_mentioned_exist() -> None:
    """Also in sentences and synopses, where something stands for what a user would type."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    missing = []
    for command in SHOWN:
        if command.words[0] == "make":
            named = [w for w in command.words[1:] if re.fullmatch(r"[a-z-]+", w) and w[0] != "-"]
            missing += [f"{command}: no target {name}" for name in named if name not in targets]
            continue
        known = {option for parameter in of(command).params for option in parameter.opts}
        known |= {"--help", "-h"}
        given = {re.split(r"[=\]]", word.lstrip("["))[0] for word in command.words[2:]}
        missing += [
            f"{command}: no option {o}"
            for o in given
            if o[:1] == "-" and o not in known and len(o) > 1
        ]
    assert missing == []


# ---- other languages ----------------------------------------------------------------------------


def in_language(language: str) -> list[Code]:
    return [block for page in pages() for block in blocks(page) if block.language == language]


@pytest.mark.parametrize("block", in_language("toml"), ids=str)
def test_a_scenario_that_is_shown_is_valid(block: Code, tmp_path: Path) -> None:
    shown = tomllib.loads(block.text)
    file = tmp_path / "shown.toml"
    if shown.keys() >= WHOLE:
        file.write_text(block.text)
    else:
        file.write_text(completed(block.text))
    forwarders.check(load_scenario(file))


def completed(part: str) -> str:
    """A scenario with a forwarder that is shown by itself, in the place of its own first."""
    whole = shipped_peers()["socat"].read_text()
    first = whole.index("[[forwarders]]")
    second = whole.index("[[forwarders]]", first + 1)
    shown = part.replace('"NAME"', '"openvpn"').replace('"$cipher"', '"none"')
    return whole[:first] + shown + "\n" + whole[second:].replace('"socat"', '"openvpn"')


@pytest.mark.parametrize("block", in_language("python"), ids=str)
def test_python_that_is_shown_stands_in_the_code_or_runs(block: Code) -> None:
    shown = [line.strip() for line in block.text.splitlines() if line.strip()]
    for file in (ROOT / "bench").rglob("*.py"):
        lines = [line.strip() for line in file.read_text().splitlines() if line.strip()]
        if any(lines[i : i + len(shown)] == shown for i in range(len(lines) - len(shown) + 1)):
            return
    exec(compile(block.text, str(block), "exec"), {"__name__": "shown"})  # noqa: S102


@pytest.mark.usefixtures("folder")
def test_the_pyperf_commands_work_on_the_file_of_a_set() -> None:
    page = ROOT / "docs" / "results.md"
    lines = [line for block in blocks(page) for line in block.text.splitlines()]
    shown = [line.split()[3:] for line in lines if line.startswith("python -m pyperf ")]
    assert len(shown) >= 3
    for words in shown:
        done = subprocess.run(
            [sys.executable, "-m", "pyperf", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (words, done.stderr)
        assert done.stdout.strip()


# ---- sessions: what a console block shows is what comes out -------------------------------------

SESSIONS = sorted({block.page for block in in_language("console")})


def steps(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Every command of the page's sessions, in order, with the lines that it prints."""
    for block in blocks(page):
        if block.language == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, *lines = part.splitlines()
                yield command, lines


def pattern(lines: list[str]) -> str:
    """What output must match: "…" alone stands for any lines, within a line for anything."""
    parts = []
    for line in lines:
        if line.strip() == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            words = [re.escape(word).replace("…", ".*?") for word in line.split()]
            parts.append(r"\s*" + r"\s+".join(words) + r"\s*\n")
    return "".join(parts)


@pytest.mark.usefixtures("tuns")
@pytest.mark.parametrize("page", SESSIONS, ids=lambda page: page.name)
def test_a_session_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    """A stranger who types what the page says, in an empty folder."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "vnetbench").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bench "$@"\n')
    (programs / "vnetbench").chmod(0o755)
    place = tmp_path / "anywhere"
    place.mkdir()
    if page.name == "scenarios.md":
        (place / "my.toml").write_text(three_hosts())
    surroundings = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
    }
    given = list(steps(page))
    assert given
    for command, lines in given:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=place,
            env=surroundings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        as_shown = re.fullmatch(pattern(lines), done.stdout) is not None
        assert as_shown, f"$ {command}\n{done.stdout}"
    if page.name == "scenarios.md":
        assert load(place / "results/first").run.status == "complete"
