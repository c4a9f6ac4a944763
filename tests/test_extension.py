"""The C extension seen from Python: routes, ping. Not devices (test_tun.py), not pumps."""

import errno
import os
import socket
import threading
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from capabilities import require_root_namespaces
from hypothesis import given
from hypothesis import strategies as st

from bench import native
from bench._vnetbench import lib
from bench.native import Address, Network, Routes
from bench.topology.namespaces import inside, namespace


# Few bits in few places make prefixes nest and touch; any address at all is drawn as well.
def addresses(version: int) -> st.SearchStrategy[Address]:
    bits = 32 if version == 4 else 128
    return st.one_of(
        st.builds(
            lambda a, b: a << bits - 4 | b,
            st.integers(0, 15),
            st.integers(0, 15),
        ),
        st.integers(0, 2**bits - 1),
    ).map(IPv4Address if version == 4 else IPv6Address)


def networks(version: int) -> st.SearchStrategy[Network]:
    kind = IPv4Network if version == 4 else IPv6Network
    return st.builds(
        lambda address, length: kind((int(address), length), strict=False),
        addresses(version),
        st.integers(0, 32 if version == 4 else 128),
    )


any_address = st.one_of(addresses(4), addresses(6))
peers = st.tuples(any_address, st.integers(1, 65535))
tables = st.dictionaries(st.one_of(networks(4), networks(6)), peers, max_size=40)


def expected_peer(routes: Routes, address: Address) -> tuple[Address, int] | None:
    """What ipaddress calls the longest match."""
    matches = [p for p in routes if p.version == address.version and address in p]
    return routes[max(matches, key=lambda p: p.prefixlen)] if matches else None


def edges(routes: Routes) -> list[Address]:
    return [address for p in routes for address in (p.network_address, p.broadcast_address)]


@given(routes=tables, asked=st.lists(any_address, max_size=20))
def test_a_router_finds_the_owner_of_the_longest_matching_prefix(
    routes: Routes, asked: list[Address]
) -> None:
    router = native.Router(routes)
    for address in asked + edges(routes):
        assert router.find(address) == expected_peer(routes, address), address


@given(before=tables, after=tables)
def test_replaced_routes_are_forgotten(before: Routes, after: Routes) -> None:
    router = native.Router(before)
    router.replace(after)
    for address in edges(before) + edges(after):
        assert router.find(address) == expected_peer(after, address), address


def test_every_counter_has_a_name_of_its_own() -> None:
    names = list(native.Counters().read())
    assert len(set(names)) == len(names) == lib.vnb_counter_count()


def test_ping_and_pong_measure_a_round_trip_over_the_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        stop = os.eventfd(0)
        thread = threading.Thread(target=native.pong, args=(server.fileno(), stop))
        thread.start()
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.connect(server.getsockname())
                client.settimeout(1)  # makes it non-blocking, which must not matter
                assert 0 < native.ping(client.fileno(), 64, 100, 5.0) < 5.0
        finally:
            os.eventfd_write(stop, 1)
            thread.join(5)
            os.close(stop)
        assert not thread.is_alive()


def test_ping_to_a_closed_port_is_refused_not_timed_out() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", 9))
        with pytest.raises(ConnectionRefusedError):
            native.ping(client.fileno(), 64, 1, 5.0)


def test_unshare_and_setns_move_only_the_calling_thread() -> None:
    require_root_namespaces()
    here = os.stat("/proc/self/ns/net")
    with namespace() as fd, inside(fd):
        assert os.stat("/proc/thread-self/ns/net").st_ino == os.fstat(fd).st_ino != here.st_ino
    assert os.stat("/proc/thread-self/ns/net").st_ino == here.st_ino
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        native.setns(-1)
