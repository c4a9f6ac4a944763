"""Which kinds of device this kernel has: the shipped scenarios say which there are, and are built.

Nothing is guessed from modules or versions: the devices stand for a moment, without forwarders.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from bench.devices import Nic, Tap, Tun
from bench.doctor.model import Check, Here, Seen, missing, ok, unknown
from bench.errors import CannotMeasure
from bench.readers import release
from bench.scenario import Scenario, load, shipped_peers, shipped_scenarios
from bench.topology import build

_ELSEWHERE = {Tun, Tap, Nic}
"""Kinds whose other side is a process: other checks are about these."""
_IPSEC = "ipsec"
_MODULES = {_IPSEC: ("xfrm_user", "esp4", "gcm", "aes_generic"), "netkit": ()}
"""The modules of a kind, where they are not called as it is; none: it is never a module."""


def checks() -> Iterable[Check]:
    """One for each kind that a shipped scenario has, which is built to find out."""
    for kind, name in _scenarios().items():
        title = "IPsec" if kind == _IPSEC else f"{kind} devices"
        yield Check(
            f"device_{kind}",
            title,
            f"building {name}",
            "the scenarios with them need them",
            partial(_look, kind, name),
        )


def _scenarios() -> dict[str, str]:
    """Kind → the first scenario that has it."""
    found: dict[str, str] = {}
    for name, file in _files().items():
        for kind in _kinds(load(file).scenario):
            found.setdefault(kind, name)
    return found


def _files() -> dict[str, Path]:
    return {**shipped_scenarios(), **shipped_peers()}


def _kinds(scenario: Scenario) -> list[str]:
    devices = [device for host in scenario.hosts.values() for device in host.devices.values()]
    kinds = [str(type(d).__struct_config__.tag) for d in devices if type(d) not in _ELSEWHERE]
    return [*kinds, *([_IPSEC] if scenario.ipsec else [])]


def _look(kind: str, name: str, here: Here) -> Seen:
    if here.confined:
        return unknown("needs network namespaces")
    try:
        with build(load(_files()[name]).scenario):
            return ok("can be built")
    except CannotMeasure as error:
        return missing(str(error), _mend(kind, here))


def _mend(kind: str, here: Here) -> str:
    """Load the module, if the kernel that runs has it; else have one that does."""
    modules = _MODULES.get(kind, (kind,))
    there = here.text(f"lib/modules/{release(here.root)}/modules.dep") or ""
    if modules and all(f"/{module}.ko" in there for module in modules):
        return f"sudo modprobe -a {' '.join(modules)}"
    return (
        "sudo apt-get install linux-modules-extra-$(uname -r) (Ubuntu); else boot the "
        "distribution's own kernel: sudo apt-get install linux-image-$(dpkg --print-architecture)"
    )
