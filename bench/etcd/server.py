"""An etcd for a scenario: on a host of its own, in memory only, with the leases of all pumps."""

from __future__ import annotations

import re
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network

from bench.devices import parse_ref
from bench.endpoint import parse_endpoint
from bench.errors import CannotMeasure, MissingCapability
from bench.etcd.client import PORT, Client, EtcdError
from bench.etcd.leases import CONFIG, PREFIX, TTL, config_of, key_of, value_of
from bench.process import FOLDER, Child, execute
from bench.programs.base import run
from bench.scenario.control import ADDRESS, HOST, following
from bench.scenario.model import Scenario
from bench.topology import Topology

_READY_TIMEOUT = 15.0
_LOOK = 0.02
_INTERNAL = "http://127.0.0.1:2380"
"""Where the members of a cluster talk to each other; this one has no others."""
_FOLDER = "/run/vnetbench-etcd"
"""Of an etcd that is started by hand."""


def missing() -> str | None:
    """Why it cannot run here, or None."""
    if shutil.which("etcd") is None:
        return "etcd is not installed; `make peers` does (package etcd-server)"
    return None


def version() -> str:
    """What is installed. Raises MissingCapability where nothing is."""
    if reason := missing():
        raise MissingCapability(reason)
    found = re.search(r"etcd Version: (\S+)", run("etcd", "--version").decode(errors="replace"))
    return found.group(1) if found else "of unknown version"


def arguments(folder: str) -> list[str]:
    """The command that runs it with its data in `folder`."""
    url = f"http://{ADDRESS}:{PORT}"
    return [
        "etcd",
        "--name=default",
        f"--data-dir={folder}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={_INTERNAL}",
        f"--initial-advertise-peer-urls={_INTERNAL}",
        f"--initial-cluster=default={_INTERNAL}",
        "--logger=zap",
        "--log-outputs=stderr",
    ]


def client_of(topology: Topology) -> Client:
    """A client in etcd's own namespace, for whoever stands outside."""
    return Client(ADDRESS, netns=topology.netns(HOST))


@contextmanager
def serving(topology: Topology, folder: str | None = None) -> Iterator[Child]:
    """Run etcd; yields when it answers.

    folder: where its data outlive it; by default they are in memory and gone with it. Raises
    MissingCapability where it is not installed.
    """
    version()
    files: dict[str, bytes] | None = {} if folder is None else None
    command = arguments(folder or f"{FOLDER}/etcd")
    with execute("etcd", command, netns=topology.netns(HOST), files=files) as child:
        _wait_until_ready(child, client_of(topology))
        yield child


def lease_all(client: Client, scenario: Scenario) -> None:
    """Put into etcd what flannel's daemons would: a lease for each subnet that a route leads to.

    The configuration comes last, so that whoever sees it sees all leases.
    """
    leases, config = _contents(scenario)
    for key, value in leases.items():
        client.put(key, value, TTL)
    client.put(CONFIG, config)


def commands(scenario: Scenario) -> list[str]:
    """The shell commands that run it in a named namespace and put the leases there, to stay."""
    if not following(scenario):
        return []
    inside = ["ip", "netns", "exec", HOST]
    leases, config = _contents(scenario)
    patience = ["--dial-timeout=20s", "--command-timeout=20s"]  # until it is up
    etcdctl = ["env", "ETCDCTL_API=3", "etcdctl", f"--endpoints={ADDRESS}:{PORT}", *patience]
    put = [*inside, *etcdctl, "put"]
    return [
        f"rm -rf {_FOLDER}",
        f"{shlex.join([*inside, *arguments(_FOLDER)])} &",
        *(shlex.join([*put, k, v.decode()]) for k, v in {**leases, CONFIG: config}.items()),
    ]


def _contents(scenario: Scenario) -> tuple[dict[str, bytes], bytes]:
    """The leases, key → value, and the configuration of the network that they are in."""
    pumps = following(scenario)
    owners = {
        IPv4Network(prefix): parse_endpoint(hop)
        for pump in pumps
        for prefix, hop in pump.routes.items()
    }
    leases = {key_of(s): value_of(IPv4Address(str(a))) for s, (a, _) in owners.items()}
    [port] = {port for _, port in owners.values()}
    tun = scenario.device(parse_ref(pumps[0].devices[0]))
    # As flannel has it: the tun's network is that of the whole overlay.
    ours = [IPv4Network(text, strict=False) for text in tun.addresses if ":" not in text]
    network = (ours or list(owners))[0]
    while not all(subnet.subnet_of(network) for subnet in owners):
        network = network.supernet()
    return leases, config_of(network, port)


def _wait_until_ready(child: Child, client: Client) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT
    while True:
        try:
            client.list_all(PREFIX)
            return
        except EtcdError as error:
            if not child.alive():
                child.receive(0)  # raises, with what it had to say
            if time.monotonic() > deadline:
                raise CannotMeasure(f"{error} in {_READY_TIMEOUT:g} s{child.tail()}") from None
        time.sleep(_LOOK)
