"""pasta between a container's tap and the sockets of its host: what rootless Podman runs.

It copies between a TCP connection's segments and a socket without a TCP of its own. The tap is
there already, with its address and its routes, so it need not configure any, nor answer DHCP.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Interface

from bench import ports
from bench.programs.base import End, Launch, Proxied, Secrets, Tool


def _launch(end: End, _: Sequence[End], __: Secrets) -> Launch:
    proxied = end.proxied
    assert proxied is not None  # noqa: S101 - it is a proxy
    words = [
        *("pasta", "--foreground", "--quiet", "--stderr"),
        # Another user than root could not enter a namespace that is not its own. It drops its
        # capabilities and hides the file system from itself all the same.
        *("--runas", "0", "--netns", proxied.netns, "--no-netns-quit"),
        *("--ns-ifname", end.device, "--ipv4-only", "--address", str(proxied.interface.ip)),
        *("--netmask", str(proxied.interface.network.prefixlen)),
        *("--gateway", str(proxied.gateway), "--interface", proxied.uplink, "--dns", "none"),
        *("--no-dhcp", "--no-dhcpv6", "--no-ndp", "--no-ra", "--no-map-gw"),
        *("--tcp-ports", _forwarded(proxied, ports.TCP)),
        *("--udp-ports", _forwarded(proxied, ports.UDP)),
        *("--tcp-ns", "none", "--udp-ns", "none"),
    ]
    return Launch(words, files={})


def _forwarded(proxied: Proxied, numbers: Sequence[int]) -> str:
    if proxied.forwards is None:
        return "none"
    return f"{proxied.forwards}/{','.join(map(str, numbers))}"


def _refusal(proxied: Proxied) -> str | None:
    if isinstance(proxied.interface, IPv6Interface):
        return "its tap is given an IPv4 address here; expected one"
    return None


TOOL = Tool(
    title="pasta, a tap's connections taken over by sockets of the host",
    package="passt",
    executable="pasta",
    version=(["--version"], r"pasta (\d\S*)"),
    launch=_launch,
    kinds=frozenset({"tap"}),
    proxy=True,
    refusal=_refusal,
)
