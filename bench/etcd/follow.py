"""Keeps the routes of a running pump as the leases in etcd are.

Theory of operation. List the leases, which is true at one revision of the store, then watch from
the next revision on: nothing is missed in between. Whenever the watch ends, whatever the reason (a
connection lost, a compaction that overtook us, another configuration), begin again with a list.
The revision of before is not resumed from: an etcd that comes back may have lost its data, and
then counts from 1 again.

An etcd that is gone changes no route. Neither does one that knows no network: what came back empty
has nothing to say about leases until somebody has put a configuration there.

All of this runs in the pump's own process, as it does in flannel's: a thread that sleeps in a read
of the watch, while the pump's threads move packets in C and hold no lock of Python's. The pump is
in the network namespace from which etcd is reached, no other process has to live as long as it
does, and a new table is handed over without a copy: `Router.replace` puts it in the place of the
former one under the pump's feet (csrc/router.c).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from bench.errors import CannotMeasure
from bench.etcd.client import Client, Compacted, EtcdError
from bench.etcd.leases import CONFIG, PREFIX, Leases
from bench.native import Address, Router, Routes

Warn = Callable[[str], None]
_AGAIN = 0.1
"""Seconds from one vain attempt to the next."""


def start(client: Client, own: Address, router: Router, timeout: float) -> None:
    """Have a thread follow the leases of others than `own` until the process ends.

    Returns when the routes of `router` are those in etcd. Raises CannotMeasure where none can be
    had within `timeout` seconds.
    """
    follower = Follower(client, own, router.replace, say)
    threading.Thread(target=follower.run, daemon=True).start()
    if not follower.begun.wait(timeout):
        reason = follower.trouble or f"{client}: no answer"
        raise CannotMeasure(f"no routes within {timeout:g} s: {reason}")


def say(text: str) -> None:
    """Put a line on standard error."""
    os.write(2, f"vnetbench: pump: {text}\n".encode())


class Follower:
    """Follows the leases; `run` never returns.

    replace: takes all routes. warn: takes a line. begun: set once there have been routes, or a
    network without any. trouble: why etcd cannot be followed at the moment, or "".
    """

    def __init__(
        self, client: Client, own: Address, replace: Callable[[Routes], None], warn: Warn
    ) -> None:
        self._client, self._replace, self._warn = client, replace, warn
        self._leases = Leases(own, warn)
        self._routes: Routes | None = None
        self.begun = threading.Event()
        self.trouble = ""

    def run(self) -> None:
        """List and watch, over and over."""
        while True:
            try:
                self._list_and_watch()
            except Compacted:
                pass
            except EtcdError as error:
                self._complain(str(error))
                time.sleep(_AGAIN)

    def _list_and_watch(self) -> None:
        """Returns when it is time to list again."""
        listing = self._client.list_all(PREFIX)
        configured, no_network = CONFIG in listing.entries, f"{self._client}: no {CONFIG}"
        if self.trouble != no_network:  # if there was any, it is over: etcd answers
            self.trouble = ""
        if configured:
            self.trouble = ""
            self._leases.listed(listing.entries)
            self._apply()
            self.begun.set()
        else:
            self._complain(no_network)
        for changes in self._client.watch(PREFIX, listing.revision + 1):
            if any(change.key == CONFIG for change in changes):
                return
            if configured:
                for change in changes:
                    self._leases.changed(change)
                self._apply()

    def _apply(self) -> None:
        routes = self._leases.routes()
        if routes == self._routes:  # a renewal
            return
        try:
            self._replace(routes)
            self._routes = routes
        except OSError as error:
            self._warn(f"{len(routes)} routes from etcd: {error.strerror}; the former stay")

    def _complain(self, trouble: str) -> None:
        """Once as long as it lasts."""
        if self.begun.is_set() and not self.trouble:
            self._warn(f"{trouble}; the routes stay as they were")
        self.trouble = trouble
