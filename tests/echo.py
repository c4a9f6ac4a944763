"""The least that ping(8) does, as a program: not every machine has that one.

    python echo.py ADDRESS [COUNT [SIZE [SECONDS]]]

Sends ICMP echo requests of SIZE bytes one after another, each when the last one is answered
(RFC 792, for an IPv6 address RFC 4443). Exits with status 0 when all were, with 1 when one was not
within SECONDS.
"""

import os
import socket
import struct
import sys
import time

REQUEST, REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}


def request(version: int, number: int, size: int) -> bytes:
    head = struct.pack("!BBHHH", REQUEST[version], 0, 0, os.getpid() & 0xFFFF, number)
    data = head + bytes(size + size % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    check = ~(total + (total >> 16)) & 0xFFFF
    return data[:2] + struct.pack("!H", check) + data[4 : 8 + size]


def answered(sock: socket.socket, version: int, number: int, seconds: float) -> bool:
    """Wait for the reply to request `number`."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            packet = sock.recv(65535)
        except TimeoutError:
            return False
        # only a raw IPv4 socket returns the IP header as well
        icmp = packet[(packet[0] & 0x0F) * 4 :] if version == 4 else packet
        kind, _, _, process, sequence = struct.unpack("!BBHHH", icmp[:8])
        if (kind, process, sequence) == (REPLY[version], os.getpid() & 0xFFFF, number):
            return True
    return False


def main(address: str, count: int = 1, size: int = 56, seconds: float = 3.0) -> None:
    version = 6 if ":" in address else 4
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    protocol = socket.IPPROTO_ICMPV6 if version == 6 else socket.IPPROTO_ICMP
    with socket.socket(family, socket.SOCK_RAW, protocol) as sock:
        sock.connect((address, 0))
        for number in range(count):
            sock.send(request(version, number, size))
            if not answered(sock, version, number, seconds):
                sys.exit(f"no reply from {address} to request {number} within {seconds:g} s")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]), *map(float, sys.argv[4:]))
