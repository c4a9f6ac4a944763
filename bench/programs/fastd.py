"""fastd, made for the uplinks of mesh networks, between two ends over UDP."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bench.endpoint import show_endpoint
from bench.process import FOLDER
from bench.programs.base import End, Launch, Secrets, Tool, Value, run

_METHODS = {
    "none": "null",
    "salsa2012": "salsa2012+umac",
    "aes-128-ctr": "aes128-ctr+umac",
}
"""Cipher → fastd's name for it with what authenticates."""
_KEYS = r"Secret: ([0-9a-f]{64})\s+Public: ([0-9a-f]{64})"


def _secrets(ends: Sequence[End]) -> Secrets:
    return [_keys() for _ in ends]


def _keys() -> Mapping[str, bytes]:
    found = re.search(_KEYS.encode(), run("fastd", "--generate-key"))
    assert found  # noqa: S101 - it has just said so
    return {"secret": found.group(1), "public": found.group(2)}


def _launch(end: End, ends: Sequence[End], secrets: Secrets) -> Launch:
    [number] = end.peers
    peer = ends[number]
    lines = [
        "mode tun;",
        f'interface "{end.device}";',
        f"mtu {end.mtu};",
        f"bind {show_endpoint(end.address, end.port)};",
        f'method "{_METHODS[str(end.options["cipher"])]}";',
        f'secret "{secrets[end.number]["secret"].decode()}";',
        'peer "peer" {',
        f'  key "{secrets[number]["public"].decode()}";',
        # One of two calls: where both do, at once, each may settle on another session.
        *([f"  remote {show_endpoint(peer.address, peer.port)};"] if number < end.number else []),
        "}",
    ]
    return Launch(
        ["fastd", "--config", f"{FOLDER}/fastd.conf"],
        files={"fastd.conf": "\n".join(lines).encode()},
        listens="bound to ",
        said="connection with <peer> established",
    )


def _cipher(options: Mapping[str, Value]) -> str:
    return str(options["cipher"])


TOOL = Tool(
    title="fastd, one process with one thread a host",
    package="fastd",
    executable="fastd",
    version=(["--version"], r"fastd v(\S+)"),
    launch=_launch,
    options={"cipher": list(_METHODS)},
    cipher=_cipher,
    secrets=_secrets,
)
