"""Functions of the extension that take and return plain values."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from bench._vnetbench import ffi, lib

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFTXQLEN = 0x8913, 0x8914, 0x8943
_IFF_UP = 1


class PortKind(IntEnum):
    """What a port's descriptor is (enum vnb_port_kind)."""

    TUN = lib.VNB_PORT_TUN
    TAP = lib.VNB_PORT_TAP
    UDP = lib.VNB_PORT_UDP


def unshare(flags: int) -> None:
    """unshare(2). Raises OSError."""
    check(lib.vnb_unshare(flags))


def setns(fd: int, nstype: int = 0) -> None:
    """setns(2). Raises OSError."""
    check(lib.vnb_setns(fd, nstype))


def private_tmpfs(path: str) -> None:
    """Cover the folder `path` with an empty tmpfs that only this process and its children see.

    Raises OSError: see vnb_private_tmpfs.
    """
    check(lib.vnb_private_tmpfs(os.fsencode(path)))


def bind(fd: int, path: str) -> None:
    """Have the file of a descriptor, such as a namespace, at `path` as well. Raises OSError."""
    check(lib.vnb_bind(fd, os.fsencode(path)))


def die_with_parent(signal: int) -> None:
    """Have the kernel send `signal` to this process when the thread that forked it dies."""
    check(lib.vnb_die_with_parent(signal))


def tun_open(name: str, kind: PortKind, *, offload: bool = False, queues: bool = False) -> int:
    """Create or attach to a tun or tap device in this namespace; returns its descriptor.

    offload: with a virtio header in front of each packet, and segmentation offload.
    queues: the device may be opened several times, each a queue of its own.
    Raises OSError: see vnb_tun_open.
    """
    mode = lib.VNB_TUN_OFFLOAD * offload | lib.VNB_TUN_QUEUES * queues
    return check(lib.vnb_tun_open(os.fsencode(name), kind, mode), name)


def set_queue_length(name: str, packets: int) -> None:
    """Say how many packets may wait in the device `name` of this namespace. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFTXQLEN, struct.pack("16si12x", os.fsencode(name), packets))


def set_up(name: str) -> None:
    """Set the device `name` of this namespace up. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", os.fsencode(name), 0)
        flags = struct.unpack_from("h", fcntl.ioctl(sock, _SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14x", os.fsencode(name), flags | _IFF_UP))


def ping(fd: int, size: int, rounds: int, timeout: float) -> float:
    """Seconds that `rounds` closed-loop round trips of `size`-byte datagrams took on `fd`.

    Raises OSError (TimeoutError where no echo came within `timeout` seconds).
    """
    seconds = ffi.new("double *")
    check(lib.vnb_ping(fd, size, rounds, int(timeout * 1000), seconds))
    return float(seconds[0])


def pong(fd: int, stop_fd: int) -> None:
    """Echo every datagram on `fd` until `stop_fd` is readable. Raises OSError."""
    check(lib.vnb_pong(fd, stop_fd))


def compiler() -> str:
    """The compiler that built the extension, and its version."""
    return text(lib.vnb_compiler())


def compiler_flags() -> str:
    """The options it was given that decide on its code."""
    return text(lib.vnb_compiler_flags())


def liburing() -> str:
    """The version of the liburing that is built in; "none" where there is none."""
    return text(lib.vnb_liburing())


# ---- for this package ---------------------------------------------------------------------------


def check(result: int, subject: str | None = None) -> int:
    """`result`, or OSError (of `subject`) where it is -errno."""
    if result < 0:
        raise OSError(-result, os.strerror(-result), subject)
    return result


def text(string: Any) -> str:
    """A C string that is not NULL."""
    return str(ffi.string(string).decode())


def entries(lookup: Any) -> Iterator[Any]:
    """What `lookup` returns for 0, 1, … until it returns NULL."""
    index = 0
    while (entry := lookup(index)) != ffi.NULL:
        yield entry
        index += 1
