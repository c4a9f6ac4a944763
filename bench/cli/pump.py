"""`vnetbench pump`: the packet pump as a program of its own, in the current namespace."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import click

from bench import native, presets
from bench.cli.completers import one_of
from bench.cli.options import examples
from bench.devices import TUN_REMEDIES
from bench.endpoint import parse_endpoint, show_endpoint
from bench.errors import CannotMeasure, UsageError
from bench.etcd import follow
from bench.etcd.client import Client
from bench.forwarders.pump import option
from bench.forwarders.queues import Ports, PumpConfig, QueueCounters, ports_of_queues, run
from bench.forwarders.sockets import buffers, udp_sockets
from bench.topology.namespaces import inside

_NAMED = Path("/run/netns")
_ETCD_TIMEOUT = 5.0
_NO_TRIP = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EPERM, errno.ETIMEDOUT)
"""What the loopback may say to the first datagram of a handicap."""
_NO_TUN = (errno.EPERM, errno.EACCES, errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EADDRINUSE)
"""What may keep a handicap from a tun of its own."""


def _switch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each entry of the pump's table of switches."""
    for switch in reversed(native.switches().values()):
        help_text = f"{switch.help} [{switch.choices}; default: {switch.show(switch.initial)}]"
        metavar = "|".join(switch.values) if switch.values else "N"
        decorate = click.option(
            option(switch.name),
            switch.name,
            metavar=metavar,
            shell_complete=one_of(*switch.values or ()),
            help=help_text,
        )
        command = decorate(command)
    return command


@click.command(
    epilog=examples(
        "vnetbench pump --tun flannel0 --listen 192.0.2.1:8285 \\",
        "      --route 10.244.2.0/24=192.0.2.2:8285 --preset fast --linger 0",
        "vnetbench pump --tap tap0 --tap tap1@/run/netns/guest --batch 16",
    )
)
@click.option("--tun", "tuns", multiple=True, metavar="NAME[@NETNS]", help="A tun device to hold.")
@click.option("--tap", "taps", multiple=True, metavar="NAME[@NETNS]", help="A tap device to hold.")
@click.option(
    "--listen",
    metavar="ADDRESS:PORT",
    help="Where the UDP socket listens; an IPv6 address stands in brackets.",
)
@click.option(
    "--route",
    "routes",
    multiple=True,
    metavar="PREFIX=ADDRESS:PORT",
    help="Which peer owns a prefix; the longest that matches wins.",
)
@click.option(
    "--routes",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="More of them, one a line, # for comments; read again on SIGHUP.",
)
@click.option(
    "--etcd",
    metavar="ADDRESS:PORT",
    help="Have all routes from flannel's leases there, as they come and go, instead.",
)
@click.option(
    "--icmp-source",
    "icmp_sources",
    multiple=True,
    metavar="ADDRESS",
    help="Source of the ICMP errors sent back, once for each of IPv4 and IPv6 "
    "[default: the address that was not reached].",
)
@click.option(
    "--preset",
    default=presets.NONE,
    show_default=True,
    metavar="|".join(presets.NAMES),
    shell_complete=one_of(*presets.NAMES),
    help="A named set of the switches below; those that are given as well win.",
)
@_switch_options
def pump(
    tuns: tuple[str, ...],
    taps: tuple[str, ...],
    listen: str | None,
    routes: tuple[str, ...],
    file: Path | None,
    etcd: str | None,
    icmp_sources: tuple[str, ...],
    preset: str,
    **switches: str | None,
) -> None:
    """Move packets between a tun and UDP peers, two tuns, or two taps.

    Devices are created in the current network namespace (or NETNS, a name under /run/netns or a
    path), or attached to where they exist. One inner IP packet a datagram, no header: flannel's
    UDP backend understands it. Runs until SIGTERM or SIGINT; prints its counters as JSON then, and
    whenever it gets SIGUSR1.
    """
    settings = _settings(preset, switches, tunnels=bool(listen))
    _check_shape(tuns, taps, listen, bool(routes or file or etcd))
    kinds = [native.PortKind.TUN] * len(tuns) + [native.PortKind.TAP] * len(taps)
    if listen:
        kinds.append(native.PortKind.UDP)
    if reason := native.pump_refusal(kinds, settings):
        raise UsageError(f"pump: {reason}")
    endpoint = _parse_endpoint("--listen", listen) if listen else None
    store = _etcd(etcd, endpoint, bool(routes or file)) if etcd and endpoint else None
    table = _RouteTable(endpoint[0].version, routes, file) if endpoint else None
    sources = _icmp_sources(icmp_sources)
    config = PumpConfig(settings, table.router if table else None, **sources)
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1} | ({signal.SIGHUP} if file else set())
    # Before anything exists that a signal could interrupt half-made; sigwait() takes them below.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with ExitStack() as stack:
        fds = [
            _open(text, kind, settings, stack)
            for text, kind in zip((*tuns, *taps), kinds, strict=False)
        ]
        if endpoint:
            fds.append(_listen(endpoint, settings, stack))
        if store and endpoint and table:
            _follow(store, endpoint[0], table.router)
        _serve(config, ports_of_queues(kinds, fds), table, signals)


