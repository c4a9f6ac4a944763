"""A step towards a topology: it can be carried out, and it can be written as a command.

One class a step, with both sides next to each other, so that what `vnetbench show --commands`
prints is what a run does. `apply` works through netlink in the host's unnamed namespace;
`command` is what one would type as root with named ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pyroute2 import IPRoute

NUD_PERMANENT = 0x80


class Net(Protocol):
    """What a step needs of the topology being built."""

    def netns(self, host: str) -> int:
        """The descriptor of the host's namespace."""

    def netlink(self, host: str) -> IPRoute:
        """A netlink socket in the host's namespace."""

    def index(self, host: str, device: str) -> int:
        """The device's interface index."""

    def enter(self, host: str) -> None:
        """Have the calling thread be in the host's namespace."""

    def hold(self, host: str, device: str, fd: int) -> None:
        """Keep the descriptor of one queue of a tun or tap device for its forwarder."""


@dataclass(frozen=True)
class Step(ABC):
    """One step on one host."""

    host: str

    @property
    def needs(self) -> str | None:
        """What not every kernel has, and it needs; None where every kernel has it."""
        return None

    @property
    def opens(self) -> str | None:
        """The device file that it opens, which may not be there or not be for everybody."""
        return None

    @property
    def remedies(self) -> Mapping[int, str]:
        """What to do where that file cannot be opened, by the error's number."""
        return {}

    @abstractmethod
    def apply(self, net: Net) -> None:
        """Carry it out. Raises NetlinkError or OSError where the kernel refuses."""

    @abstractmethod
    def command(self) -> str:
        """The equivalent shell command."""


@dataclass(frozen=True)
class AddNeighbour(Step):
    """Say which link-layer address an IP address has, for ever."""

    name: str
    address: str
    mac: str

    def apply(self, net: Net) -> None:
        net.netlink(self.host).neigh(
            "add",
            ifindex=net.index(self.host, self.name),
            dst=self.address,
            lladdr=self.mac,
            state=NUD_PERMANENT,
        )

    def command(self) -> str:
        return (
            f"ip -n {self.host} neighbour add {self.address} lladdr {self.mac} "
            f"dev {self.name} nud permanent"
        )
