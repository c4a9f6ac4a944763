"""What of a scenario is connected to what."""

from __future__ import annotations

from dataclasses import dataclass

from bench.devices import Bridge, DeviceRef, Stacked, parse_ref
from bench.devices.reading import devices
from bench.scenario.model import Forwarder, Program, Scenario


@dataclass(frozen=True)
class Wiring:
    """A scenario with what connects to what looked up once.

    link_peer: the other end of a pair. bridge_of: the bridge that a device is a port of.
    held_by: the forwarder of a device. on_top: the devices that have this one for a parent.
    """

    scenario: Scenario
    link_peer: dict[DeviceRef, DeviceRef]
    bridge_of: dict[DeviceRef, DeviceRef]
    held_by: dict[DeviceRef, Forwarder]
    on_top: dict[DeviceRef, list[DeviceRef]]

    def proxy(self, ref: DeviceRef) -> Program | None:
        """The proxy behind a tap, if one is."""
        holder = self.held_by.get(ref)
        return holder if isinstance(holder, Program) and holder.sockets else None


def wire(scenario: Scenario) -> Wiring:
    """Look it all up."""
    on_top: dict[DeviceRef, list[DeviceRef]] = {}
    for ref, device in devices(scenario):
        if isinstance(device, Stacked):
            on_top.setdefault(device.lower(), []).append(ref)
    ends = [(parse_ref(a), parse_ref(b)) for a, b in scenario.links]
    return Wiring(
        scenario,
        link_peer=dict(ends) | {b: a for a, b in ends},
        bridge_of={
            DeviceRef(host_name, port): DeviceRef(host_name, name)
            for host_name, host in scenario.hosts.items()
            for name, device in host.devices.items()
            if isinstance(device, Bridge)
            for port in device.ports
        },
        held_by={parse_ref(text): f for f in scenario.forwarders for text in f.devices},
        on_top=on_top,
    )
