"""The scenarios of a run that was recorded, as far as their files are still what they were."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bench.errors import UsageError
from bench.report.naming import without_folder
from bench.results import Run, VariantRecord
from bench.scenario import Scenario, Variant, find, load, show_value, variants


class Recorded(NamedTuple):
    """A variant's scenario, None where it cannot be known; problem: what is to be said of that."""

    scenario: Scenario | None
    problem: str = ""


def scenarios_of(run: Run) -> dict[str, Recorded]:
    """Variant → its scenario, for all variants of a run."""
    found = variants_of(run, run.variants)
    return {name: _recorded(name, run.variants[name], now) for name, now in found.items()}


def _recorded(name: str, record: VariantRecord, now: Variant | UsageError) -> Recorded:
    """now: the variant as its file makes it now, or why there is none."""
    if isinstance(now, UsageError):
        return Recorded(None, f"{name} is not drawn: {now}")
    file = now.source.name
    if now.digest == record.sha256:
        return Recorded(now.scenario)
    if _same_devices(record, now.scenario):
        return Recorded(
            now.scenario,
            f"{name}: {file} has changed since the run; it is drawn as it is now, with the same "
            "devices as the run had",
        )
    return Recorded(
        None, f"{name} is not drawn: {file} has changed since the run, and its devices too"
    )


def variants_of(run: Run, names: Iterable[str]) -> dict[str, Variant | UsageError]:
    """Variants of a run with the parameters they had, from their files as those are now.

    An error stands for one whose file is gone, cannot be read or does not take them any more; it
    names the file without its folder, as it is for a report that is passed on.
    """
    files: dict[str, Variant | UsageError] = {}
    found: dict[str, Variant | UsageError] = {}
    for name in names:
        record = run.variants[name]
        if record.scenario not in files:
            files[record.scenario] = _file(run, record.scenario)
        base = files[record.scenario]
        found[name] = base if isinstance(base, UsageError) else _with_parameters(base, record)
    return found


def _file(run: Run, scenario: str) -> Variant | UsageError:
    """The scenario with its defaults, from the file that was asked for or the one of its name."""
    asked = [text.partition("[")[0] for text in run.asked.scenarios]
    try:
        [path] = find([next((a for a in asked if Path(a).stem == scenario), scenario)])
        return load(path)
    except UsageError as error:
        return without_folder(error)


def _with_parameters(base: Variant, record: VariantRecord) -> Variant | UsageError:
    given = [
        f"{parameter}={show_value(value)}"
        for parameter, value in record.parameters.items()
        if parameter not in base.parameters or base.parameters[parameter] != value
    ]
    try:
        [variant] = variants([base.source], given)
    except ValueError:  # a parameter with a comma in it
        return UsageError("its parameters cannot be set again")
    except UsageError as error:
        return without_folder(error)
    return variant


def _same_devices(record: VariantRecord, scenario: Scenario) -> bool:
    """Whether the run found the devices in its namespaces that the scenario has now."""
    now = {name: set(host.devices) for name, host in scenario.hosts.items() if not host.is_guest}
    found = [
        {host: set(told["devices"]) for host, told in facts.items()}
        for facts in record.facts.values()
    ]
    return bool(found) and all(hosts == now for hosts in found)