def _settings(preset: str, given: dict[str, str | None], *, tunnels: bool) -> native.Settings:
    try:
        settings = dict(presets.preset(preset, tunnels=tunnels))
    except ValueError as error:
        raise UsageError(f"pump: --preset {preset}: {error}") from None
    for name, text in given.items():
        if text is not None:
            try:
                settings[name] = native.parse_setting(native.switches()[name], text)
            except ValueError as error:
                raise UsageError(f"pump: {option(name)} {text}: {error}") from None
    return settings


def _check_shape(
    tuns: tuple[str, ...], taps: tuple[str, ...], listen: str | None, routes: bool
) -> None:
    devices = (len(tuns), len(taps), bool(listen))
    if devices not in ((1, 0, True), (2, 0, False), (0, 2, False)):
        raise UsageError("pump: expected --tun and --listen, or two --tun, or two --tap")
    if listen and not routes:
        raise UsageError(
            "pump: --listen needs at least one --route PREFIX=ADDRESS:PORT, or --routes, or --etcd"
        )
    if routes and not listen:
        raise UsageError(
            "pump: --route needs --listen, as does --etcd; between two devices there is no choice"
        )


class _RouteTable:
    """The routes of the command line and of a file that may change."""

    def __init__(self, version: int, given: Sequence[str], file: Path | None) -> None:
        self._version, self._given, self._file = version, given, file
        self.router = native.Router(self._read())

    def reload(self) -> None:
        """Put what the file says now in force, or raise UsageError and leave things as they are."""
        self.router.replace(self._read())

    def _read(self) -> native.Routes:
        routes = dict(self._parse(text, f"--route {text}") for text in self._given)
        if self._file is not None:
            try:
                lines = self._file.read_text().splitlines()
            except OSError as error:
                raise UsageError(f"pump: --routes {self._file}: {error.strerror}") from None
            except UnicodeDecodeError:
                raise UsageError(f"pump: --routes {self._file}: is not UTF-8 text") from None
            for number, line in enumerate(lines, start=1):
                if text := line.partition("#")[0].strip():
                    prefix, hop = self._parse(text, f"--routes {self._file}: line {number}")
                    routes[prefix] = hop
        return routes

    def _parse(self, text: str, where: str) -> tuple[native.Network, tuple[native.Address, int]]:
        prefix, _, hop = text.partition("=")
        try:
            network, (address, port) = ip_network(prefix), parse_endpoint(hop)
        except ValueError as error:
            raise UsageError(f"pump: {where}: expected PREFIX=ADDRESS:PORT ({error})") from None
        if address.version != self._version:
            raise UsageError(f"pump: {where}: expected a peer of the family of --listen")
        return network, (address, port)


def _follow(store: Client, own: native.Address, router: native.Router) -> None:
    try:
        follow.start(store, own, router, _ETCD_TIMEOUT)
    except CannotMeasure as error:
        raise CannotMeasure(f"pump: {error}") from None


def _icmp_sources(texts: tuple[str, ...]) -> dict[str, Any]:
    """The fields of PumpConfig that they are for."""
    sources: dict[str, IPv4Address | IPv6Address] = {}
    for text in texts:
        try:
            address = ip_address(text)
        except ValueError:
            raise UsageError(f"pump: --icmp-source {text}: expected an IP address") from None
        field = f"icmp_source{address.version}"
        if field in sources:
            raise UsageError(
                f"pump: --icmp-source {text}: there is one of IPv{address.version} already; "
                "expected one of each family"
            )
        sources[field] = address
    return sources


