"""The UDP sockets that pumps listen on."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from ipaddress import IPv6Address

from bench import native
from bench.endpoint import family_of

_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33  # asm-generic/socket.h; not in Python's module
_REUSEPORT = "reuseport"


def udp_sockets(
    address: native.Address, port: int, settings: native.Settings, stack: ExitStack
) -> list[socket.socket]:
    """A UDP socket for each queue, bound to `address`:`port` in this thread's namespace.

    settings: of the pump; "shared" is one socket that stands in the list for every queue.
    Raises OSError.
    """
    queues, sockets = settings["queues"], native.switches()["sockets"]
    own = queues > 1 and sockets.show(settings["sockets"]) == _REUSEPORT
    opened = []
    for _ in range(queues if own else 1):
        sock = stack.enter_context(socket.socket(family_of(address), socket.SOCK_DGRAM))
        if own:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if settings["buffer"]:
            set_buffers(sock, settings["buffer"])
        if isinstance(address, IPv6Address):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((str(address), port))
        opened.append(sock)
    return opened if own else opened * queues


def buffers(sock: socket.socket) -> dict[str, int]:
    """What the kernel grants the socket: bytes of each buffer, its own bookkeeping included."""
    return {
        "receive": sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
        "send": sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF),
    }


def set_buffers(sock: socket.socket, size: int) -> None:
    """Set both buffers, beyond the machine's limit where that is permitted. Raises OSError."""
    for force, plain in (
        (_SO_RCVBUFFORCE, socket.SO_RCVBUF),
        (_SO_SNDBUFFORCE, socket.SO_SNDBUF),
    ):
        try:
            sock.setsockopt(socket.SOL_SOCKET, force, size)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, plain, size)
