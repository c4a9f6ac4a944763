"""A scenario stood up in unnamed namespaces, for as long as a `with` block lasts."""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from bench import native
from bench.devices import Bridge, DeviceRef
from bench.devices.step import Step
from bench.errors import CannotMeasure, MissingCapability
from bench.guests import Guest
from bench.interrupts import undisturbed
from bench.scenario.model import Scenario
from bench.topology.namespaces import coming_back, inside, namespace
from bench.topology.plan import Arm, in_arm, plan

_RTMGRP_LINK = 1
_READY_TIMEOUT = 5.0
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENODEV, errno.EPROTONOSUPPORT, errno.ENOSYS}


@dataclass(frozen=True)
class Traffic:
    """What a device has counted since it was made.

    tx_dropped: packets it was given to send and did not, such as those a full tun has no room for.
    rx_dropped: packets it received that nobody took, such as those that a backlog has no room for.
    """

    rx_packets: int
    rx_bytes: int
    tx_packets: int
    tx_bytes: int
    tx_dropped: int
    rx_dropped: int


class Topology:
    """The namespaces and devices of a scenario. Use through `build`, which removes them."""

    def __init__(self, scenario: Scenario, stack: ExitStack) -> None:
        self.scenario = scenario
        self._stack = stack
        self.guests: dict[str, Guest] = {}
        """The virtual machines among the hosts, once their hypervisors run."""
        self._netns = {
            name: stack.enter_context(namespace())
            for name, host in scenario.hosts.items()
            if not host.is_guest
        }
        self._netlink: dict[str, IPRoute] = {}
        self._index: dict[DeviceRef, int] = {}
        self._held: dict[DeviceRef, list[int]] = {}

    def netns(self, host: str) -> int:
        """The descriptor of the host's namespace. Raises MissingCapability where it is a guest."""
        if host not in self._netns:
            raise MissingCapability(f"{host} is a guest: this cannot be done inside it")
        return self._netns[host]

    def namespaces(self) -> list[str]:
        """The hosts that are namespaces."""
        return list(self._netns)

    def netlink(self, host: str) -> IPRoute:
        """A netlink socket in the host's namespace, opened when first asked for."""
        if host not in self._netlink:
            with inside(self.netns(host)):
                self._netlink[host] = self._stack.enter_context(_speaking_netlink())
        return self._netlink[host]

    def links(self, host: str, *index: int) -> list[Any]:
        """What netlink has to say of the host's devices, or of one by its index."""
        with undisturbed():
            return list(self.netlink(host).get_links(*index))

    def index(self, host: str, device: str) -> int:
        """The device's interface index."""
        ref = DeviceRef(host, device)
        if ref not in self._index:
            with undisturbed():
                self._index[ref] = self.netlink(host).link_lookup(ifname=device)[0]
        return self._index[ref]

    def enter(self, host: str) -> None:
        """Have the calling thread be in the host's namespace; `build` brings it back."""
        native.setns(self.netns(host), native.CLONE_NEWNET)

    def hold(self, host: str, device: str, fd: int) -> None:
        """Keep the descriptor of one queue of a tun or tap device for its forwarder."""
        ref = DeviceRef(host, device)
        self._held.setdefault(ref, []).append(fd)
        self._stack.callback(self.release, ref)

    def held(self, ref: DeviceRef) -> list[int]:
        """The descriptors, one a queue, of a device that no forwarder has taken yet."""
        return self._held[ref]

    def release(self, ref: DeviceRef) -> None:
        """Close our descriptors of a tun or tap device: its forwarder has its own now.

        From here on the device has a carrier only as long as the forwarder lives.
        """
        for fd in self._held.pop(ref, []):
            os.close(fd)

    def traffic(self, host: str) -> dict[str, Traffic]:
        """What each device of the host has counted, by device name."""
        if host in self.guests:
            return _counted_by_guest(self.guests[host])
        counted = {}
        for link in self.links(host):
            stats = link.get("stats64")
            counted[link.get("ifname")] = Traffic(
                stats["rx_packets"],
                stats["rx_bytes"],
                stats["tx_packets"],
                stats["tx_bytes"],
                stats["tx_dropped"],
                stats["rx_dropped"],
            )
        return counted


