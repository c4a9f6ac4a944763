"""Sets of the pump's switches that have a name."""

from __future__ import annotations

from bench import native
from bench.errors import did_you_mean

NONE = "none"
_PRESETS: dict[str, dict[str, str]] = {
    NONE: {},
    # flannel's own loop, call for call; its proxy takes datagrams from anyone.
    "flannel": {"trust": "anyone"},
    "fast": {
        "readiness": "on",
        "batch": "16",
        "tun_offload": "on",
        "udp_offload": "on",
        "buffer": "4194304",
        "queue_length": "5000",
        "linger": "50",
        "scheduler": "batch",
    },
}
"""Name → the switches it sets; the others have their initial values."""

NAMES = tuple(_PRESETS)


_OF_SOCKETS = frozenset({"udp_offload", "buffer"})
"""Switches that a preset sets only where there is a UDP socket."""


def preset(name: str, *, tunnels: bool = True) -> native.Settings:
    """The value of every switch, for a pump with a UDP socket or one without.

    Raises ValueError, which says what was expected.
    """
    if name not in _PRESETS:
        raise ValueError(f"expected one of {', '.join(NAMES)}{did_you_mean(name, NAMES)}")
    own, table = _PRESETS[name], native.switches()
    if not tunnels:
        own = {key: value for key, value in own.items() if key not in _OF_SOCKETS}
    return {
        key: native.parse_setting(switch, own[key]) if key in own else switch.initial
        for key, switch in table.items()
    }
