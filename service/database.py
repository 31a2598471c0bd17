"""How the service talks to PostgreSQL: statements by name, reads on held connections, writes in transactions.

Reads go straight through asyncpg (see readers.py). Writes, migrations and commands go through `databases`, here and
nowhere else; a transaction belongs to one asyncio task.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import databases
import orjson

from service.readers import Connection, Readers
from service.rows import Row
from service.statements import Statement

OLDEST_VERSION = 15
STATEMENT_TIMEOUT_MS = 5_000


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


async def codecs(connection: Any) -> None:
    """Text for what GraphQL serves as text: UUIDs, addresses and networks are `str`, jsonb is plain Python values."""
    for name in ("uuid", "inet", "cidr"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_json, decoder=orjson.loads, format="text")


async def _keep_session(_connection: Any) -> None:
    """Nothing sets session state (only SET LOCAL and transaction-level locks), so there is nothing to reset on
    release.
    """


class Transaction:
    """Statements by name inside one transaction."""

    def __init__(self, connection: Connection, statements: Mapping[str, Statement]) -> None:
        self.connection = connection
        self._statements = statements

    async def run(self, name: str, /, **parameters: Any) -> Any:
        """What the statement's cardinality says: a row or None, rows, a value, or nothing."""
        statement = self._statements[name]
        arguments = [parameters[parameter] for parameter in statement.parameters]
        record_class = Row.types[statement.row] if statement.row else Row
        if statement.cardinality == "many":
            return await self.connection.fetch(statement.sql, *arguments, record_class=record_class)
        if statement.cardinality == "one":
            return await self.connection.fetchrow(statement.sql, *arguments, record_class=record_class)
        if statement.cardinality == "value":
            return await self.connection.fetchval(statement.sql, *arguments)
        return await self.connection.execute(statement.sql, *arguments)


class Database:
    """The one owner of connections.

    `readers` and `writers` are how many of each it may hold; `options` are PostgreSQL settings that each begins with.
    """

    def __init__(
        self,
        url: str,
        statements: Mapping[str, Statement],
        *,
        readers: int = 4,
        writers: int = 8,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.statements = statements
        settings = {
            "application_name": "roster",
            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
            "timezone": "UTC",
            **(options or {}),
        }
        # The address goes to asyncpg whole (`dsn`), so that reads and writes understand it alike
        self._writers = databases.Database(
            "postgresql://",
            dsn=url,
            database=None,
            min_size=1,
            max_size=writers,
            init=codecs,
            reset=_keep_session,
            server_settings=settings,
            # A statement kept from before a migration fails inside a transaction, where it cannot be prepared anew
            statement_cache_size=0,
            timeout=10,
        )
        self._readers = Readers(url, statements, count=readers, init=codecs, settings=settings)

    @property
    def reads(self) -> int:
        """How many reading statements were run so far."""
        return self._readers.runs

    async def connect(self) -> None:
        """Opens the first connections; raises what asyncpg raises when the server cannot be reached."""
        await self._writers.connect()
        await self._readers.open()

    async def close(self) -> None:
        """Gives every connection back."""
        await self._readers.close()
        await self._writers.disconnect()

    async def read(self, name: str, /, **parameters: Any) -> Any:
        """Runs a reading statement outside any transaction; what comes back is as in `Transaction.run`."""
        return await self._readers.run(self.statements[name], parameters)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction that commits when the block ends and rolls back when it raises."""
        async with self._writers.connection() as connection, connection.transaction():
            yield Transaction(cast("Connection", connection.raw_connection), self.statements)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A bare connection for migrations and commands."""
        async with self._writers.connection() as connection:
            yield cast("Connection", connection.raw_connection)

    async def check(self) -> list[str]:
        """Prepares every statement on the live schema; gives one line for each that does not fit it."""
        problems = []
        async with self.connection() as connection:
            for statement in self.statements.values():
                try:
                    prepared = await connection.prepare(statement.sql)
                except asyncpg.PostgresError as error:
                    problems.append(f"{statement.name}: {error}")
                    continue
                columns = {attribute.name for attribute in prepared.get_attributes()}
                missing = _columns_of(statement) - columns
                if missing:
                    problems.append(f"{statement.name}: gives no {', '.join(sorted(missing))} for {statement.row}")
        return problems


def _columns_of(statement: Statement) -> frozenset[str]:
    if statement.row is None:
        return frozenset()
    row = Row.types.get(statement.row)
    if row is None:
        return frozenset({f"row type of the name {statement.row}"})
    return frozenset(getattr(row, "columns", frozenset()))
