"""How reads reach PostgreSQL fast: a few connections held for good, with their statements prepared on them.

Acquiring and resetting a pooled connection costs more than asking it. Nothing may set session state on a held
connection. A lost one is replaced, and the read that met the loss is repeated: reads change nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import asyncpg

from service.rows import Row
from service.statements import Statement

Connection: TypeAlias = "asyncpg.Connection[Any]"

REPEATS = 2
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
# The server is not there: whoever asks must not wait for more of the same
HOPELESS = (TimeoutError, ConnectionRefusedError, FileNotFoundError)
# The table got another column since the statement was prepared: preparing it anew cures it. PostgreSQL tells it by its
# plan, or by the number of columns that asyncpg expects.
OUTDATED = (asyncpg.InvalidCachedStatementError, asyncpg.FeatureNotSupportedError, asyncpg.ProtocolViolationError)


class Reader:
    """One held connection and the statements prepared on it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._prepared: dict[str, Any] = {}

    async def run(self, statement: Statement, arguments: list[Any]) -> Any:
        """Runs the statement; the shape of the answer follows its cardinality."""
        record_class = Row.types[statement.row] if statement.row else Row
        if statement.prepared:
            prepared = self._prepared.get(statement.name)
            if prepared is None:
                prepared = await self.connection.prepare(statement.sql, record_class=record_class)
                self._prepared[statement.name] = prepared
            rows = await prepared.fetch(*arguments)
        else:
            rows = await self.connection.fetch(statement.sql, *arguments, record_class=record_class)
        if statement.cardinality == "many":
            return rows
        first = rows[0] if rows else None
        return first[0] if first is not None and statement.cardinality == "value" else first

    def lost(self, error: BaseException) -> bool:
        """Whether the error is the connection's end; an InterfaceError may also be a refusal of arguments."""
        # A connection that the server ended while it was idle does not always know so yet: then its own state machine
        # fails (InternalClientError)
        return self.connection.is_closed() or not isinstance(error, asyncpg.InterfaceError)

    def forget(self, statement: Statement) -> None:
        """The next run prepares the statement anew."""
        self._prepared.pop(statement.name, None)


class Readers:
    """Held connections, handed out one read at a time, the most recently used first."""

    def __init__(
        self,
        url: str,
        statements: Mapping[str, Statement],
        *,
        count: int,
        init: Callable[[Any], Awaitable[None]],
        settings: dict[str, str],
    ) -> None:
        self._url = url
        self._init = init
        self._settings = settings
        self._idle: asyncio.LifoQueue[Reader | None] = asyncio.LifoQueue()
        self._count = count
        self.runs = 0

    async def open(self) -> None:
        """Opens one connection; the others when they are first needed."""
        for _ in range(self._count - 1):
            self._idle.put_nowait(None)
        self._idle.put_nowait(await self._connect())

    async def close(self) -> None:
        """Waits for the reads under way and closes every connection."""
        for _ in range(self._count):
            reader = await self._idle.get()
            if reader is not None:
                await reader.connection.close(timeout=5)

    async def run(self, statement: Statement, parameters: Mapping[str, Any]) -> Any:
        """Runs a read on the next idle connection."""
        arguments = [parameters[name] for name in statement.parameters]
        self.runs += 1
        reader = await self._idle.get()
        repeats = 0
        try:
            while True:
                try:
                    reader = reader or await self._connect()
                    return await reader.run(statement, arguments)
                except OUTDATED:
                    if repeats == REPEATS or reader is None:
                        raise
                    reader.forget(statement)
                except LOST as error:
                    if repeats == REPEATS or isinstance(error, HOPELESS) or (reader and not reader.lost(error)):
                        raise
                    if reader is not None:
                        reader.connection.terminate()
                    reader = None
                repeats += 1
        except BaseException:
            # A cancelled read leaves the connection to finish or cancel its query by itself; only a closed one is
            # dropped
            if reader is not None and reader.connection.is_closed():
                reader = None
            raise
        finally:
            self._idle.put_nowait(reader)

    async def _connect(self) -> Reader:
        # Without asyncpg's own cache a statement that is not prepared here is planned for the values at hand
        connection = await asyncpg.connect(
            self._url, server_settings=self._settings, statement_cache_size=0, timeout=10
        )
        try:
            await self._init(connection)
        except BaseException:
            connection.terminate()
            raise
        return Reader(connection)
