"""The scenarios of a run that was recorded, as far as their files are still what they were."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bench.errors import UsageError
from bench.results import Run, VariantRecord
from bench.scenario import Scenario, Variant, find, load, show_value, variants


class Recorded(NamedTuple):
    """A variant's scenario, None where it cannot be known; problem: what is to be said of that."""

    scenario: Scenario | None
    problem: str = ""


def scenario_of(run: Run, name: str) -> Recorded:
    """The scenario of the variant `name` of a run."""
    record = run.variants[name]
    try:
        variant = variant_of(run, name)
    except UsageError as error:
        return Recorded(None, f"{name} is not drawn: {error}")
    path = variant.source
    if variant.digest == record.sha256:
        return Recorded(variant.scenario)
    if _same_devices(record, variant.scenario):
        return Recorded(
            variant.scenario,
            f"{name}: {path.name} has changed since the run; it is drawn as it is now, with the "
            "same devices as the run had",
        )
    return Recorded(
        None, f"{name} is not drawn: {path.name} has changed since the run, and its devices too"
    )


def variant_of(run: Run, name: str) -> Variant:
    """The variant `name` of a run with the parameters it had, from its file as that is now.

    Raises UsageError where the file is gone, cannot be read or does not take them any more.
    """
    record = run.variants[name]
    path = _file(run, record)
    base = load(path)
    given = [
        f"{parameter}={show_value(value)}"
        for parameter, value in record.parameters.items()
        if parameter not in base.parameters or base.parameters[parameter] != value
    ]
    try:
        [variant] = variants([path], given)
    except ValueError:  # a parameter with a comma in it
        raise UsageError("its parameters cannot be set again") from None
    return variant


def _file(run: Run, record: VariantRecord) -> Path:
    """The scenario file that a variant was made from, by what was asked for or by its name."""
    asked = [text.partition("[")[0] for text in run.asked.scenarios]
    [path] = find([next((a for a in asked if Path(a).stem == record.scenario), record.scenario)])
    return path


def _same_devices(record: VariantRecord, scenario: Scenario) -> bool:
    """Whether the run found the devices in its namespaces that the scenario has now."""
    now = {name: set(host.devices) for name, host in scenario.hosts.items() if not host.is_guest}
    found = [
        {host: set(told["devices"]) for host, told in facts.items()}
        for facts in record.facts.values()
    ]
    return bool(found) and all(hosts == now for hosts in found)
