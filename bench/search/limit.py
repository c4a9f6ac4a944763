"""How fast the generator is by itself: where whatever it sends is dropped at once."""

from __future__ import annotations

import math
import os
import socket

from pyroute2 import IPRoute

from bench import native
from bench.errors import CannotMeasure
from bench.native import traffic
from bench.native.traffic import Sent, Tally
from bench.probes.ahead import ends, hold
from bench.process import spawn
from bench.search.model import Options
from bench.search.single import gathered, switch_segmentation
from bench.search.tester import stream_of

_DEVICE, _HERE, _THERE = "null", "10.9.9.1", "10.9.9.2"
_ATTEMPTS, _SECONDS = 4, 0.1
_TIMEOUT = 10.0


def generator_limit(size: int, options: Options) -> tuple[float | None, str]:
    """Datagrams a second that the generator sends at most, or None and why they are not known.

    The null sink is a tun device that nobody reads: its queue is full after some hundred packets,
    and what comes then is dropped in the device's driver, each datagram by itself. So this is the
    price of the generator and of the kernel's sending half, which is part of every path.
    """
    try:
        with spawn("null sink: generator", lambda _: _flood(size, options)) as child:
            return float(child.receive(_TIMEOUT)["rate"]), ""
    except CannotMeasure as error:
        return None, f"the generator's own limit is not known: {error}"


def _flood(size: int, options: Options) -> dict[str, float]:
    native.unshare(native.CLONE_NEWNET)
    # With offload it takes checksums to be filled in later, as veth devices do.
    device = native.tun_open(_DEVICE, native.PortKind.TUN, offload=True)
    switch_segmentation(_DEVICE, on=False)
    with IPRoute() as ip:
        [index] = ip.link_lookup(ifname=_DEVICE)
        ip.addr("add", index=index, address=_HERE, prefixlen=30)
        ip.link("set", index=index, state="up")
    hold(ends()[0])
    rates, never = list[float](), os.eventfd(0)
    segments = gathered(math.inf, size, options.gather)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((_THERE, 9))
        for _ in range(_ATTEMPTS):
            sent = Tally(Sent)
            stream = stream_of(options, size, segments, seed=1, id=1, rate=0, seconds=_SECONDS)
            traffic.send(sock.fileno(), stream, sent, never)
            rates.append(sent.read().rate)
    os.close(device)
    return {"rate": max(rates)}
