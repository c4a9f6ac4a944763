"""Where claims have their measurements made: each at most once, however many claims ask for it."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bench import capture
from bench.errors import CannotMeasure
from bench.forwarders import forwarding
from bench.ledger import Ledger, Load, take
from bench.probes import PROBES, prove
from bench.probes.base import Path
from bench.scenario import Variant
from bench.topology import Arm, build
from bench.why.design import variant_of

BLOCKS = {"serial": 8, "stream": 5}
_PINGS = 50
_ATTEMPTS = 4

Told = Callable[[str], None]


class Lab:
    """Measures on request and remembers; paths are named as `variant_of` understands them.

    tell: told of what is being measured.
    """

    def __init__(self, tell: Told) -> None:
        self.tell = tell
        self._ledgers: dict[tuple[str, Load], Ledger] = {}
        self._times: dict[tuple[str, tuple[str, ...]], dict[str, list[float]]] = {}

    def ledger(self, name: str, load: Load) -> Ledger:
        """The ledger of a path, offloads as it ships them. Raises CannotMeasure."""
        key = name, load
        if key not in self._ledgers:
            self.tell(f"counting {name}")
            self._ledgers[key] = _lossless(name, load)
        return self._ledgers[key]

    def times(self, measure: str, names: Sequence[str]) -> dict[str, list[float]]:
        """Path → seconds of a packet, one value a block; the paths take turns in each block."""
        key = measure, tuple(names)
        if key not in self._times:
            found: dict[str, list[float]] = {name: [] for name in names}
            for block, name in itertools.product(range(BLOCKS[measure]), names):
                self.tell(f"timing {name}, block {block + 1} of {BLOCKS[measure]}")
                probe = PROBES[measure]
                with _standing(variant_of(name)) as path:
                    measured = probe.measure(path, probe.settings["quick"])
                found[name].append(statistics.median(measured.samples[probe.metrics[0]]))
            self._times[key] = found
        return self._times[key]

    def frames(self, name: str) -> list[tuple[str, list[bytes]]]:
        """Of some pings, the frames that each device on the way to the server saw."""
        self.tell(f"capturing on {name}")
        with _standing(variant_of(name)) as path:
            captures = capture.capture(path.topology, _PINGS, timeout=2)
        return [(str(taken.ref), [frame.data for frame in taken.frames]) for taken in captures]


def _lossless(name: str, load: Load) -> Ledger:
    """A ledger in which nothing was lost: what is done for lost packets would be told of others."""
    lost = ""
    for _ in range(_ATTEMPTS):
        with _standing(variant_of(name)) as path:
            ledger = take(path, load, overhead=False)
        if ledger.sent is None or ledger.delivered == ledger.sent:
            return ledger
        lost = f"{ledger.sent - ledger.delivered:.0f} of {ledger.sent} datagrams were lost"
    raise CannotMeasure(f"{name}: {lost} in the last of {_ATTEMPTS} attempts")


@contextmanager
def _standing(variant: Variant) -> Iterator[Path]:
    with ExitStack() as stack:
        topology = stack.enter_context(build(variant.scenario, Arm.NATIVE))
        forwarders = stack.enter_context(forwarding(topology))
        yield prove(topology, variant.name, forwarders)
