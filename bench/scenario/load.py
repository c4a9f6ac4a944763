"""From a scenario file and parameter overrides to variants, ready to be built.

A file declares its parameters with their defaults in `[parameters]`; wherever a value is the
string "$name", the parameter stands in. Overriding a parameter makes a variant, whose name says
so: `flannel-udp[mtu=1400]`.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench import native
from bench.devices import AnyDevice
from bench.devices.ipsec import Ipsec
from bench.errors import ScenarioError, UsageError, did_you_mean
from bench.scenario import control, hops, switches
from bench.scenario.check import check
from bench.scenario.model import Endpoints, Host, Predicted, Program, Pump, Qemu, Route, Scenario
from bench.scenario.switches import Value

_LAST_RUNG = 1000
_COMMON_PARAMETERS: dict[str, Value] = {"congestion_control": "cubic", "streams": 1, "hops": 0}
_STRUCT_OF_KEY: dict[str, Any] = {
    "endpoints": Endpoints,
    "routes": Route,
    "forwarders": Pump | Program | Qemu,
    "ipsec": Ipsec,
    "predicted": Predicted,
}


@dataclass(frozen=True)
class Variant:
    """A scenario with its parameters set.

    name: unique within a run, e.g. "vxlan" or "vxlan[mtu=1400,streams=4]".
    base: the scenario's name, which is its file's without the suffix.
    parameters: every parameter of the scenario with the value in force.
    digest: SHA-256 of the file, hexadecimal.
    """

    name: str
    base: str
    source: Path
    digest: str
    parameters: Mapping[str, Value]
    scenario: Scenario


@dataclass(frozen=True)
class _File:
    path: Path
    digest: str
    table: dict[str, Any]
    declared: dict[str, Value]
    pumps: bool

    @property
    def parameters(self) -> dict[str, Value]:
        """Every parameter of the scenario, with its default."""
        return {**_implicit_parameters(self.pumps), **self.declared}

    @property
    def base(self) -> str:
        return self.path.stem


def shipped_scenarios() -> dict[str, Path]:
    """The ladder that comes with vnetbench: name → file, in its order."""
    return scenarios_in(_shipped_folder())


def shipped_peers() -> dict[str, Path]:
    """The scenarios of others' programs and of what else is set beside the ladder: name → file."""
    return scenarios_in(_shipped_folder() / "peers")


def _shipped_folder() -> Path:
    package = Path(__file__).parents[1]
    # In this order: beside an installed package there may be a folder of anybody's.
    installed, checkout = package / "scenarios", package.parent / "scenarios"
    return installed if installed.is_dir() else checkout


def scenarios_in(folder: Path) -> dict[str, Path]:
    """The scenario files of a folder, by name, in the order of their rungs."""
    files = {path.stem: path for path in folder.glob("*.toml")}
    return {name: files[name] for name in sorted(files, key=lambda n: (_rung(files[n]), n))}


def find(names: Sequence[str]) -> list[Path]:
    """Files for `names`, each a shipped scenario or a path; the whole ladder for no name.

    Raises UsageError for a name that is neither.
    """
    ladder = shipped_scenarios()
    shipped = ladder | shipped_peers()
    return [shipped.get(name) or _as_path(name, shipped) for name in names or ladder]


def load(path: Path) -> Variant:
    """Read one scenario with its default parameters. Raises ScenarioError."""
    return _variant(_read(path), {})


def variants(paths: Iterable[Path], overrides: Sequence[str] = ()) -> list[Variant]:
    """Every variant of the scenarios in `paths` under `overrides`.

    overrides: texts of the form "mtu=1400" or "mtu=1400,9000"; several values of one parameter
    and several parameters make their product. A parameter applies to the scenarios that declare
    it. Raises ScenarioError, or UsageError where no scenario declares the parameter.
    """
    files = [_read(path) for path in paths]
    values = _parse_overrides(overrides, files)
    found = []
    for file in files:
        mine = {name: texts for name, texts in values.items() if name in file.parameters}
        for combination in itertools.product(*mine.values()):
            found.append(_variant(file, dict(zip(mine, combination, strict=True))))
    names = [variant.name for variant in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name} is asked for twice; each variant is measured once in a run")
    return found


def _rung(path: Path) -> int:
    """Position on the ladder of paths: `rung` of the file, shipped scenarios only."""
    try:
        rung = _read(path).table.get("rung")
    except ScenarioError:  # said when the file itself is asked for
        return _LAST_RUNG
    return rung if isinstance(rung, int) else _LAST_RUNG


