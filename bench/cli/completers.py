"""What a name on the command line may be, for a shell that completes it.

Each function is a `shell_complete` of click's: it takes the context of what was typed before, and
returns what may stand in the place of the incomplete word. None of them fails: a shell that asks
has no place for an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from glob import escape, glob
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from bench import native, presets
from bench.errors import VnetbenchError
from bench.metrics import METRICS
from bench.results.read import RUN
from bench.scenario import find, load, shipped_peers, shipped_scenarios
from bench.scenario.switches import PRESET

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]
_RESULTS = "results"
"""Where runs are kept that were not told where."""
_SCENARIO_PARAMETERS = ("names", "name", "topology", "scenario")
"""Names of the parameters that scenarios are given by."""


def scenarios(_: click.Context, __: click.Parameter, text: str) -> list[CompletionItem[str]]:
    """Shipped scenarios, or files."""
    if text.startswith((".", "/", "~")) or "/" in text:
        return [CompletionItem(text, type="file")]
    found = {}
    for name, path in (shipped_scenarios() | shipped_peers()).items():
        if name.startswith(text):
            found[name] = _title(path)
    return [CompletionItem(name, help=title) for name, title in found.items()]


def result_sets(_: click.Context, __: click.Parameter, text: str) -> list[CompletionItem[str]]:
    """Result sets right here or among the results; where there are none, any folder."""
    places = [glob(f"{escape(text)}*/{RUN}")]
    if "/" not in text:
        places.append(glob(f"{_RESULTS}/{escape(text)}*/{RUN}"))
        if _RESULTS.startswith(text):
            places.append(glob(f"{_RESULTS}/*/{RUN}"))
    sets = dict.fromkeys(str(Path(file).parent) for found in places for file in sorted(found))
    return _plain(sets) or [CompletionItem(text, type="dir")]


def overrides(context: click.Context, _: click.Parameter, text: str) -> list[CompletionItem[str]]:
    """Parameters of the scenarios named before, and where they are names, their values."""
    name, equals, values = text.partition("=")
    if not equals:
        return _plain(f"{known}=" for known in _parameters(context) if known.startswith(name))
    before, comma, last = values.rpartition(",")
    known = presets.NAMES if name == PRESET else ()
    if (switch := native.switches().get(name)) and switch.values:
        known = switch.values
    return _plain(f"{name}={before}{comma}{value}" for value in known if value.startswith(last))


def metrics(_: click.Context, __: click.Parameter, text: str) -> list[CompletionItem[str]]:
    """Metrics."""
    return [
        CompletionItem(id_, help=metric.title)
        for id_, metric in METRICS.items()
        if id_.startswith(text)
    ]


def hosts(context: click.Context, _: click.Parameter, text: str) -> list[CompletionItem[str]]:
    """Hosts of the scenario named before."""
    try:
        named = [load(path).scenario.hosts for path in find(_named(context))]
    except VnetbenchError:
        return []
    return _plain(host for known in named for host in known if host.startswith(text))


def one_of(*names: str) -> Completer:
    """One of some names."""

    def complete(_: click.Context, __: click.Parameter, text: str) -> list[CompletionItem[str]]:
        return _plain(name for name in names if name.startswith(text))

    return complete


def _plain(values: Iterable[str]) -> list[CompletionItem[str]]:
    return [CompletionItem(value) for value in dict.fromkeys(values)]


def _title(path: Path) -> str | None:
    """What a scenario is, without anything that a shell would take for its own."""
    try:
        return load(path).scenario.title
    except VnetbenchError:
        return None


def _named(context: click.Context) -> list[str]:
    """The scenarios that stand before the incomplete word."""
    # What follows an option that still has no value is left over.
    found = [word for word in context.args if not word.startswith("-")]
    for parameter in _SCENARIO_PARAMETERS:
        given = context.params.get(parameter)
        found += [given] if isinstance(given, str) else list(given or ())
    return found


def _parameters(context: click.Context) -> list[str]:
    """Every parameter of the scenarios that were named, or of the whole ladder."""
    try:
        named = find(_named(context))
    except VnetbenchError:
        named = []
    return _parameters_of(named) or _parameters_of(find(()))


def _parameters_of(files: Sequence[Path]) -> list[str]:
    names: dict[str, None] = {}
    for path in files:
        try:
            names |= dict.fromkeys(load(path).parameters)
        except VnetbenchError:  # said when the scenario itself is asked for
            continue
    return sorted(names)
