"""Paths of which everything is known, for searches."""

from collections.abc import Callable

from bench.search import Options, Trial

CAPACITY = 200_000.0
"""Datagrams a second that these paths carry."""
OPTIONS = Options(first=0.125, final=0.25, duration_sum=0.75, time_limit=60)
QUICK = Options(first=0.0625, final=0.0625, duration_sum=0.1875, width=0.1, preceding=1)


def path_of(
    capacity: float, sender: float = 1e6, unlucky: Callable[[], bool] = lambda: False
) -> Callable[[float, float], Trial]:
    """A path that loses what exceeds its capacity, and a sender with a limit of its own."""

    def attempt(rate: float, seconds: float) -> Trial:
        offered = min(rate, sender)
        sent = round(offered * seconds)
        received = min(sent, int(capacity * seconds)) - unlucky()
        return Trial(asked=rate, offered=offered, seconds=seconds, sent=sent, received=received)

    return attempt
