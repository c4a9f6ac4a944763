"""OpenVPN 2.6 between two ends that know each other, over UDP.

Without a cipher it has no TLS either: static mode without a key, where a packet is sent as it is.
With one it has TLS between certificates made for the run, each end knowing the other's fingerprint.

Nothing is tuned but this: packets are as large as the device lets them be. By itself OpenVPN
lowers TCP's segment size (mssfix) so that no outer packet is above 1492 bytes, and a stream would
be cut into other packets than the pump's.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address

from bench.process import FOLDER
from bench.programs.base import End, Launch, Secrets, Tool, Value, run

_LISTENS = "link remote: "
"""What it says when its socket is bound."""
_CERTIFICATE = "openssl req -x509 -noenc -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 2"


def _secrets(ends: Sequence[End]) -> Secrets:
    return [_identity(end) if end.options["cipher"] != "none" else {} for end in ends]


def _identity(end: End) -> Mapping[str, bytes]:
    """A key with a certificate that it has signed itself."""
    subject = f"/CN={end.host}"
    return {"identity.pem": run(*_CERTIFICATE.split(), "-subj", subject, "-keyout", "-")}


def _fingerprint(identity: bytes) -> str:
    found = re.search(rb"-+BEGIN CERTIFICATE-+(.*?)-+END", identity, re.DOTALL)
    assert found  # noqa: S101 - openssl has just written it
    return hashlib.sha256(base64.b64decode(found.group(1))).digest().hex(":")


def _launch(end: End, ends: Sequence[End], secrets: Secrets) -> Launch:
    [number] = end.peers
    peer = ends[number]
    family = "udp6" if isinstance(peer.address, IPv6Address) else "udp4"
    arguments = [
        *("openvpn", "--dev", end.device, "--dev-type", end.kind, "--proto", family),
        *("--local", str(end.address), "--lport", str(end.port)),
        *("--remote", str(peer.address), str(peer.port)),
        *("--tun-mtu", str(end.mtu), "--mssfix", "0"),
    ]
    if end.options["cipher"] == "none":
        arguments += ["--cipher", "none", "--auth", "none"]
        # It would call itself initialized once it had a packet from its peer.
        return Launch(arguments, said=_LISTENS)
    role = "server" if end.number < peer.number else "client"
    identity = f"{FOLDER}/identity.pem"
    arguments += [
        # Where there is a kernel module for it, OpenVPN would not move the packets itself.
        *("--disable-dco", f"--tls-{role}", "--cert", identity, "--key", identity),
        *("--peer-fingerprint", _fingerprint(secrets[peer.number]["identity.pem"])),
        *("--data-ciphers", str(end.options["cipher"]).upper()),
        *(("--dh", "none") if role == "server" else ()),
    ]
    return Launch(
        arguments,
        secrets[end.number],
        listens=_LISTENS,
        said="Initialization Sequence Completed",
    )


def _cipher(options: Mapping[str, Value]) -> str:
    return str(options["cipher"])


TOOL = Tool(
    title="OpenVPN, one process with one thread a host",
    package="openvpn",
    executable="openvpn",
    version=(["--version"], r"OpenVPN (\S+)"),
    launch=_launch,
    options={"cipher": ["none", "aes-256-gcm", "chacha20-poly1305"]},
    cipher=_cipher,
    kinds=frozenset({"tun", "tap"}),
    secrets=_secrets,
    needs={"openssl": "openssl"},
)
