"""`vnetbench pump`: the packet pump as a program of its own, in the current namespace."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import click

from bench import native
from bench.errors import CannotMeasure, UsageError
from bench.forwarders.pump import PumpConfig, check_engine, parse_endpoint, run, udp_socket
from bench.topology.namespaces import inside

_NAMED = Path("/run/netns")


@click.command(
    epilog="Example: vnetbench pump --tun flannel0 --listen 192.0.2.1:8285 "
    "--route 10.244.2.0/24=192.0.2.2:8285"
)
@click.option("--tun", "tuns", multiple=True, metavar="NAME[@NETNS]", help="A tun device to hold.")
@click.option("--tap", "taps", multiple=True, metavar="NAME[@NETNS]", help="A tap device to hold.")
@click.option("--listen", metavar="ADDRESS:PORT", help="Where the UDP socket listens.")
@click.option(
    "--route",
    "routes",
    multiple=True,
    metavar="PREFIX=ADDRESS:PORT",
    help="Which peer owns a prefix; the longest that matches wins.",
)
@click.option("--engine", default="rw", show_default=True, help="The loop that moves packets.")
@click.option(
    "--icmp-source",
    metavar="ADDRESS",
    help="Source of the ICMP errors sent back [default: the address that was not reached].",
)
def pump(
    tuns: tuple[str, ...],
    taps: tuple[str, ...],
    listen: str | None,
    routes: tuple[str, ...],
    engine: str,
    icmp_source: str | None,
) -> None:
    """Move packets between a tun and UDP peers, two tuns, or two taps.

    Devices are created in the current network namespace (or NETNS, a name under /run/netns or a
    path), or attached to where they exist. One inner IPv4 packet a datagram, no header: flannel's
    UDP backend understands it. Runs until SIGTERM or SIGINT; prints its counters as JSON then, and
    whenever it gets SIGUSR1.
    """
    check_engine(engine)
    _check_shape(tuns, taps, listen, routes)
    config = PumpConfig(
        engine=engine,
        routes=dict(_parse_route(text) for text in routes),
        icmp_source=_parse_address(icmp_source) if icmp_source else None,
    )
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}
    # Before anything exists that a signal could interrupt half-made; sigwait() takes them below.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with ExitStack() as stack:
        ports = [_open(text, native.PortKind.TUN, stack) for text in tuns]
        ports += [_open(text, native.PortKind.TAP, stack) for text in taps]
        if listen:
            ports.append(_listen(listen, stack))
        _serve(config, (ports[0], ports[1]), signals)


def _check_shape(
    tuns: tuple[str, ...], taps: tuple[str, ...], listen: str | None, routes: tuple[str, ...]
) -> None:
    devices = (len(tuns), len(taps), bool(listen))
    if devices not in ((1, 0, True), (2, 0, False), (0, 2, False)):
        raise UsageError("pump: expected --tun and --listen, or two --tun, or two --tap")
    if listen and not routes:
        raise UsageError("pump: --listen needs at least one --route PREFIX=ADDRESS:PORT")
    if routes and not listen:
        raise UsageError("pump: --route needs --listen; between two devices there is no choice")


def _parse_route(text: str) -> tuple[IPv4Network, tuple[IPv4Address, int]]:
    prefix, _, hop = text.partition("=")
    try:
        return IPv4Network(prefix), parse_endpoint(hop)
    except ValueError as error:
        raise UsageError(f"pump: --route {text}: expected PREFIX=ADDRESS:PORT ({error})") from None


def _parse_address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise UsageError(f"pump: --icmp-source {text}: expected an IPv4 address") from None


def _open(text: str, kind: native.PortKind, stack: ExitStack) -> native.Port:
    name, at, netns = text.partition("@")
    try:
        if at:
            path = netns if "/" in netns else str(_NAMED / netns)
            namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, namespace)
            with inside(namespace):
                fd = native.tun_open(name, kind)
        else:
            fd = native.tun_open(name, kind)
    except OSError as error:
        raise CannotMeasure(f"pump: {kind.name.lower()} {text}: {error.strerror}") from None
    stack.callback(os.close, fd)
    return native.Port(kind, fd)


def _listen(text: str, stack: ExitStack) -> native.Port:
    try:
        sock = stack.enter_context(udp_socket(*parse_endpoint(text)))
    except ValueError as error:
        raise UsageError(f"pump: --listen {text}: expected ADDRESS:PORT ({error})") from None
    except OSError as error:
        raise CannotMeasure(f"pump: --listen {text}: {error.strerror}") from None
    return native.Port(native.PortKind.UDP, sock.fileno())


def _serve(
    config: PumpConfig, ports: tuple[native.Port, native.Port], signals: set[signal.Signals]
) -> None:
    """Run the loop in a thread (it keeps no GIL) while this one waits for signals."""
    counters = native.Counters()
    stop = os.eventfd(0)
    died: list[OSError] = []

    def move() -> None:
        try:
            run(config, ports, counters, stop)
        except OSError as error:
            died.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=move)
    thread.start()
    while signal.sigwait(signals) == signal.SIGUSR1:
        _print(counters)
    os.eventfd_write(stop, 1)
    thread.join()
    _print(counters)
    if died:
        raise CannotMeasure(f"pump: {died[0].strerror}: a device or the socket is gone")


def _print(counters: native.Counters) -> None:
    click.echo(json.dumps(counters.read(), indent=1))
    sys.stdout.flush()
