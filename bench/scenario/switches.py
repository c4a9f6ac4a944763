"""The parameters that a scenario has because pumps move its packets: the pump's switches.

Every switch is one, and `pump` chooses a named set of them. They hold for all pumps of the
scenario, except where a pump's own table says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench import native
from bench.presets import NONE, preset

Value = bool | int | float | str
"""What a parameter may be."""

PRESET = "pump"


def parameters() -> dict[str, Value]:
    """Every parameter and its default."""
    return {PRESET: NONE, **shown(preset(NONE))}


def shown(settings: native.Settings) -> dict[str, Value]:
    """`settings` as parameters: names of values, or numbers."""
    return {name: native.switches()[name].show(value) for name, value in settings.items()}


def canonical(name: str, given: object) -> Value:
    """`given` as a value of the parameter `name`: TOML's true means "on". Raises ValueError."""
    if name == PRESET:
        preset(str(given))
        return str(given)
    return shown({name: _setting(name, given)})[name]


def in_force(
    declared: Mapping[str, Value], chosen: Mapping[str, Value], *, tunnels: bool
) -> native.Settings:
    """The value of every switch, from parameters in their canonical form.

    declared: what the file says. chosen: what was asked for on top of it. tunnels: whether any
    pump of the file has a UDP socket, which a preset cares about. A switch goes before
    the preset next to it, and a chosen preset before everything that the file says.
    """
    layers = [chosen] if PRESET in chosen else [declared, chosen]
    base = preset(str(layers[0].get(PRESET, NONE)), tunnels=tunnels)
    return {**base, **{k: v for layer in layers for k, v in settings(layer).items()}}


def settings(values: Mapping[str, Value]) -> native.Settings:
    """The switches among the parameters `values`, which are in their canonical form."""
    return {name: _setting(name, values[name]) for name in values if name in native.switches()}


def pump_tables(table: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and table of each pump in a scenario file that has not been checked yet."""
    forwarders = table.get("forwarders")
    for number, forwarder in enumerate(forwarders if isinstance(forwarders, list) else []):
        if isinstance(forwarder, dict) and forwarder.get("kind", "pump") == "pump":
            yield number, forwarder


def _setting(name: str, given: object) -> int:
    if isinstance(given, bool):
        given = "on" if given else "off"
    return native.parse_setting(native.switches()[name], str(given))
