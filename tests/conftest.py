"""What tests of the live parts need of the machine: a skip with a reason, or in CI a failure."""

from collections.abc import Iterator

import pytest
from capabilities import require_root_namespaces, require_tun
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
