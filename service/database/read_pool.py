"""Reads: a few connections that are held for the life of the process, with queries prepared on them by name.

Reads of all requests are coalesced: keys of one query with equal parameters leave in one statement, at the next turn of
the event loop in which a connection is idle. A statement begins after everything that it answers was requested, so
nothing is ever outdated. Nothing may set session state on a held connection. A lost connection is replaced, and the
read that noticed the loss is repeated, because a read changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextvars import Context, ContextVar
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg

from service.database.read_connection import ReadConnection
from service.database.servers import ANSWER_SECONDS, LOST, BusyError, Opened, Servers
from service.database.statements import Query

Found: TypeAlias = "Mapping[Any, Sequence[Any]]"  # rows by key
Parameters: TypeAlias = tuple[tuple[str, Any], ...]

REPEATS = 5
MOST_KEYS = 1_000  # of several requests in one statement
QUEUE_SECONDS = 10  # then a read that has not left fails, because the statements before it take too long
CROWDED_SECONDS = 1  # no further connection is tried while the server accepts none, but others are open
# A migration changed a table since the query was prepared: preparing it again fixes this. PostgreSQL reports it by the
# plan, or by the number of columns that asyncpg expects.
OUTDATED = (asyncpg.InvalidCachedStatementError, asyncpg.FeatureNotSupportedError, asyncpg.ProtocolViolationError)

# The HTTP request that reads, in all of its tasks: its lists leave a connection to other requests
CALLER: ContextVar[object] = ContextVar("CALLER", default=None)


@dataclass(slots=True, eq=False)
class _Read:
    """A statement that is still to leave, with everything that waits for it."""

    query: Query
    parameters: Mapping[str, Any]
    keys: dict[Any, None] | None  # None for a query without keys
    shared: Any = None  # by which later keys find it
    caller: object = None  # whose share it takes; None if it takes none
    waiting: list[asyncio.Future[Any]] = field(default_factory=list)
    repeats: int = 0
    since: float = 0.0  # the time at which it was added to the queue

    def unanswered(self) -> list[asyncio.Future[Any]]:
        """Return what still waits; a caller may have been cancelled."""
        return [future for future in self.waiting if not future.done()]


class ReadPool:
    """Held connections, each used by one statement at a time; the most recently used comes first."""

    def __init__(self, servers: Servers, *, count: int, settings: dict[str, str], names: bool = True) -> None:
        self._servers = servers
        self._settings = settings
        self._names = names
        self._idle: list[ReadConnection | None] = [None] * count  # None is a connection that is not open
        self._opened = Opened()
        self._crowded_until = 0.0
        self._reads: deque[_Read] = deque()
        self._share = max(1, count - 1)  # of one caller
        self._lists: dict[object, int] = {}
        self._later: dict[object, deque[_Read]] = {}
        self._shared: dict[Any, _Read] = {}
        self._busy: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self.runs = 0

    async def close(self) -> None:
        """Wait for the reads in progress, and close every connection."""
        while self._busy:
            await asyncio.wait(self._busy)
        for reader in self._idle:
            if reader is not None:
                await reader.connection.close(timeout=5)

    def run(self, query: Query, parameters: Mapping[str, Any]) -> asyncio.Future[Any]:
        """Run a query without keys; equal ones that wait at the same time run once."""
        shared, caller = _identity(query, parameters), CALLER.get()
        read = self._waiting(shared, caller)
        return self._wait_for(read or self._add(_Read(query, parameters, None, shared, caller)))

    def load(
        self, query: Query, parameters: Parameters, keys: Sequence[Any], *, lists: bool = False
    ) -> asyncio.Future[Found]:
        """Return the rows of the keys, and perhaps those of other keys; `parameters` are the others of the query.

        `lists` says that each key has a list of rows, which takes longer.
        """
        shared = (query.sql, parameters)
        caller = CALLER.get() if lists else None
        read = self._waiting(shared, caller)
        if read is None or read.keys is None or len(read.keys) + len(keys) > MOST_KEYS:
            read = self._add(_Read(query, dict(parameters), {}, shared, caller))
        read.keys.update(dict.fromkeys(keys))  # type: ignore[union-attr]
        return self._wait_for(read)

    def _waiting(self, shared: Any, caller: object) -> _Read | None:
        """Return the read with this identity that has not left, of any caller or of this one."""
        return None if shared is None else self._shared.get(shared) or self._shared.get((caller, shared))

    def _add(self, read: _Read) -> _Read:
        """Add a read to the queue, or to the later ones of its caller."""
        if read.caller is None:
            return self._queue(read)
        if self._lists.get(read.caller, 0) < self._share:
            return self._list(read)
        self._later.setdefault(read.caller, deque()).append(read)
        if read.shared is not None:
            self._shared[read.caller, read.shared] = read
        return read

    def _list(self, read: _Read) -> _Read:
        self._lists[read.caller] = self._lists.get(read.caller, 0) + 1
        return self._queue(read)

    def _queue(self, read: _Read) -> _Read:
        read.since = asyncio.get_running_loop().time()
        if read.shared is not None:
            self._shared[read.shared] = read
        self._reads.append(read)
        self._schedule()
        return read

    def _leave(self, read: _Read) -> None:
        """Let the next read of the caller take the place of one that is answered."""
        caller = read.caller
        if caller is None:
            return
        self._lists[caller] -= 1
        if not self._lists[caller]:
            del self._lists[caller]
        later = self._later.get(caller)
        if not later:
            self._later.pop(caller, None)
            return
        following = later.popleft()
        if self._shared.get((caller, following.shared)) is following:
            del self._shared[caller, following.shared]
        self._list(following)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._start)

    @staticmethod
    def _wait_for(read: _Read) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        read.waiting.append(future)
        return future

    def _start(self) -> None:
        self._scheduled = False
        while self._reads and self._idle and (self._idle[-1] is not None or self._may_connect()):
            # Not in the context of the request whose turn it is, which a new connection would keep
            task = asyncio.get_running_loop().create_task(self._work(self._idle.pop()), context=Context())
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)

    def _may_connect(self) -> bool:
        return asyncio.get_running_loop().time() >= self._crowded_until or not self._opened

    def _next(self) -> _Read | None:
        while self._reads:
            read = self._pop()
            if not read.unanswered():  # the callers have been cancelled
                self._leave(read)
            elif asyncio.get_running_loop().time() - read.since < QUEUE_SECONDS:
                return read
            else:
                self._fail(read, BusyError("the reads before this one take too long"))
        return None

    def _pop(self) -> _Read:
        read = self._reads.popleft()
        if read.shared is not None and self._shared.get(read.shared) is read:
            del self._shared[read.shared]
        return read

    async def _work(self, reader: ReadConnection | None) -> None:
        """Run the waiting reads on one connection until none is left."""
        try:
            while (read := self._next()) is not None:
                try:
                    reader = _open(reader) or await self._connect()
                except Exception as error:
                    self._reads.appendleft(read)
                    if self._opened:  # the open connections run this read, too
                        self._crowded_until = asyncio.get_running_loop().time() + CROWDED_SECONDS
                        return
                    if isinstance(error, asyncpg.TooManyConnectionsError):  # until the read has waited for too long
                        await self._servers.make_room()
                    else:
                        self._fail_all(error)
                    continue
                self.runs += 1
                try:
                    result = await self._run(reader, read)
                except Exception as error:
                    self._repeat_or_fail(reader, read, error)
                else:
                    for future in read.unanswered():
                        future.set_result(result)
                    self._leave(read)
        finally:
            # Connections that are not open come last
            self._idle.insert(0 if _open(reader) is None else len(self._idle), _open(reader))
            if self._reads:
                self._schedule()

    async def _run(self, reader: ReadConnection, read: _Read) -> Any:
        parameters = read.parameters if read.keys is None else {**read.parameters, "keys": list(read.keys)}
        rows = await reader.run(read.query, [parameters[name] for name in read.query.parameters])
        return rows if read.keys is None else _by_key(rows)

    def _repeat_or_fail(self, reader: ReadConnection, read: _Read, error: Exception) -> None:
        outdated = isinstance(error, OUTDATED)
        lost = not outdated and isinstance(error, LOST) and reader.is_lost(error)
        if outdated:
            reader.forget(read.query)
        if lost:
            reader.connection.terminate()
        if isinstance(error, TimeoutError):
            self._servers.close_idle()  # the server does not answer, and will not on other connections
        elif (lost or outdated) and read.repeats < REPEATS:
            read.repeats += 1
            self._reads.appendleft(read)
            return
        self._fail(read, error)

    def _fail(self, read: _Read, error: Exception) -> None:
        for future in read.unanswered():
            future.set_exception(copy(error))  # each request adds its own frames
        self._leave(read)

    def _fail_all(self, error: Exception) -> None:
        """Fail everything that waits, because no connection is open and none can be opened."""
        while self._reads:
            self._fail(self._pop(), error)

    async def _connect(self) -> ReadConnection:
        connection = await self._servers.connect(
            server_settings=self._settings, statement_cache_size=0, command_timeout=ANSWER_SECONDS
        )
        self._opened.add(connection)
        return ReadConnection(connection, names=self._names)


def _open(reader: ReadConnection | None) -> ReadConnection | None:
    """Return the connection unless it is closed."""
    return None if reader is None or reader.connection.is_closed() else reader


def _identity(query: Query, parameters: Mapping[str, Any]) -> Any:
    """Return by what an equal query is found; None for one with lists in its parameters."""
    shared = query.sql, tuple(parameters.items())
    return None if any(isinstance(value, list) for value in parameters.values()) else shared


def _by_key(rows: Sequence[Any]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for row in rows:
        key = row["key"]
        if key in found:
            found[key].append(row)
        else:
            found[key] = [row]
    return found
