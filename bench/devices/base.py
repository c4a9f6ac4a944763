"""What all kinds of device have, and how one says what is special to it.

A kind is one class, in a module of this package: its keys in the file are its fields, and what it
needs beyond them are its methods. `bench.devices` lists the kinds; nothing else names them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec
from msgspec import Meta

from bench.devices.step import Step
from bench.errors import ScenarioError

if TYPE_CHECKING:
    from bench.scenario.model import Host, Scenario

Mtu = Annotated[int, Meta(ge=68, le=65535, description="an MTU of 68 to 65535 bytes")]
Port = Annotated[int, Meta(ge=1, le=65535, description="a UDP port, 1 to 65535")]
Vni = Annotated[int, Meta(ge=0, le=2**24 - 1, description="a VNI of 24 bits")]
Name = str
"""Of a host or a device; which characters are allowed is checked in `bench.scenario.check`."""

Fail = Callable[[str, str], ScenarioError]
"""Makes the error from a key of the file and what is wrong there."""


class DeviceRef(msgspec.Struct, frozen=True, order=True):
    """A device of a host, written `host:device`."""

    host: str
    device: str

    def __str__(self) -> str:
        return f"{self.host}:{self.device}"


@dataclass(frozen=True)
class Place:
    """Where a device stands: in which scenario, and under which name."""

    scenario: Scenario
    ref: DeviceRef

    @property
    def key(self) -> str:
        """The key of its table in the file."""
        return f"hosts.{self.ref.host}.devices.{self.ref.device}"

    @property
    def host(self) -> Host:
        """The host it is a device of."""
        return self.scenario.hosts[self.ref.host]

    @property
    def mac(self) -> str:
        """Its locally administered address, the same in every run."""
        refs = [
            DeviceRef(host, device)
            for host, table in self.scenario.hosts.items()
            for device in table.devices
        ]
        return "02:00:" + (refs.index(self.ref) + 1).to_bytes(4, "big").hex(":")

    def of(self, text: str) -> Place:
        """The place of another device, `host:device`."""
        return Place(self.scenario, parse_ref(text))


class Device(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """What all kinds of device have. `addresses` are like "10.1.1.2/24" or "fd00::2/64"."""

    addresses: list[str] = []
    mtu: Mtu = 1500

    can_be_port: ClassVar[bool] = True
    """Whether a bridge can have it as a port."""

    ip_only: ClassVar[bool] = False
    """Whether it carries bare IP packets: no frames, no MAC address, nobody to ask for one."""

    segments_always: ClassVar[bool] = False
    """Whether its segmentation offload cannot be switched off."""

    def check(self, at: Place, fail: Fail) -> None:
        """Raise `fail`'s error for what the types of the fields cannot say."""

    def create(self, at: Place) -> Iterable[Step]:
        """The steps that create it, unless that is done with its link. It stays down."""
        return ()

    def settle(self, at: Place) -> Iterable[Step]:
        """The steps it needs once it is up and has its addresses."""
        return ()


def parse_ref(text: str) -> DeviceRef:
    """Split `host:device`. Raises ValueError where the text has another form."""
    host, colon, device = text.partition(":")
    if not (host and colon and device) or ":" in device:
        raise ValueError(f'"{text}" is not of the form "host:device"')
    return DeviceRef(host, device)
