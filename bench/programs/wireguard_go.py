"""WireGuard in user space: wireguard-go as the distribution has it, configured by wg(8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.endpoint import show_endpoint
from bench.process import FOLDER
from bench.programs.base import End, Launch, Secrets, Tool, run

_CONFIGURATION = "wireguard.conf"


def _secrets(ends: Sequence[End]) -> Secrets:
    return [_keys() for _ in ends]


def _keys() -> Mapping[str, bytes]:
    private = run("wg", "genkey")
    return {"private": private, "public": run("wg", "pubkey", given=private)}


def _launch(end: End, ends: Sequence[End], secrets: Secrets) -> Launch:
    lines = [
        "[Interface]",
        f"PrivateKey = {secrets[end.number]['private'].decode().strip()}",
        f"ListenPort = {end.port}",
    ]
    for number in end.peers:
        prefixes = [str(prefix) for prefix, owner in end.routes.items() if owner == number]
        lines += [
            "[Peer]",
            f"PublicKey = {secrets[number]['public'].decode().strip()}",
            f"Endpoint = {show_endpoint(ends[number].address, ends[number].port)}",
            f"AllowedIPs = {', '.join(prefixes)}",
        ]
    return Launch(
        ["wireguard-go", "--foreground", end.device],
        files={_CONFIGURATION: "\n".join(lines).encode()},
        afterwards=[
            ["wg", "setconf", end.device, f"{FOLDER}/{_CONFIGURATION}"],
            # It gives every device an MTU of 1420, one that was there already, too.
            ["ip", "link", "set", end.device, "mtu", str(end.mtu)],
        ],
    )


TOOL = Tool(
    title="WireGuard in user space, a Go program with as many threads as cores",
    package="wireguard-go",
    executable="wireguard-go",
    version=(["--version"], r"wireguard-go v(\S+)"),
    launch=_launch,
    cipher=lambda _: "chacha20-poly1305",
    several=True,
    secrets=_secrets,
    needs={"wg": "wireguard-tools", "ip": "iproute2"},
)
