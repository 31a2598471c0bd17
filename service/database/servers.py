"""Connections to the servers of a database URL: how long an attempt takes, and what follows a failure.

One server after the other is tried, first the one that accepted the last connection. While a server restarts, the
attempts are repeated for a short time, so that a restart is a delay and not an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from weakref import WeakSet

import asyncpg

from service.database_url import Server, servers

Connection: TypeAlias = "asyncpg.Connection[Any]"

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.DatabaseDroppedError,
    asyncpg.IdleSessionTimeoutError,
    OSError,
)
CONNECT_SECONDS = 4  # for one server: a few round trips, with TLS
RESTART_SECONDS = 2
ANSWER_SECONDS = 7  # for a statement, which the server itself ends after 5 s; then the server does not answer
PAUSE_SECONDS = 0.05
# The server is not there, or is starting: it may be there in a moment
STARTING = (
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    ConnectionError,
    FileNotFoundError,
)
# The next server may accept the connection
UNREACHABLE = (*STARTING, asyncpg.TargetServerAttributeNotMatched, OSError)


class BusyError(Exception):
    """A read has waited for too long behind others; the server itself answers."""


class Opened:
    """The open connections of a pool."""

    def __init__(self) -> None:
        self._connections: WeakSet[Connection] = WeakSet()

    def add(self, connection: Connection) -> Connection:
        """Return the connection, which is known from now on."""
        self._connections.add(connection)
        return connection

    def __bool__(self) -> bool:
        return any(not connection.is_closed() for connection in self._connections)

    def close_idle(self, most: int | None = None) -> None:
        """Close connections without a transaction, all or some, so that others take their place; reads are repeated."""
        opened = [connection for connection in self._connections if not connection.is_closed()]
        for connection in [connection for connection in opened if not connection.is_in_transaction()][:most]:
            connection.terminate()


class Servers:
    """Opens the connections of a process; `init` prepares each of them."""

    def __init__(self, url: str, *, init: Callable[[Any], Awaitable[None]]) -> None:
        self._url = url
        self._init = init
        self._servers = servers(url)
        self._first = 0
        self._failing_since: float | None = None
        self._failed_at = 0.0
        self._opened = Opened()

    async def connect(self, **options: Any) -> Connection:
        """Return a new connection. Raise what asyncpg raises, and TimeoutError if no server answers."""
        while True:
            try:
                connection = await self._try_each(options)
            except STARTING:
                now = asyncio.get_running_loop().time()
                if self._failing_since is None or now - self._failed_at > ANSWER_SECONDS:
                    self._failing_since = now
                self._failed_at = now
                if now - self._failing_since > RESTART_SECONDS:
                    raise
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                self._failing_since = None
                return self._opened.add(connection)

    def close_idle(self) -> None:
        """Close the connections of all pools, because the server did not answer on one; reads on them are repeated."""
        self._opened.close_idle()

    async def make_room(self) -> None:
        """Close a connection of another pool, because the server accepts no further one and this pool has none."""
        self._opened.close_idle(1)
        await asyncio.sleep(PAUSE_SECONDS)

    async def _try_each(self, options: dict[str, Any]) -> Connection:
        last: Exception | None = None
        count = len(self._servers)
        for number in (*range(self._first, count), *range(self._first)):
            try:
                connection = await self._try(self._servers[number], options)
            except UNREACHABLE as error:
                last = error
            else:
                self._first = number
                return connection
        raise last or RuntimeError("a URL has at least one server")

    async def _try(self, server: Server, options: dict[str, Any]) -> Connection:
        if len(self._servers) > 1 and "target_session_attrs" not in self._url:
            # What was just revoked must not be read from a server that does not know it yet
            options = options | {"target_session_attrs": "primary"}
        async with asyncio.timeout(CONNECT_SECONDS):
            options = options | {"host": server.host, "port": server.port}
            connection: Connection = await asyncpg.connect(self._url, **options)
            try:
                await self._init(connection)
            except BaseException:
                connection.terminate()
                raise
        return connection
