"""Whether a variant can be measured on this machine, found out by standing it up for a moment."""

from __future__ import annotations

from bench import forwarders
from bench.errors import CannotMeasure, UsageError
from bench.probes import prove
from bench.scenario import Variant, find, variants
from bench.topology import build


def obstacle(variant: Variant) -> str | None:
    """Why no datagrams cross the variant here, or None where they did."""
    try:
        forwarders.check(variant)
        with build(variant.scenario) as topology, forwarders.forwarding(topology):
            prove(topology, variant.name)
    except (CannotMeasure, UsageError) as error:
        return str(error)
    return None


def obstacle_to(name: str, *overrides: str) -> str | None:
    """The same of a shipped scenario by its name, with parameters such as "mtu=1400"."""
    [variant] = variants(find([name]), overrides)
    return obstacle(variant)
