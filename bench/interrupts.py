"""Signals that end a command, and what they must not come in the middle of."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
"""Signals that end a run cleanly."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold Ctrl-C (and its like) back while something is done; it takes effect right after."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
