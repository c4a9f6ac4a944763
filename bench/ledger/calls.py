"""System calls by number, and which of them move data.

Numbers differ between architectures; on one that is not in the table a call is told by its number
only, so nothing that depends on names is concluded there.
"""

from __future__ import annotations

import platform

DATA_CALLS = frozenset(
    {
        *("read", "readv", "recvfrom", "recvmsg", "recvmmsg"),
        *("write", "writev", "sendto", "sendmsg", "sendmmsg", "sendfile", "splice"),
    }
)
"""Those that move data when they return more than 0."""
WAITING_CALLS = frozenset(
    {
        *("poll", "select", "pselect6", "epoll_wait", "io_uring_enter"),
        *("futex", "nanosleep", "clock_nanosleep", "sched_yield"),
    }
)
"""Those that wait. How many a packet takes hangs on when a program gets a CPU, too."""

_NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {
        "read": 0,
        "write": 1,
        "poll": 7,
        "readv": 19,
        "writev": 20,
        "select": 23,
        "sched_yield": 24,
        "nanosleep": 35,
        "sendfile": 40,
        "sendto": 44,
        "recvfrom": 45,
        "sendmsg": 46,
        "recvmsg": 47,
        "getppid": 110,
        "futex": 202,
        "epoll_wait": 232,
        "clock_nanosleep": 230,
        "pselect6": 270,
        "splice": 275,
        "recvmmsg": 299,
        "sendmmsg": 307,
        "io_uring_enter": 426,
    },
    # Without the old calls: the C library makes poll(3) and select(3) of ppoll and pselect6.
    "aarch64": {
        "read": 63,
        "write": 64,
        "readv": 65,
        "writev": 66,
        "sendfile": 71,
        "pselect6": 72,
        "poll": 73,
        "splice": 76,
        "futex": 98,
        "nanosleep": 101,
        "clock_nanosleep": 115,
        "sched_yield": 124,
        "getppid": 173,
        "sendto": 206,
        "recvfrom": 207,
        "sendmsg": 211,
        "recvmsg": 212,
        "recvmmsg": 243,
        "sendmmsg": 269,
        "io_uring_enter": 426,
    },
}


def names(machine: str | None = None) -> dict[int, str]:
    """Number → name on this machine (or the one named); empty where it is not known."""
    table = _NUMBERS.get(machine or platform.machine(), {})
    return {number: name for name, number in table.items()}
