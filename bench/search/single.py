"""Sending faster than one system call, route and IP header at a time allows, and yet one by one.

With UDP_SEGMENT the kernel takes many datagrams as one and cuts them in software right in front of
a device that cannot. So that they are single packets from the first device of the path on, that
device's segmentation of UDP is switched off meanwhile.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import closing, contextmanager

from pyroute2.ethtool.ioctl import IoctlEthtool, NoSuchDevice, NotSupportedError

from bench.errors import CannotMeasure, MissingCapability
from bench.native.traffic import DATAGRAM_MAX
from bench.probes.base import Path
from bench.scenario import DeviceRef, trace
from bench.topology import inside

_FEATURE = "tx-udp-segmentation"
_MOST = 64
"""Segments of one message, what every kernel that can do it takes."""


def gathered(rate: float, size: int, seconds: float) -> int:
    """How many datagrams fall due in `seconds` at `rate`: so many are handed over at once.

    0: one by one.
    """
    count = int(min(rate * seconds, _MOST, DATAGRAM_MAX // size)) if seconds else 0
    return count if count > 1 else 0


@contextmanager
def cut_before_device(path: Path) -> Iterator[bool]:
    """Have the first device of `path` be given single datagrams; yields whether that is so."""
    first = trace(path.topology.scenario, path.client, path.server)[0].ref
    was_on = _switch(path, first, on=False)
    try:
        yield not (was_on and _switch(path, first, on=False))
    finally:
        if was_on:
            _switch(path, first, on=True)


def _switch(path: Path, ref: DeviceRef, *, on: bool) -> bool:
    with inside(path.topology.netns(ref.host)):
        return switch_segmentation(ref.device, on=on)


def switch_segmentation(device: str, *, on: bool) -> bool:
    """Switch a device's segmentation of UDP, where it can be; returns whether it was on.

    device: of the namespace that the caller is in. Raises CannotMeasure; MissingCapability where
    the kernel has no such switches.
    """
    try:
        with closing(IoctlEthtool(device)) as ethtool:
            features = ethtool.get_features()
            before = _FEATURE in features and bool(features[_FEATURE])
            if before != on and _FEATURE in features and features.is_available(_FEATURE):
                features[_FEATURE] = on
                ethtool.set_features(features)
    except NotSupportedError:
        raise _lacking(device) from None
    except NoSuchDevice:
        raise CannotMeasure(f"{device}: is gone") from None
    except OSError as error:  # some calls of the library hand it on as it is
        if error.errno in (errno.ENOTSUP, errno.ENOTTY):
            raise _lacking(device) from None
        text = f"{device}: its segmentation of UDP cannot be switched: {error.strerror}"
        raise CannotMeasure(text) from None
    return before


def _lacking(device: str) -> MissingCapability:
    return MissingCapability(f"{device}: this kernel has no switch for its segmentation of UDP")
