"""What test_extension_calls.py runs under strace: one pump, with all packets there beforehand.

Usage: strace_subject.py (out|in) COUNT [SWITCH=NUMBER]... `out` sends COUNT datagrams from the tun
into the tunnel, `in` the other way, through flannel's loop with those switches. Prints, as JSON,
the pump's thread, its descriptors and its counters.
"""

import json
import os
import socket
import sys
import threading
import time
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from overlay import LEFT, PORT, RIGHT, inner_packet, quiet_namespace, side
from pyroute2 import IPRoute

from bench import native
from bench.native import Port, PortKind
from bench.presets import preset
from bench.topology.namespaces import inside


def main(direction: str, count: int, switches: dict[str, int]) -> None:
    with ExitStack() as stack:
        netns = stack.enter_context(quiet_namespace())
        left = side(stack, netns, LEFT, 16, PortKind.TUN)
        stack.enter_context(inside(netns))
        with IPRoute() as ip:
            ip.link("set", index=1, state="up")  # the loopback
        tunnel, peer, inner = (stack.enter_context(udp()) for _ in range(3))
        tunnel.bind(("127.0.0.1", PORT))
        peer.bind(("127.0.0.1", 0))
        inner.bind((LEFT, 7))
        for _ in range(count):
            if direction == "out":
                inner.sendto(b"out", (RIGHT, 7))
            else:
                peer.sendto(inner_packet(RIGHT, LEFT, 7, b"in"), ("127.0.0.1", PORT))

        stop = os.eventfd(0)
        sink = peer if direction == "out" else inner
        pump = threading.get_native_id()
        stopper = threading.Thread(target=stop_after, args=(sink, count, stop, pump))
        stopper.start()
        counters = native.Counters()
        hop = (IPv4Address("127.0.0.1"), peer.getsockname()[1])
        router = native.Router({IPv4Network("10.244.2.0/24"): hop})
        native.pump_run(
            (Port(PortKind.TUN, left.device), Port(PortKind.UDP, tunnel.fileno())),
            router,
            counters,
            stop,
            settings={**preset("flannel"), **switches},
            buffer_size=1500,
            icmp_source4=IPv4Address(LEFT),
        )
        stopper.join()
        tun, sock = left.device, tunnel.fileno()
        report = {"tid": pump, "tun": tun, "udp": sock, "stop": stop}
        sys.stdout.write(json.dumps({**report, "counters": counters.read()}))


def udp() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def stop_after(sink: socket.socket, count: int, stop: int, pump: int) -> None:
    """Stop the pump's thread when it has moved all and waits for more.

    Stopped earlier, it would find out in the turn after the last packet if it looks then.
    """
    for _ in range(count):
        sink.recv(2048)
    await_sleep(pump)
    os.eventfd_write(stop, 1)


def await_sleep(thread: int) -> None:
    """Wait until a thread sleeps at 20 looks in a row; under strace it is "t" in each call."""
    looks = 0
    while looks < 20:
        time.sleep(0.002)
        state = Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()[0]
        looks = looks + 1 if state == "S" else 0


if __name__ == "__main__":
    pairs = (word.split("=") for word in sys.argv[3:])
    main(sys.argv[1], int(sys.argv[2]), {name: int(number) for name, number in pairs})
