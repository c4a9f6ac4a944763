"""Where the sets come from: what was asked, and the machine, side by side where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from bench.report.model import Column, Field, Section, Table
from bench.report.naming import path_name
from bench.report.sources import Sources
from bench.report.words import moment
from bench.results import ResultSet
from bench.units import format_value

_UNKNOWN = "not known"
Facts = dict[str, str]
"""What a thing is called → what it is."""


def make(sources: Sources) -> Section:
    """The section; there always is one."""
    runs = [_asked(results) for results in sources.sets]
    machines = [_machine(results.run.environment) for results in sources.sets]
    tables = [_side_by_side("runs", "Runs", sources.names, runs)]
    if not sources.several:
        tables.append(_list("machine", "Machine", machines[0]))
    else:
        differing, alike = _divided(machines)
        if differing[0]:
            title = "Where the machines differ"
            tables.append(_side_by_side("machines", title, sources.names, differing))
        if alike:
            tables.append(_list("machine", "What the machines have in common", alike))
    return Section(
        id="environment",
        title="Environment",
        lead="What was asked, and what the figures depend on beside the paths. "
        f"“{_UNKNOWN}”: could not be read there; it never stands for “no”.",
        blocks=tuple(tables),
    )


def _asked(results: ResultSet) -> Facts:
    """What makes a run the run that it is."""
    run, asked = results.run, results.run.asked
    overrides = "".join(f" -p {text}" for text in asked.overrides)
    return {
        "started": moment(run.started),
        "finished": moment(run.finished) if run.finished else "not finished",
        "status": run.status,
        "purpose": run.purpose,
        "profile": asked.profile,
        "scenarios": (", ".join(map(path_name, asked.scenarios)) or "the whole ladder") + overrides,
        "variants": str(len(run.variants)),
        "probes": ", ".join(asked.probes),
        "arms": ", ".join(asked.arms),
        "blocks": str(asked.blocks),
        "trials": f"{len(run.completed)} of {len(run.plan)} measured",
        "repeats of a disturbed trial": f"up to {asked.repeats}",
        "seed": str(asked.seed),
        "vnetbench": run.version,
        "revision": str(run.environment.get("git_revision") or _UNKNOWN),
        "id": run.id,
        **{f"settings of {probe}": _settings(found) for probe, found in asked.settings.items()},
    }


def _settings(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_said(key, value)}" for key, value in found.items()) or "none"


def _machine(environment: Mapping[str, Any]) -> Facts:
    """The fingerprint in words; what a later vnetbench put into it keeps its own names."""
    # Imported here: reading result sets must not depend on what can be read of a machine.
    from bench.environment import Environment  # noqa: PLC0415

    titles = {item.name: str(item.metadata["title"]) for item in fields(Environment)}
    found: Facts = {}
    for key in dict.fromkeys((*titles, *environment)):
        title, value = titles.get(key, key), environment.get(key)
        if isinstance(value, Mapping):
            found |= {f"{title}: {name}": _said(name, each) for name, each in value.items()}
        else:
            found[title] = _said(key, value)
    return found


def _said(key: str, value: object) -> str:
    if value is None:
        return _UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key.endswith("_bytes") and isinstance(value, int):
        return format_value(value, "byte")
    if isinstance(value, float):
        return f"{value:.2f}" if key == "load_average" else f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(_said(key, each) for each in value)
    return str(value)


# ---- tables -------------------------------------------------------------------------------------


def _divided(found: Sequence[Facts]) -> tuple[list[Facts], Facts]:
    """The facts in which the sets differ, and those in which they do not."""
    keys = dict.fromkeys(key for facts in found for key in facts)
    differ = [key for key in keys if len({facts.get(key) for facts in found}) > 1]
    apart = [{key: facts.get(key, _UNKNOWN) for key in differ} for facts in found]
    return apart, {key: value for key, value in found[0].items() if key not in differ}


def _side_by_side(name: str, title: str, names: Sequence[str], found: Sequence[Facts]) -> Table:
    """A column for each set; what not all have alike stands out by its first field."""
    keys = dict.fromkeys(key for facts in found for key in facts)
    rows = [(Field(key), *(Field(facts.get(key, "-")) for facts in found)) for key in keys]
    columns = (Column("fact"), *(Column(each) for each in names))
    return Table(name, title, columns, tuple(rows))


def _list(name: str, title: str, facts: Facts) -> Table:
    rows = tuple((Field(key), Field(value)) for key, value in facts.items())
    return Table(name, title, (Column("fact"), Column("value")), rows)
