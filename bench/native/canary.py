"""Copies and system calls by themselves: see `vnb_canary_copies` in `csrc/vnetbench.h`."""

from __future__ import annotations

from bench._vnetbench import ffi, lib
from bench.native.calls import check


def copies(size: int, count: int) -> float:
    """Seconds that `count` copies of `size` bytes took. Raises OSError."""
    seconds = ffi.new("double *")
    check(lib.vnb_canary_copies(size, count, seconds))
    return float(seconds[0])


def calls(count: int) -> float:
    """Seconds that `count` system calls took that do nothing. Raises OSError."""
    seconds = ffi.new("double *")
    check(lib.vnb_canary_calls(count, seconds))
    return float(seconds[0])
