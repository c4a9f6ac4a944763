"""The soaker of the C extension: see `vnb_soak` in `csrc/vnetbench.h`."""

from __future__ import annotations

import mmap

from bench._vnetbench import ffi, lib
from bench.native.calls import check


class Pieces:
    """What a soaker counts, in memory shared with every process forked later."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._pieces = ffi.cast("uint64_t *", ffi.from_buffer(self._memory))
        self._stop = ffi.cast("uint32_t *", self._pieces + 1)

    def read(self) -> int:
        """Pieces of work done so far."""
        return int(self._pieces[0])

    def soak(self) -> None:
        """Work and count at the lowest priority until `stop`. Raises OSError: see vnb_soak."""
        check(lib.vnb_soak(self._pieces, self._stop))

    def stop(self) -> None:
        """Have `soak`, in whatever process, return."""
        self._stop[0] = 1
