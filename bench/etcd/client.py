"""etcd's API in JSON over HTTP/1.1: the gateway that every etcd since 3.4 serves under /v3.

Keys and values are base64, 64-bit numbers are strings, zero and false are left out. A watch is a
response without an end, a JSON object a line.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

from bench.endpoint import show_endpoint
from bench.native import Address
from bench.topology.namespaces import inside

PORT = 2379
_TIMEOUT = 2.0
_SHOWN = 200
"""Characters of an unexpected answer that an error shows."""
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
"""A watch hears nothing for hours; so the kernel asks whether the other end is still there."""

Message = dict[str, Any]


class EtcdError(Exception):
    """What etcd refused, or why it cannot be asked; one line."""


class Compacted(EtcdError):
    """The changes that were asked for are no longer kept: list again."""


@dataclass(frozen=True)
class Listing:
    """Keys with their values, and the revision of the store that they were read at."""

    entries: Mapping[str, bytes]
    revision: int


@dataclass(frozen=True)
class Change:
    """What became of a key; None: it was deleted, or its lease expired."""

    key: str
    value: bytes | None


class Client:
    """Talks to the etcd at `address`:`port`, in the namespace of descriptor `netns` if given.

    Every call has a connection of its own, so there is none to break in between. Raises EtcdError.
    """

    def __init__(self, address: Address, port: int = PORT, netns: int | None = None) -> None:
        self.address, self.port, self._netns = address, port, netns

    def list_all(self, prefix: str) -> Listing:
        """All keys that start with `prefix`."""
        answer = self._call("kv/range", _range(prefix))
        with self._understanding(answer):
            found = {_text(kv["key"]): _bytes(kv.get("value", "")) for kv in answer.get("kvs", [])}
            return Listing(found, int(answer["header"]["revision"]))

    def put(self, key: str, value: bytes, ttl: int | None = None) -> None:
        """Set a key; with `ttl` under a lease of its own that expires after so many seconds.

        etcd makes a lease of less than about 1.5 election timeouts that long.
        """
        message: Message = {"key": _base64(key.encode()), "value": _base64(value)}
        if ttl is not None:
            message["lease"] = self._call("lease/grant", {"TTL": str(ttl)})["ID"]
        self._call("kv/put", message)

    def delete(self, key: str) -> None:
        """Delete a key, if it is there."""
        self._call("kv/deleterange", {"key": _base64(key.encode())})

    def compact(self, revision: int) -> None:
        """Forget all changes before `revision`."""
        self._call("kv/compaction", {"revision": str(revision)})

    def watch(self, prefix: str, revision: int) -> Iterator[list[Change]]:
        """Yield all changes to keys that start with `prefix`, from `revision` on, as they come.

        What one transaction changed comes together. Raises Compacted where `revision` is too old.
        """
        request = {"create_request": {**_range(prefix), "start_revision": str(revision)}}
        with closing(self._connect()) as connection:
            sock = connection.sock
            response = self._post(connection, "watch", request)
            while True:
                result = self._read(response.readline)
                sock.settimeout(None)  # it answers: from here on, silence is no news
                if "compact_revision" in result:
                    raise Compacted(f"{self}: revision {revision} has been compacted")
                if result.get("canceled"):
                    raise EtcdError(f"{self}: watch canceled: {result.get('cancel_reason', '')}")
                with self._understanding(result):
                    changes = [_change(event) for event in result.get("events", [])]
                if changes:
                    yield changes

    def __str__(self) -> str:
        return f"etcd {show_endpoint(self.address, self.port)}"

    @contextmanager
    def _understanding(self, answer: Message) -> Iterator[None]:
        """Make an error of an answer that etcd would not give."""
        try:
            yield
        except (KeyError, ValueError, TypeError, AttributeError):
            raise EtcdError(f"{self}: not understood: {str(answer)[:_SHOWN]}") from None

    def _call(self, path: str, message: Message) -> Message:
        with closing(self._connect()) as connection:
            response = self._post(connection, path, message)
            return self._read(response.read)

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(str(self.address), self.port, timeout=_TIMEOUT)
        try:
            with ExitStack() as stack:
                if self._netns is not None:
                    stack.enter_context(inside(self._netns))
                connection.connect()
        except OSError as error:
            raise EtcdError(f"{self}: {_why(error)}") from None
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            connection.sock.setsockopt(socket.IPPROTO_TCP, option, value)
        return connection

    def _post(
        self, connection: http.client.HTTPConnection, path: str, message: Message
    ) -> http.client.HTTPResponse:
        try:
            connection.request("POST", f"/v3/{path}", json.dumps(message))
            response = connection.getresponse()
            if response.status != http.client.OK:
                said = response.read().decode(errors="replace").strip()
                raise EtcdError(f"{self}: status {response.status}: {said[:_SHOWN]}")
            return response
        except (OSError, http.client.HTTPException) as error:
            raise EtcdError(f"{self}: {_why(error)}") from None

    def _read(self, read: Any) -> Message:
        """One JSON object; of a stream, what its `result` holds."""
        try:
            data = read()
            message = json.loads(data) if data else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise EtcdError(f"{self}: {_why(error)}") from None
        if message is None:
            raise EtcdError(f"{self}: connection closed")
        if not isinstance(message, dict) or "error" in message:
            raise EtcdError(f"{self}: {str(message)[:_SHOWN]}")
        result: Message = message.get("result", message)
        return result


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _range(prefix: str) -> Message:
    """All keys with a prefix: up to, and without, the prefix with its last byte one higher."""
    first = prefix.encode()
    return {"key": _base64(first), "range_end": _base64(first[:-1] + bytes([first[-1] + 1]))}


def _change(event: Message) -> Change:
    kv = event["kv"]
    deleted = event.get("type") == "DELETE"
    return Change(_text(kv["key"]), None if deleted else _bytes(kv.get("value", "")))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def _text(text: str) -> str:
    return _bytes(text).decode(errors="backslashreplace")
