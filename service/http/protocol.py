"""HTTP/1.1 on one connection, with limits that uvicorn's protocol does not have.

The head of a request has a size and a time, and a worker has a number of connections, also for each address. An offer
to upgrade a connection is ignored (RFC 9110, section 7.8), because no path accepts one, and the body is read by its
framing. SECURITY: uvicorn takes what follows such a head for another request, which a proxy in front has not seen.
"""

from __future__ import annotations

import asyncio
import typing
from collections import Counter
from typing import Any, Final

import httptools
import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

MOST_HEADERS: Final = 100
LARGEST_HEAD: Final = 65_536  # bytes
HEAD_SECONDS: Final = 10.0  # for a whole head, from its first byte, or from the begin of the connection
VERSIONS: Final = frozenset({"1.0", "1.1"})
FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class RejectedHeadError(Exception):
    """A head that is not accepted, with the status of the response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _too_large() -> RejectedHeadError:
    return RejectedHeadError(431, "The headers are too large.")


class Addresses(typing.Protocol):
    """A set of addresses."""

    def __contains__(self, address: str, /) -> bool:
        """Return whether an address is one of them."""


class Connections:
    """The open connections of a worker, all and by address; `exempt` addresses are proxies with many clients."""

    def __init__(self, most: int, most_by_address: int, exempt: Addresses = ()) -> None:
        self._most = most
        self._most_by_address = most_by_address
        self._exempt = exempt
        self._open = 0
        self._by_address: Counter[str] = Counter()

    def add(self, address: str | None) -> bool:
        """Count a connection. Return whether it is within the limits."""
        self._open += 1
        if address is None or address in self._exempt:
            return self._open <= self._most
        self._by_address[address] += 1
        return self._open <= self._most and self._by_address[address] <= self._most_by_address

    def remove(self, address: str | None) -> None:
        """Count the end of a connection that was added."""
        self._open -= 1
        if address is not None and address not in self._exempt:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]


class Protocol(HttpToolsProtocol):
    """One connection. `open_connections` counts it, and is the same object for all of a worker."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        open_connections: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._open_connections = open_connections
        self._address: str | None = None
        self._in_head = True
        self._received = 0  # bytes of the present head, as long as it is not complete
        self._size = 0  # bytes of its target and headers
        self._head_timer: asyncio.TimerHandle | None = None
        self._replaying = False

    # Connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request. 503 if there are too many connections."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else None
        if self._open_connections.add(self._address):
            self._await_head()
        else:
            self._reject(503, "There are too many connections.", b"retry-after: 1\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """End what waits for the connection."""
        self._open_connections.remove(self._address)
        self._stop_timer()
        super().connection_lost(exc)

    # Heads

    def data_received(self, data: bytes) -> None:
        """Parse a segment."""
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        if self._in_head:
            self._received += len(data)
        try:
            self._feed(data)
        except RejectedHeadError as error:
            self._reject(error.status, str(error))
        except httptools.HttpParserError as error:
            rejection = error.__context__  # what a callback raised
            if isinstance(rejection, RejectedHeadError):
                self._reject(rejection.status, str(rejection))
            else:
                self._reject(400, "This is not an HTTP request.")

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._read_by_framing()
                continue
            break
        if self._in_head and self._received:
            if self._received > LARGEST_HEAD:
                raise _too_large()
            if self._head_timer is None:
                self._await_head()

    def _read_by_framing(self) -> None:
        """Go on with a parser that knows only how long the body is."""
        self.parser = httptools.HttpRequestParser(self)
        framing = [name + b": " + value + b"\r\n" for name, value in self.headers if name in FRAMING]
        self._replaying = True
        try:
            self.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n")
        finally:
            self._replaying = False

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self._replaying:
            self._size = 0
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the request's target."""
        if not self._replaying:
            self._count(url)
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. SECURITY: those after a body are ignored, because nothing checks them (RFC 9110, 6.5.1)."""
        if self._replaying or not self._in_head:
            return
        if len(self.headers) >= MOST_HEADERS:
            raise _too_large()
        self._count(name, value)
        super().on_header(name, value)

    def _count(self, *parts: bytes) -> None:
        self._size += sum(map(len, parts))
        if self._size > LARGEST_HEAD:
            raise _too_large()

    def on_headers_complete(self) -> None:
        """Begin to respond."""
        if self._replaying:
            return
        if self.parser.get_http_version() not in VERSIONS:
            raise RejectedHeadError(400, "The version must be HTTP/1.1 or HTTP/1.0.")
        self._in_head, self._received = False, 0
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for the next head."""
        if self.parser.should_upgrade():
            return  # the body follows
        self._in_head = True
        super().on_message_complete()

    def _should_upgrade(self) -> bool:
        return False

    # Ends

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._received:
            self._reject(408, "The request did not arrive in time.")
        else:
            self.transport.close()

    def _reject(self, status: int, message: str, headers: bytes = b"") -> None:
        """Respond to what is not accepted, unless an earlier request waits for a response; close the connection."""
        self._stop_timer()
        cycle = self.cycle
        idle = cycle is None or cycle.response_complete
        if not idle and not cycle.response_started and not self.pipeline:
            cycle.disconnected = idle = True  # its body is what is wrong
            cycle.message_event.set()
        if idle:
            body = orjson.dumps({"errors": [{"message": message, "extensions": {"code": "BAD_USER_INPUT"}}]})
            lines = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + lines + headers + b"\r\n" + body)
        self.transport.close()
