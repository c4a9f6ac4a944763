"""Security associations and policies over netlink, which the netlink library does not speak.

The layouts are those of include/uapi/linux/xfrm.h. Keys go this way because the arguments of a
program can be read by everyone.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address

from bench.native import Address, Network

_NETLINK_XFRM = 6
_NEWSA, _NEWPOLICY = 0x10, 0x13
_CREATE = 0x01 | 0x04 | 0x200 | 0x400
"""NLM_F_REQUEST, ACK, EXCL, CREATE."""
_NLMSG_ERROR = 2
_TEMPLATE, _AEAD = 5, 18
_ESP = socket.IPPROTO_ESP
_FOR_EVER = struct.pack("=4Q4Q", *[2**64 - 1] * 4, *[0] * 4)
_NOTHING_YET = bytes(32)
_REPLAY_WINDOW = 32

ALGORITHM = "rfc4106(gcm(aes))"
KEY_BYTES = 20
"""AES-128 and four bytes of salt."""
ICV_BITS = 128


class Mode(IntEnum):
    """What ESP encrypts: what is in the IP packet, or all of it (XFRM_MODE_*)."""

    TRANSPORT = 0
    TUNNEL = 1


class Direction(IntEnum):
    """Of the packets that a policy is for (XFRM_POLICY_*)."""

    IN = 0
    OUT = 1
    FWD = 2


@dataclass(frozen=True)
class Association:
    """One direction of ESP between two addresses; `spi` tells it from others."""

    source: str
    target: str
    spi: int
    mode: Mode


def add_state(association: Association, key: bytes) -> None:
    """Add the association to this thread's namespace. Raises OSError."""
    source, target = ip_address(association.source), ip_address(association.target)
    state = b"".join(
        (
            bytes(56),  # whatever selector the policy has
            _id(target, association.spi),
            _address(source),
            _FOR_EVER,
            _NOTHING_YET,
            bytes(12),
            struct.pack("=IIHBBB7x", 0, association.spi, _family(source), association.mode,
                        _REPLAY_WINDOW, 0),
        )
    )  # fmt: skip
    algorithm = struct.pack("=64sII", ALGORITHM.encode(), 8 * len(key), ICV_BITS) + key
    _request(_NEWSA, state + _attribute(_AEAD, algorithm))


def add_policy(
    association: Association, source: Network, target: Network, direction: Direction
) -> None:
    """Have packets between the networks take the association, and no others. Raises OSError."""
    near, far = ip_address(association.source), ip_address(association.target)
    selector = _address(target.network_address) + _address(source.network_address)
    selector += struct.pack(
        "=8xHBB12x", _family(source.network_address), target.prefixlen, source.prefixlen
    )
    policy = selector + _FOR_EVER + _NOTHING_YET
    policy += struct.pack("=IIBBBB4x", 0, 0, direction, 0, 0, 0)
    template = b"".join(
        (
            _id(far, 0),
            struct.pack("=H2x", _family(near)),
            _address(near),
            struct.pack("=IBBBx3I", association.spi, association.mode, 0, 0, *[2**32 - 1] * 3),
        )
    )
    _request(_NEWPOLICY, policy + _attribute(_TEMPLATE, template))


def _family(address: Address) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004


def _address(address: Address) -> bytes:
    return address.packed.ljust(16, b"\0")


def _id(target: Address, spi: int) -> bytes:
    return _address(target) + struct.pack("!IB3x", spi, _ESP)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value.ljust((len(value) + 3) & ~3, b"\0")


def _request(kind: int, body: bytes) -> None:
    """Send one message and take the kernel's answer."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_XFRM) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), kind, _CREATE, 1, 0) + body)
        answer = netlink.recv(1 << 16)
    _, answered, _, _, _, error = struct.unpack_from("=IHHIIi", answer)
    if answered == _NLMSG_ERROR and error:
        raise OSError(-error, os.strerror(-error))
