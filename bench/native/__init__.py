"""The C extension with Python's manners: types, and OSError instead of -errno.

The only package that touches `bench._vnetbench`; the contracts stand in `csrc/vnetbench.h`.
"""

from bench.native.calls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUSER,
    PortKind,
    bind,
    compiler,
    compiler_flags,
    die_with_parent,
    liburing,
    ping,
    pong,
    private_tmpfs,
    set_queue_length,
    set_up,
    setns,
    tun_open,
    unshare,
)
from bench.native.pump import Counters, Port, pump_refusal, pump_run
from bench.native.router import Address, Network, Router, Routes
from bench.native.switches import Settings, Switch, parse_setting, switches

__all__ = [
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWUSER",
    "Address",
    "Counters",
    "Network",
    "Port",
    "PortKind",
    "Router",
    "Routes",
    "Settings",
    "Switch",
    "bind",
    "compiler",
    "compiler_flags",
    "die_with_parent",
    "liburing",
    "parse_setting",
    "ping",
    "pong",
    "private_tmpfs",
    "pump_refusal",
    "pump_run",
    "set_queue_length",
    "set_up",
    "setns",
    "switches",
    "tun_open",
    "unshare",
]
