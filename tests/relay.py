"""A hub between two devices that may harm what it carries, by somebody else than the kernel.

    python relay.py DEVICE DEVICE FAULT PERIOD

Prints a line when it is ready. FAULT is none, flip, drop, repeat or swap; it befalls every
PERIOD-th UDP or TCP packet with some payload. Packets are taken and given with their virtio
header, so a super-packet stays one, and a checksum that is yet to be computed (as it is between
veths) is computed over what the relay has made of the payload: no one on the way notices the harm.
"""

import os
import select
import socket
import struct
import sys

SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23  # linux/if_packet.h
SO_RCVBUFFORCE = 33
ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
VIRTIO, ETHERNET = 10, 14
LEAST = VIRTIO + ETHERNET + 20 + 32 + 100
"""Bytes of a packet that has payload, whatever the protocol and its options."""


def tap(device: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    sock.bind((device, ETH_P_ALL))
    return sock


def harmed(fault: str, frame: bytes, held: list[bytes]) -> list[bytes]:
    """What is sent in place of `frame`."""
    match fault:
        case "flip":
            return [frame[:-1] + bytes([frame[-1] ^ 0x20])]
        case "drop":
            return []
        case "repeat":
            return [frame, frame]
        case "swap":
            held.append(frame)
            return []
        case _:
            return [frame]


def main(devices: list[str], fault: str, period: int) -> None:
    # Packets given by different CPUs overtake one another in the queues of these CPUs.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    ends = [tap(device) for device in devices]
    ways = {ends[i].fileno(): (ends[i], ends[1 - i]) for i in (0, 1)}
    poll = select.poll()
    for end in ends:
        poll.register(end, select.POLLIN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    number = 0
    held: dict[int, list[bytes]] = {fd: [] for fd in ways}
    while True:
        for fd, _ in poll.poll():
            source, target = ways[fd]
            frame = source.recv(1 << 17)
            frames = [frame]
            [kind] = struct.unpack_from("!H", frame, VIRTIO + 12)
            if kind == ETH_P_IP and len(frame) >= LEAST:
                number += 1
                if number % period == 0:
                    frames = harmed(fault, frame, held[fd])
                else:
                    frames += held[fd]
                    held[fd].clear()
            for each in frames:
                target.send(each)


if __name__ == "__main__":
    main(sys.argv[1:3], sys.argv[3], int(sys.argv[4]))