@contextmanager
def build(scenario: Scenario, arm: Arm = Arm.NATIVE) -> Iterator[Topology]:
    """Stand `scenario` up; yields when every device is ready to carry packets.

    Forwarders are not started: their devices exist and wait. On leaving, namespaces and devices
    are gone as soon as no other process is in them. Raises MissingCapability where kernel or user
    lack what a step needs, CannotMeasure where a step fails otherwise.
    """
    scenario = in_arm(scenario, arm)
    with ExitStack() as stack:
        topology = Topology(scenario, stack)
        with coming_back():
            for step in plan(scenario, arm):
                _apply(step, topology)
        for host in topology.namespaces():
            _wait_until_up(topology, host)
        yield topology


@contextmanager
def _speaking_netlink() -> Iterator[IPRoute]:
    """A netlink socket in the namespace of the calling thread.

    What uses it holds interrupts back: pyroute2 has an event loop of its own, and what is raised in
    the middle of that comes out as another error, a defect of ours by its looks.
    """
    with undisturbed():
        netlink = IPRoute()
    try:
        yield netlink
    finally:
        with undisturbed():
            netlink.close()


def _counted_by_guest(guest: Guest) -> dict[str, Traffic]:
    """The same from a guest's /proc/net/dev, whose columns are those of struct rtnl_link_stats."""
    rows = [line.split(":") for line in guest.read("/proc/net/dev").splitlines()[2:]]
    columns = {name.strip(): list(map(int, numbers.split())) for name, numbers in rows}
    return {
        name: Traffic(
            rx_bytes=n[0],
            rx_packets=n[1],
            rx_dropped=n[3],
            tx_bytes=n[8],
            tx_packets=n[9],
            tx_dropped=n[11],
        )
        for name, n in columns.items()
    }


def _apply(step: Step, topology: Topology) -> None:
    try:
        with undisturbed():
            step.apply(topology)
    except (NetlinkError, OSError) as error:
        code = error.code if isinstance(error, NetlinkError) else error.errno
        reason = os.strerror(code) if code else str(error)
        if code in _UNSUPPORTED and step.needs:
            raise MissingCapability(f"this kernel has no {step.needs}: {reason}") from error
        if step.opens and (remedy := step.remedies.get(code or 0)):
            raise MissingCapability(
                f"{step.host}: cannot open {step.opens}: {reason}; {remedy}"
            ) from error
        kind = MissingCapability if code in _UNSUPPORTED else CannotMeasure
        raise kind(f"{step.host}: cannot {step.command()}: {reason}") from error


def _wait_until_up(topology: Topology, host: str) -> None:
    """Wait until each device carries packets; the kernel says so a moment after `up` returns."""
    with inside(topology.netns(host)):
        events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    with events:
        events.bind((0, _RTMGRP_LINK))
        poll = select.poll()
        poll.register(events, select.POLLIN)
        deadline = time.monotonic() + _READY_TIMEOUT
        while waiting := _not_ready(topology, host):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                names = ", ".join(waiting)
                raise CannotMeasure(f"{host}: {names} not up after {_READY_TIMEOUT:g} s")
            poll.poll(remaining * 1000)
            _drain(events)


def _drain(events: socket.socket) -> None:
    try:
        while events.recv(1 << 16):
            pass
    except BlockingIOError:
        pass


def _not_ready(topology: Topology, host: str) -> list[str]:
    """Devices of the host without carrier, or not yet forwarding as a port of their bridge."""
    waiting = []
    declared = topology.scenario.hosts[host].devices
    for link in topology.links(host):
        name = link.get("ifname")
        device = declared.get(name)
        if device is None or (isinstance(device, Bridge) and not device.ports):
            continue
        port_state = link.get(("linkinfo", "info_slave_data", "br_port_state"))
        forwarding = port_state in (None, _BR_STATE_FORWARDING)
        if link.get("operstate") not in ("UP", "UNKNOWN") or not forwarding:
            waiting.append(name)
    return waiting


_BR_STATE_FORWARDING = 3
