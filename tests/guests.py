"""What the tests of virtual machines share."""

from collections.abc import Iterator
from contextlib import contextmanager

from capabilities import require, require_tun
from files import shipped

from bench.errors import MissingCapability
from bench.forwarders import forwarding, qemu
from bench.guests import image
from bench.probes import Path, prove
from bench.scenario.model import Scenario
from bench.topology import Arm, build


def require_guests() -> None:
    """Skip where no guest can be booted."""
    require_tun()
    require(image.missing() is None, str(image.missing()))
    try:
        qemu.version()
    except MissingCapability as lack:
        require(False, str(lack))


@contextmanager
def booted(scenario: Scenario, arm: Arm = Arm.NATIVE) -> Iterator[Path]:
    """The scenario with its guests up, proved."""
    require_guests()
    with build(scenario, arm) as topology, forwarding(topology) as running:
        yield prove(topology, "guests", running)


def has_guests(name: str) -> bool:
    """Whether a shipped scenario has any."""
    return any(host.is_guest for host in shipped(name).scenario.hosts.values())
