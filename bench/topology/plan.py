"""From a scenario to the steps that build it, in order.

Nothing is left to the host's defaults where it could differ between machines: sysctls, MAC
addresses, queueing disciplines and offloads are all set by a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from bench.devices import Bridge, Device, Pair, Place, ipsec, parse_ref
from bench.devices.bridge import SetMaster
from bench.devices.reading import devices
from bench.devices.step import Step
from bench.scenario.model import Host, Pump, Qemu, Scenario, speaks_ipv6
from bench.topology.steps import AddAddress, AddRoute, SetOffload, SetSegments, SetUp
from bench.topology.sysctl import SetSysctl


class Arm(StrEnum):
    """With which offloads a path is measured."""

    NATIVE = "native"
    """As each device ships them."""
    PARITY = "parity"
    """Segmentation and receive offload off on every device."""


PARITY_OFF = (
    "tcp-segmentation-offload",
    "generic-segmentation-offload",
    "generic-receive-offload",
    # Segmentation that the group above does not reach through every kernel's interface.
    "tx-tcp-accecn-segmentation",
    "tx-udp-segmentation",
)
"""Switched off in the parity arm: groups and features, by the names of ethtool(8)."""

_PUMPS_OFF = ("tun_offload", "udp_offload")
"""The same of pumps: one that joins packets would be receive offload in disguise."""

_SYSCTLS = {
    # A namespace inherits these from the machine, and they decide TCP's speed.
    "net.ipv4.tcp_rmem": "4096 131072 6291456",
    "net.ipv4.tcp_wmem": "4096 16384 4194304",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
}
_WITHOUT_IPV6 = {
    # Router solicitations and multicast listener reports would be packets nobody asked for.
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}
_WITH_IPV6 = {
    # On the devices that have an IPv6 address only; as quiet there as IPv6 can be.
    "net.ipv6.conf.all.disable_ipv6": "0",
    "net.ipv6.conf.default.disable_ipv6": "1",
    "net.ipv6.conf.default.addr_gen_mode": "1",
    **{
        f"net.ipv6.conf.{devices}.{name}": "0"
        for devices in ("all", "default")
        for name in ("accept_dad", "accept_ra", "autoconf", "dad_transmits", "router_solicitations")
    },
}
_SYSCTLS_IF_ANY = {
    # Where br_netfilter is loaded (by Docker, say), bridged packets would take the way through
    # netfilter in every new namespace.
    "net.bridge.bridge-nf-call-iptables": "0",
    "net.bridge.bridge-nf-call-ip6tables": "0",
    "net.bridge.bridge-nf-call-arptables": "0",
}
_FIRST_INDEX = 1000
"""Interface index of the first device of a pair, out of the way of those the kernel chooses."""


def in_arm(scenario: Scenario, arm: Arm) -> Scenario:
    """The scenario as `arm` measures it: in parity with the offloads of its pumps off."""
    if arm is Arm.NATIVE:
        return scenario
    off = dict.fromkeys(_PUMPS_OFF, 0)
    replace = msgspec.structs.replace
    forwarders = [
        replace(f, switches={**f.switches, **off})
        if isinstance(f, Pump)
        else replace(f, offload=False)
        if isinstance(f, Qemu)
        else f
        for f in scenario.forwarders
    ]
    return replace(scenario, forwarders=forwarders)


def plan(scenario: Scenario, arm: Arm) -> list[Step]:
    """The steps that build `scenario` in `arm`, each after those it needs.

    All but those of guests, which take them by themselves.
    """
    return [s for s in _steps(scenario, arm) if not scenario.hosts[s.host].is_guest]


def guest_commands(scenario: Scenario, name: str) -> list[str]:
    """The steps of a guest, as it is to type them: it is in no namespace."""
    mine = (step for step in _steps(scenario, Arm.NATIVE) if step.host == name)
    commands = (step.command().replace(f"ip -n {name} ", "ip ") for step in mine)
    return [text.replace(f"ip netns exec {name} ", "") for text in commands]


def _steps(scenario: Scenario, arm: Arm) -> list[Step]:
    scenario = in_arm(scenario, arm)
    return [
        *_sysctls(scenario),
        *_create(scenario),
        *_own_sysctls(scenario),
        *(_offloads(scenario) if arm is Arm.PARITY else ()),
        *_connect(scenario),
        *_routes(scenario),
        *ipsec.steps(scenario),
    ]


def _sysctls(scenario: Scenario) -> Iterator[SetSysctl]:
    """What no host is to inherit from the machine, before there are devices."""
    for name, host in scenario.hosts.items():
        forwarding = str(int(host.forwarding))
        settings = {**_SYSCTLS, "net.ipv4.ip_forward": forwarding}
        if any(map(speaks_ipv6, host.devices.values())):
            settings |= {**_WITH_IPV6, "net.ipv6.conf.all.forwarding": forwarding}
        else:
            settings |= _WITHOUT_IPV6
        for key, value in settings.items():
            yield SetSysctl(name, key, value)
        # A namespace may not make an algorithm its default that the machine restricts; the
        # goodput probe sets it on its own sockets, where root of the namespace may use any.
        optional = {
            **_SYSCTLS_IF_ANY,
            "net.ipv4.tcp_congestion_control": scenario.congestion_control,
        }
        for key, value in optional.items():
            yield SetSysctl(name, key, value, required=False)


def _own_sysctls(scenario: Scenario) -> Iterator[SetSysctl]:
    """What the file says, when the devices are there that it may be about."""
    for name, host in scenario.hosts.items():
        for key, value in _ipv6_of_devices(host).items():
            yield SetSysctl(name, key, value)
        for key, own in host.sysctls.items():
            yield SetSysctl(name, key, str(own))


def _ipv6_of_devices(host: Host) -> dict[str, str]:
    """IPv6 on for the devices that have such an address.

    A router asks its neighbours from a link-local address, so its devices have one as well; not
    those without frames, behind which there is nobody to ask.
    """
    settings = {}
    for name, device in host.devices.items():
        if speaks_ipv6(device):
            prefix = f"net.ipv6.conf.{name.replace('.', '/')}"
            if host.forwarding and not device.ip_only:
                settings[f"{prefix}.addr_gen_mode"] = "0"
            settings[f"{prefix}.disable_ipv6"] = "0"
    return settings


def sysctls(scenario: Scenario, host: str) -> list[str]:
    """Names of the sysctls that are set on `host`, in order."""
    steps = [*_sysctls(scenario), *_own_sysctls(scenario)]
    return list(dict.fromkeys(step.name for step in steps if step.host == host))


def _create(scenario: Scenario) -> Iterator[Step]:
    for number, ends in enumerate(scenario.links):
        a, b = (Place(scenario, parse_ref(text)) for text in ends)
        near = scenario.device(a.ref)
        assert isinstance(near, Pair)  # noqa: S101 - `check` has made sure
        yield from near.join(a, b, _FIRST_INDEX + 2 * number)
    for ref, device in devices(scenario):
        yield from device.create(Place(scenario, ref))


def _offloads(scenario: Scenario) -> Iterator[Step]:
    for ref, device in devices(scenario):
        for feature in PARITY_OFF:
            yield SetOffload(ref.host, ref.device, feature)
        if device.segments_always:
            yield SetSegments(ref.host, ref.device, 1)


def _connect(scenario: Scenario) -> Iterator[Step]:
    """Ports into bridges, addresses, and everything up: a bridge before its ports."""
    for ref, device in devices(scenario):
        if isinstance(device, Bridge):
            for port in device.ports:
                yield SetMaster(ref.host, port, ref.device)
    for name in scenario.hosts:
        yield SetUp(name, "lo")
    for ref, device in sorted(devices(scenario), key=lambda item: _rises(item[1])):
        for address in device.addresses:
            yield AddAddress(ref.host, ref.device, address)
        yield SetUp(ref.host, ref.device)
        yield from device.settle(Place(scenario, ref))


def _rises(device: Device) -> int:
    """Bridges come up before their ports, so that a port finds its bridge running."""
    return 0 if isinstance(device, Bridge) else 1


def _routes(scenario: Scenario) -> Iterator[Step]:
    for name, host in scenario.hosts.items():
        for route in host.routes:
            yield AddRoute(name, route.to, route.via, route.dev, route.onlink)
