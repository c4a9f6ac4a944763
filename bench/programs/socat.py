"""socat between a tun or tap and a UDP socket: a packet a read, a packet a write.

The naive end of the scale.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.programs.base import End, Launch, Secrets, Tool

_ROOM = 65535
"""Bytes of its buffer: what it reads at once must be one packet, however large."""


def _launch(end: End, ends: Sequence[End], _: Secrets) -> Launch:
    [number] = end.peers
    peer = ends[number]
    return Launch(
        [
            "socat",
            f"-b{_ROOM}",
            f"TUN,tun-name={end.device},tun-type={end.kind},iff-no-pi",
            f"UDP-DATAGRAM:{peer.address}:{peer.port},bind={end.address}:{end.port}",
        ]
    )


TOOL = Tool(
    title="socat, a tun copied to a UDP socket",
    package="socat",
    executable="socat",
    version=(["-V"], r"socat version (\S+)"),
    launch=_launch,
    kinds=frozenset({"tun", "tap"}),
)
