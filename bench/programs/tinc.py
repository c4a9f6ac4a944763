"""tinc 1.0, a mesh of daemons; here each knows the keys of all from the start.

Packets go by UDP from the first on. By itself tinc would find the path's MTU out, and meanwhile,
for seconds, send what is larger than it is sure of over its TCP connection; here the scenario says
what the path's MTU is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.process import FOLDER
from bench.programs.base import End, Launch, Secrets, Tool, Value, run

_LARGEST_MTU = 1500
"""Of its buffers, as the distribution builds it."""
_RSA_BITS = "1024"
"""Of a key that lives for a trial and only opens the session; long ones take seconds to find."""


def _secrets(ends: Sequence[End]) -> Secrets:
    return [_keys() for _ in ends]


def _keys() -> Mapping[str, bytes]:
    private = run("openssl", "genrsa", "-traditional", _RSA_BITS)
    return {"private": private, "public": run("openssl", "rsa", "-pubout", given=private)}


def _name(end: End) -> str:
    return f"end{end.number}"


def _launch(end: End, ends: Sequence[End], secrets: Secrets) -> Launch:
    lines = [
        f"Name = {_name(end)}",
        "Mode = router",
        "DeviceType = tun",
        f"Interface = {end.device}",
        f"BindToAddress = {end.address}",
        "PMTUDiscovery = no",
        # One of two connects, else both would, at once, and start again.
        *(f"ConnectTo = {_name(ends[number])}" for number in end.peers if number < end.number),
    ]
    files = {"tinc.conf": "\n".join(lines).encode(), "rsa_key.priv": secrets[end.number]["private"]}
    for other in (end, *(ends[number] for number in end.peers)):
        host = [
            f"Address = {other.address}",
            f"Port = {other.port}",
            *(f"Subnet = {prefix}" for prefix in _prefixes(other, ends)),
            *(("Cipher = none", "Digest = none") if other.options["cipher"] == "none" else ()),
            *(
                (f"Cipher = {other.options['cipher']}",)
                if other.options["cipher"] != "none"
                else ()
            ),
            secrets[other.number]["public"].decode(),
        ]
        files[f"hosts/{_name(other)}"] = "\n".join(host).encode()
    return Launch(
        ["tincd", "--no-detach", f"--config={FOLDER}", f"--pidfile={FOLDER}/pid", "--debug=2"],
        files=files,
        listens="Ready",
        said=r"Connection with .* activated",
    )


def _prefixes(owner: End, ends: Sequence[End]) -> list[str]:
    """What an end owns, which the others know."""
    return sorted(
        {str(p) for e in ends for p, number in e.routes.items() if number == owner.number}
    )


def _cipher(options: Mapping[str, Value]) -> str:
    return str(options["cipher"])


TOOL = Tool(
    title="tinc, one process with one thread a host",
    package="tinc",
    executable="tincd",
    version=(["--version"], r"tinc version (\S+)"),
    launch=_launch,
    options={"cipher": ["none", "aes-256-cbc"]},
    cipher=_cipher,
    largest_mtu=_LARGEST_MTU,
    several=True,
    secrets=_secrets,
    needs={"openssl": "openssl"},
)