def _as_path(name: str, shipped: Mapping[str, Path]) -> Path:
    path = Path(name)
    if path.suffix == ".toml" or os.path.exists(path):
        return path
    near = did_you_mean(name.partition("[")[0], shipped)
    raise UsageError(
        f'no scenario "{name}"{near}; '
        f"expected the path of a .toml file or one of {', '.join(shipped)}"
    )


def _read(path: Path) -> _File:
    source = str(path)
    try:
        data = path.read_bytes()
        table = tomllib.loads(data.decode())
    except OSError as error:
        raise ScenarioError(source, "file", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(source, "file", f"is not UTF-8 text (byte {error.start})") from None
    except ValueError as error:  # a TOMLDecodeError, or an integer of thousands of digits
        raise ScenarioError(source, "file", f"is not valid TOML: {error}") from None
    except RecursionError:
        raise ScenarioError(source, "file", "is nested too deeply") from None
    declared = table.pop("parameters", {})
    if not isinstance(declared, dict):
        raise ScenarioError(source, "parameters", "expected a table of parameter defaults")
    for name, value in declared.items():
        if not isinstance(value, Value):
            raise ScenarioError(
                source, f"parameters.{name}", "expected a number, a string, true or false"
            )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ScenarioError(
                source, f'parameters."{name}"', "expected a name of a-z, 0-9 and _ only"
            )
    pumps = any(switches.pump_tables(table))
    implicit = _implicit_parameters(pumps)
    for name in implicit:
        if name in table:
            raise ScenarioError(
                source, name, f"is a parameter: write it under [parameters], {name} = …"
            )
    if pumps:
        for name in declared.keys() & switches.parameters().keys():
            key = f"parameters.{name}"
            declared[name] = _canonical(name, declared[name], source, key)
    digest = hashlib.sha256(data).hexdigest()
    return _File(path, digest, table, declared, pumps)


def _implicit_parameters(pumps: bool) -> dict[str, Value]:
    """The parameters that a scenario has without declaring them."""
    return {**_COMMON_PARAMETERS, **(switches.parameters() if pumps else {})}


def _canonical(name: str, value: Any, source: str, key: str) -> Value:
    try:
        return switches.canonical(name, value)
    except ValueError as error:
        raise ScenarioError(source, key, str(error)) from None


def _parse_overrides(overrides: Sequence[str], files: Sequence[_File]) -> dict[str, list[str]]:
    parsed: dict[str, list[str]] = {}
    for text in overrides:
        name, equals, values = text.partition("=")
        texts = values.split(",")
        if not equals or not all(texts) or not text.isprintable():
            raise UsageError(f'-p {text}: expected "name=value" or "name=value,value"')
        if name in parsed:
            raise UsageError(f"-p {text}: {name} is given twice; write {name}=value,value")
        if not any(name in file.parameters for file in files):
            known = sorted({known for file in files for known in file.parameters})
            raise UsageError(
                f'-p {text}: no selected scenario has a parameter "{name}"'
                f"{did_you_mean(name, known)}; "
                f"there are {', '.join(known)}"
            )
        parsed[name] = list(dict.fromkeys(texts))
    return parsed


def _parse_value(file: _File, name: str, text: str) -> Value:
    """Read `text` as a value of the type that the parameter's default has."""
    default = file.parameters[name]
    if file.pumps and name in switches.parameters():
        try:
            return switches.canonical(name, text)
        except ValueError as error:
            raise UsageError(f"-p {name}={text}: {file.base}: {name}: {error}") from None
    try:
        if isinstance(default, bool):
            return {"true": True, "on": True, "false": False, "off": False}[text.lower()]
        return type(default)(text)
    except (ValueError, KeyError):
        expected = {bool: "true or false", int: "a whole number", float: "a number"}
        raise UsageError(
            f"-p {name}={text}: {file.base} expects {expected[type(default)]} for {name} "
            f"(its default is {default})"
        ) from None


def _variant(file: _File, overrides: Mapping[str, str]) -> Variant:
    source = str(file.path)
    chosen = {name: _parse_value(file, name, text) for name, text in overrides.items()}
    parameters = {**file.parameters, **chosen}
    tunnels = any("listen" in pump for _, pump in switches.pump_tables(file.table))
    settings = switches.in_force(file.declared, chosen, tunnels=tunnels) if file.pumps else {}
    parameters |= switches.shown(settings)
    try:
        table = _substitute(file.table, parameters, source, "")
    except RecursionError:  # dotted keys nest without nesting the parser
        raise ScenarioError(source, "file", "is nested too deeply") from None
    table |= {name: parameters[name] for name in _COMMON_PARAMETERS}
    for number, pump in switches.pump_tables(table):
        pump["switches"] = _pinned(pump, settings, source, f"forwarders[{number}].switches")
    scenario = _convert_scenario(table, source)
    check(scenario, source)
    scenario = hops.insert(control.insert(scenario, source), source)
    suffix = ",".join(f"{name}={show_value(value)}" for name, value in chosen.items())
    name = f"{file.base}[{suffix}]" if suffix else file.base
    return Variant(name, file.base, file.path, file.digest, parameters, scenario)


def show_value(value: Value) -> str:
    """A parameter's value as it is written with -p."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pinned(
    pump: Mapping[str, Any], settings: native.Settings, source: str, key: str
) -> native.Settings:
    """`settings` with those that the pump's own table sets."""
    own = pump.get("switches", {})
    if not isinstance(own, dict):
        raise ScenarioError(source, key, "expected a table of switches")
    for name in own:
        if name not in settings:
            raise ScenarioError(
                source,
                f"{key}.{name}",
                f"is no switch{did_you_mean(name, settings)}; expected some of "
                f"{', '.join(settings)}",
            )
    values = {name: _canonical(name, own[name], source, f"{key}.{name}") for name in own}
    return {**settings, **switches.settings(values)}


def _substitute(value: Any, parameters: Mapping[str, Value], source: str, key: str) -> Any:
    if isinstance(value, dict):
        return {
            k: _substitute(v, parameters, source, f"{key}.{k}" if key else k or '""')
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [_substitute(v, parameters, source, f"{key}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, str) and value.startswith("$"):
        name = value[1:]
        if name not in parameters:
            raise ScenarioError(
                source,
                key,
                f'"{value}" is no parameter{did_you_mean(name, parameters)}; expected one of '
                f"{', '.join(parameters)}",
            )
        return parameters[name]
    return value


def _convert_scenario(table: dict[str, Any], source: str) -> Scenario:
    """Convert host by host and device by device, so that an error can name them."""
    hosts = table.get("hosts")
    if not isinstance(hosts, dict) or not hosts:
        raise ScenarioError(source, "hosts", "expected at least one table [hosts.NAME]")
    converted = {}
    for name, host in hosts.items():
        key = f"hosts.{name}"
        devices = host.get("devices") if isinstance(host, dict) else None
        if not isinstance(devices, dict):
            raise ScenarioError(source, f"{key}.devices", f"expected tables [{key}.devices.NAME]")
        host = dict(host)  # noqa: PLW2901
        host["devices"] = {
            device: _convert(d, AnyDevice, source, f"{key}.devices.{device}")
            for device, d in devices.items()
        }
        converted[name] = _convert(host, Host, source, key)
    scenario: Scenario = _convert({**table, "hosts": converted}, Scenario, source, "")
    return scenario


def _convert(value: Any, kind: Any, source: str, key: str) -> Any:
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `")
        where = path.removesuffix("`").removeprefix("$").removeprefix(".")
        if where.startswith("key"):
            where = ""
        full = ".".join(part for part in (key, where) if part) or "top level"
        part = re.search(r"(\w+)(\[\d+\])?$", where)
        if part and "field" in problem:
            kind = _STRUCT_OF_KEY.get(part.group(1), kind)
        raise ScenarioError(source, full, _explain(problem, kind)) from None


def _explain(problem: str, kind: Any) -> str:
    """Say what was expected where msgspec only says what was found."""
    if problem.startswith("Invalid value") or "`kind`" in problem:
        kinds = [str(struct.__struct_config__.tag) for struct in _structs(kind)]
        return f"{problem}{_near(problem, kinds)}; expected one of {', '.join(kinds)}"
    if "unknown field" in problem or "missing required field" in problem:
        fields = dict.fromkeys(f for struct in _structs(kind) for f in struct.__struct_fields__)
        return f"{problem}{_near(problem, fields)}; expected some of {', '.join(fields)}"
    return problem


def _near(problem: str, known: Iterable[str]) -> str:
    """What was probably meant by the name that msgspec quotes, unless it is one that is missing."""
    quoted = re.search(r"(?:value|unknown field) ['`](.*?)['`]", problem)
    return did_you_mean(quoted[1], known) if quoted else ""


def _structs(kind: Any) -> tuple[Any, ...]:
    """The members of a union of structs, or the struct itself."""
    return getattr(kind, "__args__", (kind,))
