"""What kernel and user must allow: namespaces, tun devices, sockets, counters, priorities."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import native
from bench.devices import TUN, TUN_REMEDIES
from bench.doctor.model import Check, Here, Seen, cpus, missing, ok, unknown
from bench.errors import CannotMeasure, MissingCapability
from bench.forwarders.sockets import buffers, set_buffers
from bench.meters import metering
from bench.native.meter import INSTRUCTIONS
from bench.presets import preset
from bench.probes.ahead import hold
from bench.process import Send, spawn
from bench.readers import privilege
from bench.topology import namespace
from bench.trial import obstacle_to

_UDP_SEGMENT, _UDP_GRO = 103, 104  # linux/udp.h; not in Python's module
_TUNSETOFFLOAD = 0x400454D0
_TCP_OFFLOAD, _UDP_OFFLOAD = 0x1 | 0x2 | 0x4, 0x20 | 0x40
"""TUN_F_CSUM, TSO4, TSO6; and USO4, USO6."""
_NEWER = (
    "sudo apt-get install -t $(. /etc/os-release; echo $VERSION_CODENAME)-backports "
    "linux-image-$(dpkg --print-architecture), and boot it (Debian)"
)
_TIMEOUT = 5.0
_USER_NAMESPACES = {
    "user.max_user_namespaces": ("0", "15000"),
    "kernel.unprivileged_userns_clone": ("0", "1"),
    "kernel.apparmor_restrict_unprivileged_userns": ("1", "0"),
}
"""Sysctls that keep ordinary users from namespaces: the value that does, and one that does not."""


# ---- namespaces ---------------------------------------------------------------------------------


def _namespaces(here: Here) -> Seen:
    if here.confined:
        return missing(here.confined, _allow_namespaces(here))
    try:
        with namespace():
            pass
    except CannotMeasure as error:
        return missing(str(error), "sudo sysctl -w user.max_net_namespaces=15000")
    return ok(f"can be made, as {privilege()}")


def _allow_namespaces(here: Here) -> str:
    """The sysctls that forbid them, set otherwise; where there are none, root."""
    wrong = [
        f"{name}={right}"
        for name, (bad, right) in _USER_NAMESPACES.items()
        if here.text(f"proc/sys/{name.replace('.', '/')}") == bad
    ]
    if wrong:
        return f"sudo sysctl -w {' '.join(wrong)}"
    return "sudo vnetbench … (in a container: docker run --privileged)"


def _in_namespace(here: Here, name: str, task: Callable[[], Any]) -> Any:
    """What `task` returns, carried out by a child in a namespace of its own. Raises CannotMeasure.

    An OSError of its comes back as {"errno": number}.
    """

    def attempt(_: Send) -> dict[str, Any]:
        try:
            return {"found": task()}
        except OSError as error:
            return {"errno": error.errno}

    if here.confined:
        raise CannotMeasure("needs network namespaces")
    with namespace() as netns, spawn(name, attempt, netns=netns) as child:
        return child.receive(_TIMEOUT)


# ---- tun ----------------------------------------------------------------------------------------


def _tun(here: Here) -> Seen:
    said = _in_namespace(here, "tun", lambda: os.close(native.tun_open("t", native.PortKind.TUN)))
    error = said.get("errno")
    if error is None:
        return ok("can be opened")
    return missing(os.strerror(error), TUN_REMEDIES.get(error, "sudo modprobe tun"))


def _tun_offload(here: Here) -> Seen:

    def attempt() -> int:
        fd = native.tun_open("t", native.PortKind.TUN, offload=True)
        for offload in (_TCP_OFFLOAD | _UDP_OFFLOAD, _TCP_OFFLOAD):
            try:
                fcntl.ioctl(fd, _TUNSETOFFLOAD, offload)
            except OSError:
                continue
            return offload
        return 0

    said = _in_namespace(here, "tun offload", attempt)
    if "errno" in said:
        return unknown(f"no tun device can be opened: {os.strerror(said['errno'])}")
    if said["found"] & _UDP_OFFLOAD:
        return ok("TSO and USO")
    if said["found"]:
        return missing("TSO alone; USO needs Linux 6.2", _NEWER)
    return missing("neither TSO nor USO", _NEWER)


# ---- sockets ------------------------------------------------------------------------------------


def _udp_option(option: int, since: str) -> Callable[[Here], Seen]:
    """A look whether UDP sockets have an option."""

    def look(_: Here) -> Seen:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.setsockopt(socket.IPPROTO_UDP, option, 1)
            except OSError as error:
                return missing(f"{error.strerror}; needs Linux {since}", _NEWER)
        return ok("sockets have it")

    return look


def _ipv6(here: Here) -> Seen:

    def attempt() -> None:
        Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("0")
        native.set_up("lo")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))

    said = _in_namespace(here, "IPv6", attempt)
    if "errno" not in said:
        return ok("there")
    mend = "boot without ipv6.disable=1: sudo editor /etc/default/grub && sudo update-grub"
    if "ipv6.disable=1" not in (here.text("proc/cmdline") or ""):
        mend = "sudo modprobe ipv6"
    return missing(os.strerror(said["errno"]), mend)


def _socket_buffers(_: Here) -> Seen:
    wanted = preset("fast", tunnels=True)["buffer"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        set_buffers(sock, wanted)
        granted = min(buffers(sock).values()) // 2  # the kernel doubles what it is asked for
    if granted >= wanted:
        return ok(f"{wanted >> 10} KiB of {wanted >> 10} granted")
    return missing(
        f"{granted >> 10} KiB of {wanted >> 10} granted",
        f"sudo sysctl -w net.core.rmem_max={wanted} net.core.wmem_max={wanted}",
    )


def _io_uring(here: Here) -> Seen:
    if here.confined:
        return unknown("needs network namespaces")
    reason = obstacle_to("tun-relay", "io=uring", "readiness=on")
    if reason is None:
        return ok("works")
    if TUN in reason:
        return unknown("no tun device can be opened to try it with")
    if "liburing" in reason:
        mend = "sudo apt-get install liburing-dev && make clean setup"
    elif here.text("proc/sys/kernel/io_uring_disabled") in ("1", "2"):
        mend = "sudo sysctl -w kernel.io_uring_disabled=0"
    else:
        mend = f"{_NEWER}: 6.0; in a container, docker run --security-opt seccomp=unconfined"
    return missing(reason, mend)


# ---- counters and priorities --------------------------------------------------------------------


def _pmu(here: Here) -> Seen:
    try:
        with metering(INSTRUCTIONS):
            return ok("instructions and cycles can be counted")
    except MissingCapability as error:
        mend = "sudo sysctl -w kernel.perf_event_paranoid=0"
        if "no PMU" in str(error):
            mend = here.command_or_host(
                "look in the firmware's set-up whether it is switched off there",
                "a virtual PMU (libvirt: <pmu state='on'/>; QEMU: -cpu host,pmu=on)",
            )
        return missing(str(error), mend)


def _realtime(_: Here) -> Seen:
    if len(cpus()) == 1:
        return ok("not used where there is one CPU")
    with spawn("realtime", lambda _: {"held": hold(cpus()[-1])}) as child:
        held = child.receive(_TIMEOUT)["held"]
    if held:
        return ok("senders can go before all else on their CPU")
    mend = (
        'echo "$USER - rtprio 1" | sudo tee /etc/security/limits.d/vnetbench.conf, and log in again'
    )
    if privilege() == "root":
        mend = "docker run --cap-add SYS_NICE (or whatever took that capability from root)"
    return missing("not permitted: senders share their CPU with all else", mend)


CHECKS = (
    Check(
        "namespaces",
        "network namespaces",
        "unshare(2)",
        "every scenario lives in them; without, nothing can be measured",
        _namespaces,
    ),
    Check(
        "tun",
        "tun and tap devices",
        f"{TUN}, in a new namespace",
        "all paths with a pump or a program need them",
        _tun,
    ),
    Check(
        "tun_offload",
        "segmentation at a tun",
        "ioctl(2), TUNSETOFFLOAD",
        "the pump's switch tun_offload moves super-packets; without USO, of TCP alone",
        _tun_offload,
    ),
    Check(
        "udp_gso",
        "UDP GSO",
        "setsockopt(2), UDP_SEGMENT",
        "the pump's switch udp_offload sends several datagrams at once",
        _udp_option(_UDP_SEGMENT, "4.18"),
    ),
    Check(
        "udp_gro",
        "UDP GRO",
        "setsockopt(2), UDP_GRO",
        "the pump's switch udp_offload receives several datagrams at once",
        _udp_option(_UDP_GRO, "5.0"),
    ),
    Check(
        "io_uring",
        "io_uring",
        "a pump with io=uring on a path",
        "the pump's switch io=uring needs it",
        _io_uring,
    ),
    Check("ipv6", "IPv6", "bind(2) to ::1, in a new namespace", "flannel-udp6 needs it", _ipv6),
    Check(
        "socket_buffers",
        "socket buffers",
        "getsockopt(2), SO_RCVBUF and SO_SNDBUF",
        "a fast pump's socket must hold a burst; what overflows is lost on the path",
        _socket_buffers,
    ),
    Check(
        "pmu",
        "performance counters",
        "perf_event_open(2), instructions of each CPU",
        "instructions and cycles of a packet are not observed without",
        _pmu,
    ),
    Check(
        "realtime",
        "real-time priority",
        "sched_setscheduler(2), SCHED_FIFO",
        "a sender that others keep waiting sends late, which costs packet rates and delays",
        _realtime,
    ),
)
