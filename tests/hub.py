"""A path that harms what it carries; see relay.py."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as File

from files import shipped
from live import ECHO, entering, inside_run, live

from bench.probes.base import Path


@contextmanager
def harmful(fault: str, period: int) -> Iterator[Path]:
    """Two containers on a bridge that is replaced by a hub with a fault."""
    with live(shipped("bridge").scenario) as topology:
        host = topology.netns("host")
        for device in ("veth1", "veth2"):
            inside_run(host, "ip", "link", "set", device, "nomaster")
        relay = [sys.executable, "-I", str(File(__file__).with_name("relay.py"))]
        command = entering(host, *relay, "veth1", "veth2", fault, str(period))
        with subprocess.Popen(command, pass_fds=[host], stdout=subprocess.PIPE) as hub:
            assert hub.stdout
            try:
                assert hub.stdout.readline() == b"ready\n"
                path = Path(topology, fault)
                # What waits for a neighbour's address is dropped where that is late: not our harm.
                client = topology.netns(path.client.host)
                inside_run(client, *ECHO, path.server_address, "1", "56", "5")
                yield path
            finally:
                hub.kill()