def _open(
    text: str, kind: native.PortKind, settings: native.Settings, stack: ExitStack
) -> list[int]:
    """The descriptors of a device, one a queue."""
    name, at, netns = text.partition("@")
    queues, offload = settings["queues"], bool(settings["tun_offload"])
    fds: list[int] = []
    try:
        with ExitStack() as there:
            if at:
                namespace = _namespace(netns, f"{kind.name.lower()} {text}")
                there.callback(os.close, namespace)
                there.enter_context(inside(namespace))
            for _ in range(queues):
                fds.append(native.tun_open(name, kind, offload=offload, queues=queues > 1))
                stack.callback(os.close, fds[-1])
            if settings["queue_length"]:
                native.set_queue_length(name, settings["queue_length"])
    except OSError as error:
        remedy = TUN_REMEDIES.get(error.errno or 0)
        raise CannotMeasure(
            f"pump: {kind.name.lower()} {text}: {error.strerror}{f'; {remedy}' if remedy else ''}"
        ) from None
    return fds


def _namespace(netns: str, where: str) -> int:
    """A descriptor of the namespace that is called so, or that has this path."""
    path = netns if "/" in netns else str(_NAMED / netns)
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CannotMeasure(
            f"pump: {where}: {path}: {error.strerror}; ip netns lists those that have names"
        ) from None


def _parse_endpoint(name: str, text: str) -> tuple[native.Address, int]:
    try:
        return parse_endpoint(text)
    except ValueError as error:
        raise UsageError(f"pump: {name} {text}: expected ADDRESS:PORT ({error})") from None


def _etcd(text: str, listen: tuple[native.Address, int], routes: bool) -> Client:
    """A client of the etcd that `text` names."""
    address, port = _parse_endpoint("--etcd", text)
    if routes:
        raise UsageError("pump: --etcd has all routes; expected no --route and no --routes")
    if isinstance(listen[0], IPv6Address):
        raise UsageError("pump: --etcd needs a --listen of IPv4, as flannel's leases over UDP are")
    return Client(address, port)


def _listen(
    endpoint: tuple[native.Address, int], settings: native.Settings, stack: ExitStack
) -> list[int]:
    """The descriptors of the sockets, one a queue."""
    try:
        sockets = udp_sockets(*endpoint, settings, stack)
    except OSError as error:
        where = show_endpoint(*endpoint)
        raise CannotMeasure(f"pump: --listen {where}: {error.strerror}") from None
    granted = min(buffers(sockets[0]).values())
    if granted < settings["buffer"]:
        _say(f"--buffer {settings['buffer']}: the system allows {granted} bytes")
    return [sock.fileno() for sock in sockets]


def _serve(
    config: PumpConfig,
    queues: Sequence[Ports],
    table: _RouteTable | None,
    signals: set[signal.Signals],
) -> None:
    """Run the loops in threads (they keep no GIL) while this one waits for signals."""
    counters = QueueCounters(len(queues))
    stop = os.eventfd(0)
    died: list[OSError] = []

    def move() -> None:
        try:
            run(config, queues, counters, stop)
        except OSError as error:
            died.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=move)
    thread.start()
    while (caught := signal.sigwait(signals)) in (signal.SIGUSR1, signal.SIGHUP):
        if caught == signal.SIGUSR1:
            _print(counters)
        elif table is not None:
            _reload(table)
    os.eventfd_write(stop, 1)
    thread.join()
    _print(counters)
    if died:
        raise CannotMeasure(f"pump: {died[0].strerror}: {_reason(died[0], config.settings)}")


def _reason(error: OSError, settings: native.Settings) -> str:
    """What a pump that ended with `error` may have died of."""
    reasons = []
    if settings["udp_trips"] and error.errno in _NO_TRIP:
        reasons.append("udp_trips needs a loopback that is up, and lets datagrams pass")
    if settings["tun_trips"] and error.errno in (*_NO_TUN, *_NO_TRIP):
        reasons.append(
            "tun_trips needs the right to make a tun device (vnbtrip0 to vnbtrip63), which lets "
            "datagrams pass"
        )
    return "; ".join(reasons) or "a device or the socket is gone"


def _reload(table: _RouteTable) -> None:
    try:
        table.reload()
    except UsageError as error:
        click.echo(f"vnetbench: {error}; the routes stay as they were", err=True)


def _print(counters: QueueCounters) -> None:
    click.echo(json.dumps(counters.read(), indent=1))
    sys.stdout.flush()


def _say(text: str) -> None:
    click.echo(f"vnetbench: pump: {text}", err=True)
