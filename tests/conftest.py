"""What tests of the live parts need of the machine: a skip with a reason, or in CI a failure."""

import ctypes
from collections.abc import Iterator

import pytest
from capabilities import require, require_program, require_root_namespaces, require_tun
from segmentation import TCP, UDP, Kernel, Super, build_library, router
from wire import Wire, wired


@pytest.fixture
def namespaces() -> None:
    """Network namespaces can be made."""
    require_root_namespaces()


@pytest.fixture
def tuns() -> None:
    """Network namespaces, and tun and tap devices in them."""
    require_tun()


@pytest.fixture
def wire(tuns: None) -> Iterator[Wire]:
    """Two hosts with a veth pair between them."""
    with wired() as found:
        yield found


@pytest.fixture(scope="session")
def library() -> ctypes.CDLL:
    """split.c and coalesce.c by themselves."""
    require_program("cc")
    return build_library()


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A router between a tun with offload and a tun without."""
    require_tun()
    require_program("ip")
    with router() as kernel:
        yield kernel


@pytest.fixture(
    params=[(4, TCP), (6, TCP), (4, UDP), (6, UDP)], ids=["tcp4", "tcp6", "udp4", "udp6"]
)
def plain(request: pytest.FixtureRequest, kernel: Kernel) -> Super:
    """Three segments, the last one short, of a kind that this kernel takes."""
    version, protocol = request.param
    given = Super(version, protocol, size=250, mss=100)
    try:
        kernel.cut(given.packet(64), given.virtio(), given.segments)
    except OSError as error:
        require(False, f"this kernel takes no such super-packets from a tun: {error}")
    return given
