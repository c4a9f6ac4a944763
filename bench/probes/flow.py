"""A flow of datagrams: when all that will arrive of it has arrived."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.native.delay import Arrived
from bench.native.traffic import Received, Sent, Tally

_GLANCE = 0.001
_LOOK = 0.01
"""Seconds without any news after which to look whether what is missing is known to be dropped."""
QUIET = 0.3
"""Seconds without any news after which what is missing counts as lost: a machine with much to do
may hold a forwarder back for a while."""
_PATIENCE = 10.0
"""And with news: of a path that keeps repeating what it carried there is no end."""


def settle(
    sent: Tally[Sent],
    received: Tally[Received] | Tally[Arrived],
    *,
    quiet: float = QUIET,
    patience: float = _PATIENCE,
    dropped: Callable[[int], bool] = lambda _: False,
) -> None:
    """Wait until all that was sent has arrived, or nothing is to be expected any more.

    That is so where the receiver's count has stood still for `quiet` seconds, or `patience` is
    over, or `dropped` says of how many are missing that all of them are known to be lost.
    """
    wanted, seen, begin = sent.read().packets, -1, time.monotonic()
    news = looked = begin
    while (missing := wanted - (there := received.read()).accounted) > 0:
        now = time.monotonic()
        if there.packets != seen:
            seen, news = there.packets, now
        elif now - max(news, looked) > _LOOK:
            if dropped(missing):
                return
            looked = now
        if now - news > quiet or now - begin > patience:
            return
        time.sleep(_GLANCE)
