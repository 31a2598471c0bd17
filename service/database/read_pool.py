"""Reads: a few connections that are held for the life of the process, with queries prepared on them.

Acquiring and resetting a pooled connection costs more than a query. Nothing may set session state on a held connection.
A lost connection is replaced, and the read that noticed the loss is repeated, because a read changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import asyncpg

from service.database.rows import record_class
from service.database.statements import Query

Connection: TypeAlias = "asyncpg.Connection[Any]"

REPEATS = 5
PREPARED = 256  # queries kept on a connection; filters have many combinations
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
# The server is not there: the caller must not wait for more of these
HOPELESS = (TimeoutError, ConnectionRefusedError, FileNotFoundError)
# A migration changed a table since the query was prepared: preparing it again fixes this. PostgreSQL reports it by the
# plan, or by the number of columns that asyncpg expects.
OUTDATED = (asyncpg.InvalidCachedStatementError, asyncpg.FeatureNotSupportedError, asyncpg.ProtocolViolationError)


class ReadConnection:
    """One held connection and the queries that are prepared on it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._prepared: dict[str, Any] = {}

    async def run(self, query: Query, arguments: list[Any]) -> Any:
        """Run the query; its cardinality decides the form of the result."""
        prepared = self._prepared.get(query.sql)
        if prepared is None:
            prepared = await self.connection.prepare(query.sql, record_class=record_class(query.row))
            if len(self._prepared) >= PREPARED:
                del self._prepared[next(iter(self._prepared))]
            self._prepared[query.sql] = prepared
        rows = await prepared.fetch(*arguments)
        if query.cardinality == "many":
            return rows
        first = rows[0] if rows else None
        return first[0] if first is not None and query.cardinality == "value" else first

    def is_lost(self, error: BaseException) -> bool:
        """Return whether the error means that the connection is lost; an InterfaceError may also reject arguments."""
        # A connection that the server closed while it was idle may not know it yet: then asyncpg's own state machine
        # raises InternalClientError
        return self.connection.is_closed() or not isinstance(error, asyncpg.InterfaceError)

    def forget(self, query: Query) -> None:
        """Prepare the query again at its next run."""
        self._prepared.pop(query.sql, None)


class ReadPool:
    """Held connections, each used by one read at a time; the most recently used comes first."""

    def __init__(
        self,
        url: str,
        *,
        count: int,
        init: Callable[[Any], Awaitable[None]],
        settings: dict[str, str],
    ) -> None:
        self._url = url
        self._init = init
        self._settings = settings
        self._idle: asyncio.LifoQueue[ReadConnection | None] = asyncio.LifoQueue()
        self._count = count
        self.runs = 0

    async def open(self) -> None:
        """Open one connection; the others are opened when they are first needed."""
        for _ in range(self._count - 1):
            self._idle.put_nowait(None)
        self._idle.put_nowait(await self._connect())

    async def close(self) -> None:
        """Wait for the reads in progress, and close every connection."""
        for _ in range(self._count):
            reader = await self._idle.get()
            if reader is not None:
                await reader.connection.close(timeout=5)

    async def run(self, query: Query, parameters: Mapping[str, Any]) -> Any:
        """Run a query on the next idle connection."""
        arguments = [parameters[name] for name in query.parameters]
        self.runs += 1
        reader = await self._idle.get()
        repeats = 0
        try:
            while True:
                try:
                    reader = reader or await self._connect()
                    return await reader.run(query, arguments)
                except OUTDATED:
                    if repeats == REPEATS or reader is None:
                        raise
                    reader.forget(query)
                except LOST as error:
                    if repeats == REPEATS or isinstance(error, HOPELESS) or (reader and not reader.is_lost(error)):
                        raise
                    if reader is not None:
                        reader.connection.terminate()
                    reader = None
                repeats += 1
        except BaseException:
            # After a cancelled read the connection finishes or cancels its query; only a closed one is dropped
            if reader is not None and reader.connection.is_closed():
                reader = None
            raise
        finally:
            self._idle.put_nowait(reader)

    async def _connect(self) -> ReadConnection:
        connection = await asyncpg.connect(
            self._url, server_settings=self._settings, statement_cache_size=0, timeout=10
        )
        try:
            await self._init(connection)
        except BaseException:
            connection.terminate()
            raise
        return ReadConnection(connection)
