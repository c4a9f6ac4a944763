"""Devices whose other side is a process: tun and tap."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench import native
from bench.devices.base import Device, DeviceRef, Place
from bench.devices.step import Net, Step

_QDISC = "pfifo_fast"
"""Of devices that have a queue; veth, bridge and VXLAN devices have none."""

_TC_H_ROOT = 0xFFFFFFFF
_MQ = 0x00010000
"""The handle 1: of a discipline that has one of its own for each queue."""
_TUNSETPERSIST = 0x400454CB
TUN = "/dev/net/tun"
"""The file that every tun and tap device is made through."""
_IN_A_CONTAINER = f"in a container: docker run --device {TUN}"
TUN_REMEDIES = {
    errno.EACCES: f"sudo chmod 666 {TUN} (or run as root)",
    errno.EPERM: f"run as root ({_IN_A_CONTAINER})",
    errno.ENOENT: f"sudo mkdir -p /dev/net && sudo mknod -m 666 {TUN} c 10 200 ({_IN_A_CONTAINER})",
    errno.ENODEV: "sudo modprobe tun",
    errno.ENXIO: "sudo modprobe tun",
}
"""What to do where it cannot be opened, by the error's number: a command comes first."""


class Tun(Device, frozen=True, kw_only=True, tag="tun"):
    """A layer-3 device whose other side is a forwarder."""

    can_be_port = False
    ip_only = True

    def create(self, at: Place) -> Iterable[Step]:
        yield from _create(at, "tun", None)


class Tap(Device, frozen=True, kw_only=True, tag="tap"):
    """A layer-2 device whose other side is a forwarder."""

    def create(self, at: Place) -> Iterable[Step]:
        yield from _create(at, "tap", at.mac)


def _create(at: Place, kind: str, mac: str | None) -> Iterable[Step]:
    """A tun or tap device, in the mode that the forwarder needs that holds it."""
    [holder] = [f for f in at.scenario.forwarders if str(at.ref) in f.devices]
    mode, mtu = holder.device_mode(), at.scenario.device(at.ref).mtu
    host, name = at.ref.host, at.ref.device
    yield AddTunTap(host, name, kind, mac, mtu, bool(mode["tun_offload"]), mode["queues"])
    yield from queue_steps(at.ref, mode["queue_length"], mode["queues"])


def queue_steps(ref: DeviceRef, length: int, queues: int) -> Iterable[Step]:
    """How many packets wait in which order, where the device has a queue for each descriptor."""
    if length:
        yield SetQueueLength(ref.host, ref.device, length)
    if queues == 1:
        yield SetQdisc(ref.host, ref.device, _QDISC)
        return
    yield SetQdisc(ref.host, ref.device, "mq")
    for queue in range(1, queues + 1):
        yield SetQdisc(ref.host, ref.device, _QDISC, queue)


@dataclass(frozen=True)
class AddTunTap(Step):
    """Create a tun or tap device; its descriptors are what the forwarder moves packets through.

    offload: whether packets have a virtio header, and the device segmentation offload.
    queues: descriptors, each a queue of its own.

    The device is made persistent: it goes with its namespace, with all others at once, where the
    kernel would otherwise make the dying forwarder wait for the removal of each.
    """

    name: str
    kind: str
    mac: str | None
    mtu: int
    offload: bool
    queues: int

    @property
    def opens(self) -> str:
        return TUN

    @property
    def remedies(self) -> Mapping[int, str]:
        return TUN_REMEDIES

    def apply(self, net: Net) -> None:
        net.enter(self.host)
        kind = native.PortKind[self.kind.upper()]
        for _ in range(self.queues):
            fd = native.tun_open(self.name, kind, offload=self.offload, queues=self.queues > 1)
            net.hold(self.host, self.name, fd)
        fcntl.ioctl(fd, _TUNSETPERSIST, 1)
        settings = {"address": self.mac} if self.mac else {}
        net.netlink(self.host).link(
            "set", index=net.index(self.host, self.name), mtu=self.mtu, **settings
        )

    def command(self) -> str:
        address = f"address {self.mac} " if self.mac else ""
        flags = " multi_queue" * (self.queues > 1) + " vnet_hdr" * self.offload
        return (
            f"ip -n {self.host} tuntap add dev {self.name} mode {self.kind}{flags} && "
            f"ip -n {self.host} link set {self.name} {address}mtu {self.mtu}"
        )


@dataclass(frozen=True)
class SetQueueLength(Step):
    """Say how many packets may wait in a device to be sent; of a tun or tap, for its forwarder."""

    name: str
    packets: int

    def apply(self, net: Net) -> None:
        net.enter(self.host)
        native.set_queue_length(self.name, self.packets)

    def command(self) -> str:
        return f"ip -n {self.host} link set {self.name} txqueuelen {self.packets}"


@dataclass(frozen=True)
class SetQdisc(Step):
    """Give a device a queueing discipline; devices with a queue get the machine's default.

    queue: number of the queue it is for, where each has its own; None: it is for all.
    """

    name: str
    kind: str
    queue: int | None = None

    def apply(self, net: Net) -> None:
        parent = _TC_H_ROOT if self.queue is None else _MQ | self.queue
        settings = {"handle": _MQ} if self.kind == "mq" else {}
        net.netlink(self.host).tc(
            "replace",
            kind=self.kind,
            index=net.index(self.host, self.name),
            parent=parent,
            **settings,
        )

    def command(self) -> str:
        place = "root" if self.queue is None else f"parent 1:{self.queue:x}"
        handle = " handle 1:" if self.kind == "mq" else ""
        return f"tc -n {self.host} qdisc replace dev {self.name} {place}{handle} {self.kind}"
