"""The ledger: where the work of a packet goes, counted and not timed, in passes of its own."""

from bench.ledger.counts import counts
from bench.ledger.items import ITEMS
from bench.ledger.loads import LOADS
from bench.ledger.model import Check, Ledger, Load, Overhead
from bench.ledger.take import observe, take

__all__ = ["ITEMS", "LOADS", "Check", "Ledger", "Load", "Overhead", "counts", "observe", "take"]
