"""Scenario files for the tests: the shipped ones, the documented one, and one of any size."""

import json
import os
import re
from pathlib import Path
from typing import Any

from bench.scenario import Variant, load, shipped_peers, shipped_scenarios
from bench.scenario.model import Pump

ROOT = Path(__file__).resolve().parent.parent
NAMES = tuple(shipped_scenarios())
PEERS = tuple(shipped_peers())
KERNEL = tuple(
    name
    for name, file in shipped_peers().items()
    if all(isinstance(forwarder, Pump) for forwarder in load(file).scenario.forwarders)
)
"""The peers that need no program, only a kernel that has them."""
STRESS = int(os.environ.get("VNETBENCH_STRESS", "1"))
"""How many times as many random cases to try as in a normal run."""
WITHOUT_TUN = ("veth", "bridge", "host-gw", "vxlan")


def shipped(name: str) -> Variant:
    """The shipped scenario `name` with its default parameters."""
    return load((shipped_scenarios() | shipped_peers())[name])


def text_of(name: str) -> str:
    """The text of the shipped scenario `name`."""
    return shipped_scenarios()[name].read_text()


def load_text(text: str, folder: Path) -> Variant:
    """Write a scenario of one's own into `folder` and load it."""
    file = folder / "own.toml"
    file.write_text(text)
    return load(file)


def three_hosts() -> str:
    """The scenario that docs/scenarios.md teaches to write."""
    [found] = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/scenarios.md").read_text(), re.DOTALL)
    return str(found)


def star(hosts: int) -> str:
    """`hosts` hosts on the bridge of one more, which are linked to it by a veth pair each."""
    names = [f"h{i}" for i in range(1, hosts + 1)]
    lines = [
        f'title = "{hosts} hosts on one bridge"',
        'drawing = "h1, h2, … --- sw:br0"',
        f"links = {json.dumps([[f'{name}:eth0', f'sw:{name}'] for name in names])}",
        f'endpoints = {{ client = "h1:eth0", server = "{names[-1]}:eth0" }}',
        "[hosts.sw.devices]",
        f'br0 = {{ kind = "bridge", ports = {json.dumps(names)} }}',
        *(f'{name} = {{ kind = "veth" }}' for name in names),
    ]
    for i, name in enumerate(names, start=1):
        lines += [
            f"[hosts.{name}.devices]",
            f'eth0 = {{ kind = "veth", addresses = ["10.0.{i // 250}.{i % 250 + 1}/16"] }}',
        ]
    return "\n".join(lines) + "\n"


def as_toml(value: Any, *, top: bool = True) -> str:
    """`value` as TOML; `bytes` stand for a value's own TOML text."""
    if top:
        return "".join(f"{_key(k)} = {as_toml(v, top=False)}\n" for k, v in value.items())
    match value:
        case bytes():
            return value.decode()
        case dict():
            return (
                "{"
                + ", ".join(f"{_key(k)} = {as_toml(v, top=False)}" for k, v in value.items())
                + "}"
            )
        case list():
            return f"[{', '.join(as_toml(v, top=False) for v in value)}]"
        case _:
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(text: str) -> str:
    return as_toml(text, top=False)
