"""Two result sets for the tests, and what comparing them gives."""

from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from sets import a_run, noisy, write_set

from bench.cli.compare import compare as command
from bench.compare import Comparison
from bench.results import ResultSet


def run_command(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def two_sets(
    tmp_path: Path, new: dict[str, Any] | None = None, **factors: float
) -> list[ResultSet]:
    """OLD and NEW; `new` changes how NEW is planned, `factors` what it measures."""
    return [
        write_set(tmp_path / "old", a_run(), noisy(1)),
        write_set(tmp_path / "new", a_run(**(new or {})), noisy(2, **factors)),
    ]


def verdicts(comparison: Comparison) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in comparison.rows:
        found.setdefault(row.metric, set()).add(row.verdict)
    return found


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
