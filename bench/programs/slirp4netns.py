"""slirp4netns between a container's tap and the sockets of its host: a TCP/IP stack in user space.

What rootless Docker and Podman ran before pasta. Its ports are forwarded by request, on a socket
that is in its private folder; so it does without its own sandbox, which would hide that from us.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from ipaddress import IPv6Network
from typing import Any

from bench import ports
from bench.process import FOLDER
from bench.programs.base import End, Launch, Proxied, Secrets, Tool

_LONGEST_PREFIX = 25
"""Of its network, in which its own address is the second one and the tap's the hundredth."""
_OURS, _TAPS = 2, 100
_API = f"{FOLDER}/api"


def _launch(end: End, _: Sequence[End], __: Secrets) -> Launch:
    proxied = end.proxied
    assert proxied is not None  # noqa: S101 - it is a proxy
    words = [
        *("slirp4netns", "--netns-type", "path", "--mtu", str(end.mtu)),
        *("--cidr", str(proxied.interface.network)),
        *("--disable-host-loopback", "--disable-dns"),
        *(["--enable-seccomp"] if end.options["seccomp"] else []),
        *("--api-socket", _API, proxied.netns, end.device),
    ]
    asked = [_ask(request) for request in _requests(proxied)]
    return Launch(words, files={}, afterwards=asked)


def _ask(request: dict[str, Any]) -> Sequence[str]:
    """The command that makes a request, which succeeds when that does."""
    exchange = f"socat -t5 - UNIX-CONNECT:{_API}"
    return ["sh", "-c", f"printf %s '{json.dumps(request)}' | {exchange} | grep -q return"]


def _requests(proxied: Proxied) -> Iterator[dict[str, Any]]:
    """What is asked of it: one port each."""
    if proxied.forwards is None:
        return
    for protocol, numbers in (("tcp", ports.TCP), ("udp", ports.UDP)):
        for number in numbers:
            where = {
                "proto": protocol,
                "host_addr": str(proxied.forwards),
                "host_port": number,
                "guest_addr": str(proxied.interface.ip),
                "guest_port": number,
            }
            yield {"execute": "add_hostfwd", "arguments": where}


def _refusal(proxied: Proxied) -> str | None:
    interface, gateway = proxied.interface, proxied.gateway
    network = interface.network
    if isinstance(network, IPv6Network) or network.prefixlen > _LONGEST_PREFIX:
        return f"expected an IPv4 network of at most /{_LONGEST_PREFIX}"
    ours, taps = network[_OURS], network[_TAPS]
    if (gateway, interface.ip) != (ours, taps):
        return f"in {network} expected the address {taps} and a default route via {ours}"
    return None


TOOL = Tool(
    title="slirp4netns, a TCP/IP stack in user space between a tap and sockets of the host",
    package="slirp4netns",
    executable="slirp4netns",
    version=(["--version"], r"slirp4netns version (\S+)"),
    launch=_launch,
    options={"seccomp": [True, False]},
    kinds=frozenset({"tap"}),
    largest_mtu=65521,
    proxy=True,
    refusal=_refusal,
    needs={"socat": "socat"},
)
