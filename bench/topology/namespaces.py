"""Network namespaces without a name: a descriptor is all that keeps one alive.

They are made by the main thread, which unshares, keeps a descriptor of what it got and returns to
where it came from. Nothing appears under /run/netns; when the last descriptor and the last
process are gone, by whatever signal, the kernel removes the namespace with all its devices.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import native
from bench.errors import CannotMeasure, MissingCapability

_CURRENT = "/proc/thread-self/ns/net"
_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21


def enter_user_namespace_if_needed() -> None:
    """Make sure this process may create network namespaces, as root or as an ordinary user.

    Without the capabilities it becomes root of a new user namespace, in a new network namespace
    of its own (so that it may come back to one it owns). Call it before any thread is started.
    Raises MissingCapability where the kernel does not allow that.
    """
    if _has_capabilities():
        return
    uid, gid = os.geteuid(), os.getegid()
    try:
        native.unshare(native.CLONE_NEWUSER | native.CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    except OSError as error:
        raise MissingCapability(
            f"cannot create network namespaces as an ordinary user ({error.strerror}); run as "
            "root, or allow user namespaces (sysctl user.max_user_namespaces, "
            "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
        ) from None


@contextmanager
def namespace() -> Iterator[int]:
    """Create a network namespace; yields the descriptor that keeps it alive until the end."""
    fd = _create()
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def inside(netns: int) -> Iterator[None]:
    """Run the block in the namespace of descriptor `netns`."""
    with coming_back():
        native.setns(netns, native.CLONE_NEWNET)
        yield


@contextmanager
def coming_back() -> Iterator[None]:
    """Return the thread to the namespace it is in now, wherever the block leaves it."""
    home = os.open(_CURRENT, os.O_RDONLY)
    try:
        yield
    finally:
        native.setns(home, native.CLONE_NEWNET)
        os.close(home)


def _create() -> int:
    try:
        with coming_back():
            native.unshare(native.CLONE_NEWNET)
            return os.open(_CURRENT, os.O_RDONLY)
    except OSError as error:
        kind = MissingCapability if isinstance(error, PermissionError) else CannotMeasure
        hint = "; see sysctl user.max_net_namespaces" if error.errno == errno.ENOSPC else ""
        raise kind(f"cannot create a network namespace: {error.strerror}{hint}") from None


def _has_capabilities() -> bool:
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    bits = int(effective.split()[1], 16)
    return bool(bits >> _CAP_NET_ADMIN & 1 and bits >> _CAP_SYS_ADMIN & 1)
