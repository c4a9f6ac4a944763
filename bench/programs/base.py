"""What is known of a program of somebody else that moves packets.

One module of this package is one program; `TOOL` in it says all there is to know. Where its process
runs, how long it lives, and that nothing of it stays behind is the business of
`bench.forwarders.program`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface

from bench.errors import CannotMeasure, MissingCapability
from bench.native import Address, Network

Value = bool | int | float | str
Secrets = Sequence[Mapping[str, bytes]]
"""Of each end, name → what it has made for this run: keys, certificates."""
_TIMEOUT = 20.0


@dataclass(frozen=True)
class Proxied:
    """What a proxy is to do: its tap is in another namespace than its sockets.

    host: of the tap. netns: the path of its namespace. interface: the tap's address, with its
    network. gateway: by which the tap's host reaches all others. uplink: a device of the host of
    the sockets, with an address. forwards: at which address of that host connections are for the
    tap; the ports are those of `bench.ports`.
    """

    host: str
    netns: str
    interface: IPv4Interface | IPv6Interface
    gateway: Address
    uplink: str
    forwards: Address | None


@dataclass(frozen=True)
class End:
    """One process of a program, and what it is to do.

    number: among the ends of this program in the scenario; `Secrets` are in that order.
    host: where it runs. proxied: of a proxy only; its sockets have any `port`, 0.
    address, port: where its socket is. routes: prefix → number of the end that owns it; of a tun.
    peers: numbers of the ends it talks to. kind: of its device, "tun" or "tap".
    """

    number: int
    host: str
    device: str
    kind: str
    mtu: int
    address: Address
    port: int
    routes: Mapping[Network, int]
    peers: Sequence[int]
    options: Mapping[str, Value]
    proxied: Proxied | None = None


@dataclass(frozen=True)
class Launch:
    """How to start an end.

    arguments: of the program, its own name first.
    files: what it finds in `process.FOLDER`, for its eyes only.
    listens: regular expression that its output matches once others can reach it; they are started
        after that, because who calls too early may try again only after many seconds.
    said: the same once it is ready, besides that its device is in use.
    afterwards: commands that are carried out beside it, in its namespaces and with its files, for
        programs that others configure; each again until it succeeds.
    """

    arguments: Sequence[str]
    files: Mapping[str, bytes] = field(default_factory=dict)
    listens: str = ""
    said: str = ""
    afterwards: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Tool:
    """A program.

    package: Debian's, that has it. executable: what is looked for on PATH. version: arguments that
        have it say its version, and a regular expression of which group 1 is that.
    options: name → what it may be, the first by default.
    cipher: what the payload is encrypted with under some options; "none".
    kinds: of devices that it can have. largest_mtu: of these.
    proxy: whether it ends connections; see `Proxied`. refusal: why a proxy cannot be what is asked
        of it, or None.
    several: whether one process can have several peers.
    launch: how to start an end, given all ends and their secrets.
    secrets: makes the keys of all ends, if they need any.
    needs: executables besides its own, and the package of each.
    """

    title: str
    package: str
    executable: str
    version: tuple[Sequence[str], str]
    launch: Callable[[End, Sequence[End], Secrets], Launch]
    options: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    cipher: Callable[[Mapping[str, Value]], str] = lambda _: "none"
    kinds: frozenset[str] = frozenset({"tun"})
    largest_mtu: int = 65535
    proxy: bool = False
    refusal: Callable[[Proxied], str | None] = lambda _: None
    several: bool = False
    secrets: Callable[[Sequence[End]], Secrets] = lambda ends: [{} for _ in ends]
    needs: Mapping[str, str] = field(default_factory=dict)

    def missing(self) -> str | None:
        """Why it cannot run here, or None."""
        for name, package in {self.executable: self.package, **self.needs}.items():
            if shutil.which(name) is None:
                return f"{name} is not installed; `make peers` does (package {package})"
        return None

    def installed_version(self) -> str:
        """What is installed. Raises MissingCapability where nothing is."""
        if reason := self.missing():
            raise MissingCapability(reason)
        arguments, pattern = self.version
        said = _said([self.executable, *arguments])
        found = re.search(pattern, said)
        return found.group(1) if found else self._packaged() or "of unknown version"

    def _packaged(self) -> str:
        """The version of Debian's package: some programs are built without knowing theirs."""
        return _said(["dpkg-query", "-W", "-f=${Version}", self.package])


def run(*arguments: str, given: bytes = b"") -> bytes:
    """What a short-lived program writes to standard output. Raises CannotMeasure where it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - arguments are ours
            arguments, input=given, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotMeasure(f"{arguments[0]}: {error}") from None
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise CannotMeasure(f"{' '.join(arguments)}: status {done.returncode}: {' '.join(last)}")
    return done.stdout


def _said(arguments: Sequence[str]) -> str:
    """All that it says: some print their version on standard error, some fail meanwhile."""
    try:
        done = subprocess.run(  # noqa: S603 - arguments are ours
            arguments, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).decode(errors="replace")
