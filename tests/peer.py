"""The other side of the wire, by somebody else: one inner IPv4 packet a datagram, no header.

    python peer.py DEVICE LISTEN-ADDRESS PEER-ADDRESS PORT

Creates the tun device, prints a line, and carries packets between it and the peer. It knows
nothing of vnetbench: the ioctl is written out from linux/if_tun.h.
"""

import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def main(device: str, listen: str, peer: str, port: int) -> None:
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((listen, port))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        readable, _, _ = select.select([tun, sock.fileno()], [], [])
        if tun in readable:
            sock.sendto(os.read(tun, 65536), (peer, port))
        if sock.fileno() in readable:
            os.write(tun, sock.recv(65536))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
