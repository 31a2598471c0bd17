"""Writes: transactions on connections of the pool that `databases` keeps.

A connection that proves to be lost before anything was sent on it is replaced. After that a loss is reported, because
a write is not repeated: it may have been committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias, cast

import asyncpg
import databases

from service.database.servers import LOST, PAUSE_SECONDS, Connection, Opened, Servers

Held: TypeAlias = databases.core.Connection
ACQUIRE_SECONDS = 30  # a burst of a thousand writes is served in turn
READ_ONLY_SECONDS = 1  # a server that accepted no writes may accept them after this time


async def _keep_session(_connection: Any) -> None:
    """Reset nothing on release, because nothing sets session state (only SET LOCAL and transaction-level locks)."""


class WritePool:
    """At most `count` connections, which are opened when they are first needed, and then kept."""

    def __init__(
        self, servers: Servers, *, count: int, settings: dict[str, str], prepared: int, answer_seconds: float
    ) -> None:
        """Keep up to `prepared` statements on a connection, and wait at most `answer_seconds` for each answer."""
        self._servers = servers
        self._count = count
        self._opened = Opened()
        self._replaced_at = 0.0
        self._pool = databases.Database(
            "postgresql://",
            database=None,
            min_size=0,  # the server may not be there yet
            max_size=count,
            max_inactive_connection_lifetime=0,  # the server may not accept another one
            connect=self._open,
            reset=_keep_session,
            server_settings=settings,
            statement_cache_size=prepared,
            command_timeout=answer_seconds,
        )

    async def _open(self, _url: None, **options: Any) -> Connection:
        return self._opened.add(await self._servers.connect(**options))

    async def open(self) -> None:
        """Allow connections."""
        await self._pool.connect()

    async def close(self) -> None:
        """Wait for the transactions in progress, and close every connection."""
        await self._pool.disconnect()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Return a connection. TimeoutError if none becomes free."""
        held = await self._acquire()
        try:
            yield cast("Connection", held.raw_connection)
        finally:
            await held.__aexit__()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Return a connection with a transaction that commits at the end of the block, and rolls back if it raises."""
        # Not the transaction of `databases`: if it loses its connection, it never returns it to the pool
        held, connection, transaction = await self._begin()
        try:
            try:
                yield connection
            except BaseException as error:
                if not isinstance(error, TimeoutError):
                    await _roll_back(connection, transaction)
                raise
            await transaction.commit()
        except TimeoutError:  # the server does not answer, and will not on other connections
            _terminate(connection)
            self._servers.close_idle()
            raise
        except asyncpg.ReadOnlySQLTransactionError:
            self._replace(connection)
            raise
        finally:
            await held.__aexit__()

    async def _acquire(self) -> Held:
        async with asyncio.timeout(ACQUIRE_SECONDS):
            while True:
                try:
                    return await self._pool.connection().__aenter__()
                except asyncpg.TooManyConnectionsError:
                    if not self._opened:
                        await self._servers.make_room()
                await asyncio.sleep(PAUSE_SECONDS)  # until one of those that are open is free

    async def _begin(self) -> tuple[Held, Connection, Any]:
        """Return what holds a connection, the connection, and a transaction on it."""
        for repeats in range(self._count + 1):
            held = await self._acquire()
            connection = cast("Connection", held.raw_connection)
            transaction = connection.transaction()
            try:
                await transaction.start()
            except BaseException as error:
                lost, silent = isinstance(error, LOST), isinstance(error, TimeoutError)
                if lost:
                    _terminate(connection)
                await held.__aexit__()
                if silent:
                    self._servers.close_idle()
                if not lost or silent or repeats == self._count:
                    raise
            else:
                return held, connection, transaction
        raise AssertionError("the last repetition returns or raises")

    def _replace(self, connection: Connection) -> None:
        """Replace the connections, because one accepts no writes: a new one may be to a server that does."""
        now = asyncio.get_running_loop().time()
        if now - self._replaced_at > READ_ONLY_SECONDS:
            self._replaced_at = now
            _terminate(connection)
            self._opened.close_idle()


async def _roll_back(connection: Connection, transaction: Any) -> None:
    """Roll back, or close the connection if that is not possible; the reason of the roll-back is what is raised."""
    try:
        await transaction.rollback()
    except (asyncpg.PostgresError, *LOST):
        _terminate(connection)


def _terminate(connection: Connection) -> None:
    with suppress(asyncpg.InterfaceError):  # it was lost, and the pool has it back
        connection.terminate()
