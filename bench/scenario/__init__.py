"""Scenario files: their structure, reading, checking, and the path a packet takes through them."""

from bench.devices import DeviceRef, parse_ref
from bench.scenario.load import (
    Variant,
    find,
    load,
    shipped_peers,
    shipped_scenarios,
    show_value,
    variants,
)
from bench.scenario.model import Scenario
from bench.scenario.paths import Hop, listening_address, server_address, trace

__all__ = [
    "DeviceRef",
    "Hop",
    "Scenario",
    "Variant",
    "find",
    "listening_address",
    "load",
    "parse_ref",
    "server_address",
    "shipped_peers",
    "shipped_scenarios",
    "show_value",
    "trace",
    "variants",
]
