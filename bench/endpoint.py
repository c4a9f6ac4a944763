"""Address and port of a socket as text: "192.0.2.1:8285", "[2001:db8::1]:8285"."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address

from bench import native


def parse_endpoint(text: str) -> tuple[native.Address, int]:
    """Split "address:port", or "[address]:port" for IPv6. Raises ValueError."""
    found = re.fullmatch(r"(?:([^\[\]:]*)|\[([^\[\]%]*)\]):([0-9]{1,5})", text)
    if not found or not 0 < int(found[3]) < 1 << 16:
        raise ValueError(f'"{text}" is not of the form "address:port" or "[address]:port"')
    address = IPv4Address(found[1]) if found[1] is not None else IPv6Address(found[2])
    return address, int(found[3])


def show_endpoint(address: native.Address, port: int) -> str:
    """The text that `parse_endpoint` reads."""
    return f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"


def family_of(address: native.Address | str) -> socket.AddressFamily:
    """The family of the sockets that have such an address."""
    return socket.AF_INET6 if ":" in str(address) else socket.AF_INET
