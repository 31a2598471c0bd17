"""Reads: a few connections that are held for the life of the process, with queries prepared on them by name.

Reads of all requests are coalesced: keys of one query with equal parameters leave in one statement, at the next turn of
the event loop in which a connection is idle. A statement begins after everything that it answers was requested, so
nothing is ever outdated. Nothing may set session state on a held connection. A lost connection is replaced, and the
read that noticed the loss is repeated, because a read changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias

import asyncpg

from service.database.rows import record_class
from service.database.statements import Query

Connection: TypeAlias = "asyncpg.Connection[Any]"
Found: TypeAlias = "Mapping[Any, Sequence[Any]]"  # rows by key
Parameters: TypeAlias = tuple[tuple[str, Any], ...]

REPEATS = 5
PREPARED = 256  # queries kept on a connection; filters and plans have many combinations
COMMAND_SECONDS = 10  # for a server that does not answer
MOST_KEYS = 1_000  # in one statement
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

    def __init__(self, connection: Connection, *, names: bool) -> None:
        self.connection = connection
        self._numbers = count() if names else None
        self._prepared: dict[str, Any] = {}

    async def run(self, query: Query, arguments: list[Any]) -> Any:
        """Run the query; its cardinality decides the form of the result."""
        prepared = self._prepared.get(query.sql)
        if prepared is None:
            prepared = await self._prepare(query)
        rows = await prepared.fetch(*arguments)
        if query.cardinality == "many":
            return rows
        first = rows[0] if rows else None
        return first[0] if first is not None and query.cardinality == "value" else first

    async def _prepare(self, query: Query) -> Any:
        # Without a name, PostgreSQL would plan the query again at each run
        name = None if self._numbers is None else f"read_{next(self._numbers)}"
        row = record_class(query.row, narrow=query.narrow)
        prepared = await self.connection.prepare(query.sql, name=name, record_class=row)
        if self._numbers is not None:
            if len(self._prepared) >= PREPARED:
                del self._prepared[next(iter(self._prepared))]
            self._prepared[query.sql] = prepared
        return prepared

    def is_lost(self, error: BaseException) -> bool:
        """Return whether the error means that the connection is lost; an InterfaceError may also reject arguments."""
        # A connection that the server closed while it was idle may not know it yet: then asyncpg's own state machine
        # raises InternalClientError
        return self.connection.is_closed() or not isinstance(error, asyncpg.InterfaceError)

    def forget(self, query: Query) -> None:
        """Prepare the query again at its next run."""
        self._prepared.pop(query.sql, None)


@dataclass(slots=True, eq=False)
class _Read:
    """A statement that is still to leave, with everything that waits for it."""

    query: Query
    parameters: Mapping[str, Any]
    keys: dict[Any, None] | None  # None for a query without keys
    shared: Any = None  # by which later keys find it
    waiting: list[asyncio.Future[Any]] = field(default_factory=list)

    def unanswered(self) -> list[asyncio.Future[Any]]:
        """Return what still waits; a caller may have been cancelled."""
        return [future for future in self.waiting if not future.done()]


class ReadPool:
    """Held connections, each used by one statement at a time; the most recently used comes first."""

    def __init__(
        self,
        url: str,
        *,
        count: int,
        init: Callable[[Any], Awaitable[None]],
        settings: dict[str, str],
        names: bool = True,
    ) -> None:
        self._url = url
        self._init = init
        self._settings = settings
        self._names = names
        self._count = count
        self._idle: list[ReadConnection | None] = []
        self._reads: deque[_Read] = deque()
        self._shared: dict[Any, _Read] = {}
        self._busy: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self.runs = 0

    async def open(self) -> None:
        """Open one connection; the others are opened when they are first needed."""
        self._loop = asyncio.get_running_loop()
        self._idle = [None] * (self._count - 1) + [await self._connect()]

    async def close(self) -> None:
        """Wait for the reads in progress, and close every connection."""
        while self._busy:
            await asyncio.wait(self._busy)
        for reader in self._idle:
            if reader is not None:
                await reader.connection.close(timeout=5)

    def run(self, query: Query, parameters: Mapping[str, Any]) -> asyncio.Future[Any]:
        """Run a query without keys; equal ones that wait at the same time run once."""
        try:
            shared = query.sql, tuple(parameters.items())
            read = self._shared.get(shared)
        except TypeError:  # a parameter is a list
            shared, read = None, None
        if read is None:
            read = self._add(_Read(query, parameters, None, shared))
            if shared is not None:
                self._shared[shared] = read
        return self._wait_for(read)

    def load(self, query: Query, parameters: Parameters, keys: Sequence[Any]) -> asyncio.Future[Found]:
        """Return the rows of the keys, and perhaps those of other keys; `parameters` are the others of the query."""
        shared = (query.sql, parameters)
        read = self._shared.get(shared)
        if read is None or read.keys is None or len(read.keys) + len(keys) > MOST_KEYS:
            read = self._shared[shared] = self._add(_Read(query, dict(parameters), {}, shared))
        read.keys.update(dict.fromkeys(keys))  # type: ignore[union-attr]
        return self._wait_for(read)

    def _add(self, read: _Read) -> _Read:
        self._reads.append(read)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._start)
        return read

    def _wait_for(self, read: _Read) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        read.waiting.append(future)
        return future

    def _start(self) -> None:
        self._scheduled = False
        while self._reads and self._idle:
            task = self._loop.create_task(self._work(self._idle.pop()))
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)

    def _next(self) -> _Read | None:
        if not self._reads:
            return None
        read = self._reads.popleft()
        if read.shared is not None and self._shared.get(read.shared) is read:
            del self._shared[read.shared]
        return read

    async def _work(self, reader: ReadConnection | None) -> None:
        """Run the waiting reads on one connection until none is left."""
        try:
            while (read := self._next()) is not None:
                self.runs += 1
                try:
                    reader, result = await self._run(reader, read)
                except Exception as error:
                    if isinstance(error, TimeoutError) and reader is not None:
                        reader.connection.terminate()  # the server does not answer
                    reader = _open(reader)
                    for future in read.unanswered():
                        future.set_exception(error)
                else:
                    for future in read.unanswered():
                        future.set_result(result)
        finally:
            self._idle.append(_open(reader))

    async def _run(self, reader: ReadConnection | None, read: _Read) -> tuple[ReadConnection, Any]:
        query, repeats = read.query, 0
        parameters = read.parameters if read.keys is None else {**read.parameters, "keys": list(read.keys)}
        arguments = [parameters[name] for name in query.parameters]
        while True:
            try:
                reader = reader or await self._connect()
                rows = await reader.run(query, arguments)
                return reader, rows if read.keys is None else _by_key(rows)
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

    async def _connect(self) -> ReadConnection:
        connection = await asyncpg.connect(
            self._url,
            server_settings=self._settings,
            statement_cache_size=0,
            command_timeout=COMMAND_SECONDS,
            timeout=10,
        )
        try:
            await self._init(connection)
        except BaseException:
            connection.terminate()
            raise
        return ReadConnection(connection, names=self._names)


def _open(reader: ReadConnection | None) -> ReadConnection | None:
    """Return the connection unless it is closed."""
    return None if reader is None or reader.connection.is_closed() else reader


def _by_key(rows: Sequence[Any]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for row in rows:
        key = row["key"]
        if key in found:
            found[key].append(row)
        else:
            found[key] = [row]
    return found
