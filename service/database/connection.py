"""PostgreSQL: named statements, reads on held connections, writes in transactions.

Reads use asyncpg directly (see `read_pool`). Writes, migrations, and commands use `databases`, in this module only. A
transaction belongs to one asyncio task.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, cast

import asyncpg
import databases
import orjson

from service.database import counts
from service.database.pages import Bounds, Columns, Order, page, pages_by_parent, rows, variants
from service.database.read_pool import PREPARED, Connection, Found, Parameters, ReadPool
from service.database.rows import Row, record_class
from service.database.statements import Query, Statement
from service.parsing import format_datetime

OLDEST_VERSION = 15
ENCODING = "UTF8"
# Case must be ignored in the same way whatever the locale of the database; see sql/migrations/0001_foundation.sql
LETTER_CASE = "SELECT fold('MÜLLER IVAN') = 'müller ivan' AND fold(U&'\\0130') <> 'i' AND fold('ΟΔΟΣ') = fold('οδος')"
STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 2_000  # others must not wait for long behind a row that another session holds
COMMAND_SECONDS = 60  # for a server that does not answer; migrations and the seed have long statements
ACQUIRE_SECONDS = 30  # a burst of a thousand writes is served in turn
CLOSE_SECONDS = 10  # for what is in progress; the process ends then, and the server notices
# What the service relies on, whatever the database or its roles are configured to
SESSION_SETTINGS = {
    "application_name": "roster",
    "datestyle": "ISO, MDY",
    "default_transaction_isolation": "read committed",
    "intervalstyle": "postgres",
    "jit": "off",
    "standard_conforming_strings": "on",
    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
    "timezone": "UTC",
}


class UnsuitableServerError(Exception):
    """The PostgreSQL server or database cannot be used; the message says why."""


def _json(value: Any) -> str:
    return orjson.dumps(value, default=_time, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()


def _time(value: object) -> str:
    """Return a time as DateTime and Date represent it."""
    if isinstance(value, dt.datetime):
        return format_datetime(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not a JSON value")


async def codecs(connection: Any) -> None:
    """Read UUIDs, addresses, and networks as the text that GraphQL returns, and jsonb as plain Python values."""
    for name in ("uuid", "inet", "cidr"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_json, decoder=orjson.loads, format="text")


async def _keep_session(_connection: Any) -> None:
    """Reset nothing on release, because nothing sets session state (only SET LOCAL and transaction-level locks)."""


class Transaction:
    """Named statements inside one transaction."""

    def __init__(self, connection: Connection, statements: Mapping[str, Statement]) -> None:
        self.connection = connection
        self.statements = statements

    async def run(self, name: str, /, **parameters: Any) -> Any:
        """Run a statement; its cardinality decides the result: a row or None, rows, a value, or nothing."""
        query = self.statements[name].query
        arguments = [parameters[parameter] for parameter in query.parameters]
        if query.cardinality == "many":
            return await self.connection.fetch(query.sql, *arguments, record_class=record_class(query.row))
        if query.cardinality == "one":
            return await self.connection.fetchrow(query.sql, *arguments, record_class=record_class(query.row))
        if query.cardinality == "value":
            return await self.connection.fetchval(query.sql, *arguments)
        await self.connection.fetch(query.sql, *arguments)  # prepared, unlike `execute`
        return None


class Database:
    """The connections of a process.

    `readers` and `writers` limit the number of each; `options` are PostgreSQL settings for all of them.
    """

    def __init__(
        self,
        url: str,
        statements: Mapping[str, Statement],
        *,
        readers: int = 4,
        writers: int = 8,
        options: Mapping[str, str] | None = None,
        names: bool = True,
    ) -> None:
        """`names` says whether statements are prepared under names, which some poolers cannot keep."""
        self.url = url
        self.statements = statements
        settings = SESSION_SETTINGS | dict(options or {})
        # The URL is passed to asyncpg unchanged (`dsn`), so that reads and writes interpret it alike
        self._writers = databases.Database(
            "postgresql://",
            dsn=url,
            database=None,
            min_size=1,
            max_size=writers,
            init=codecs,
            reset=_keep_session,
            server_settings=settings | {"lock_timeout": str(LOCK_TIMEOUT_MS)},
            # Their columns are named, so that a statement that was prepared before a migration still fits
            statement_cache_size=PREPARED if names else 0,
            command_timeout=COMMAND_SECONDS,
            timeout=10,
        )
        self._readers = ReadPool(url, count=readers, init=codecs, settings=settings, names=names)

    @property
    def reads(self) -> int:
        """The number of reads so far."""
        return self._readers.runs

    async def connect(self) -> None:
        """Open the first connections. Raise what asyncpg raises when the server cannot be reached."""
        await self._writers.connect()
        await self._readers.open()

    async def close(self) -> None:
        """Close every connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._readers.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._writers.disconnect()

    async def read(self, name: str, /, **parameters: Any) -> Any:
        """Run a reading statement outside a transaction; the result is that of `Transaction.run`."""
        return await self._readers.run(self.statements[name].query, parameters)

    async def read_page(
        self,
        name: str,
        bounds: Bounds,
        filters: Mapping[str, Any],
        window: Mapping[str, Any],
        columns: Columns | None = None,
    ) -> Sequence[Any]:
        """Return the rows of a page of a list; filters that are None do not apply."""
        query = page(self.statements[name], bounds, _given(filters), columns)
        return cast("Sequence[Any]", await self._readers.run(query, {**filters, **window}))

    def read_count(self, name: str, filters: Mapping[str, Any]) -> asyncio.Future[Found]:
        """Return the Count of a list, under the key None; filters that are None do not apply."""
        return asyncio.ensure_future(counts.of_list(self._readers, self.statements[name], _given(filters), filters))

    def load_rows(
        self, name: str, keys: Sequence[Any], parameters: Parameters = (), columns: Columns | None = None
    ) -> asyncio.Future[Found]:
        """Return the rows of the keys of a statement, by key; `columns` are SQL expressions, None for all columns."""
        statement = self.statements[name]
        return self._readers.load(statement.query if columns is None else rows(statement, columns), parameters, keys)

    def load_pages(
        self,
        name: str,
        keys: Sequence[Any],
        bounds: Bounds,
        parameters: Parameters,
        columns: Columns | None = None,
    ) -> asyncio.Future[Found]:
        """Return the rows of a page of the list of each parent, by parent."""
        return self._readers.load(pages_by_parent(self.statements[name], bounds, columns), parameters, keys)

    def load_counts(self, name: str, keys: Sequence[Any]) -> asyncio.Future[Found]:
        """Return the Count of the list of each parent, by parent."""
        return asyncio.ensure_future(counts.by_parent(self._readers, self.statements[name], keys))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction that commits at the end of the block, and rolls back if it raises."""
        # Not the transaction of `databases`: if it loses its connection, it never returns it to the pool
        async with self.connection() as connection, connection.transaction():
            yield Transaction(connection, self.statements)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Return a plain connection. TimeoutError if none becomes free."""
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(ACQUIRE_SECONDS):
                connection = await stack.enter_async_context(self._writers.connection())
            yield cast("Connection", connection.raw_connection)

    async def require_suitable(self) -> None:
        """Raise UnsuitableServerError for a server that is too old, or a database that cannot store every text."""
        async with self.connection() as connection:
            version = connection.get_server_version()
            encoding = await connection.fetchval("SHOW server_encoding")
        if version.major < OLDEST_VERSION:
            raise UnsuitableServerError(f"PostgreSQL {version.major} is too old: {OLDEST_VERSION} or newer is required")
        if encoding != ENCODING:
            raise UnsuitableServerError(
                f"the database's encoding is {encoding}: create it with CREATE DATABASE ... ENCODING '{ENCODING}' "
                "TEMPLATE template0"
            )

    async def ignores_case(self) -> bool:
        """Return whether letter case is ignored correctly, by behaviour; after the migrations."""
        async with self.connection() as connection:
            return bool(await connection.fetchval(LETTER_CASE))

    async def check(self, orders: Mapping[str, Iterable[Order]]) -> list[str]:
        """Prepare every statement on the live schema; return one line for each that does not fit.

        `orders` are the orders of each list that has more than the order of its ids.
        """
        problems = []
        async with self.connection() as connection:
            for query in self._queries(orders):
                try:
                    prepared = await connection.prepare(query.sql)
                except asyncpg.PostgresError as error:
                    problems.append(f"{query.name}: {error}")
                    continue
                missing = _columns(query) - {attribute.name for attribute in prepared.get_attributes()}
                if missing:
                    problems.append(f"{query.name}: returns no {', '.join(sorted(missing))} for {query.row}")
        if not problems and not await self.ignores_case():
            problems.append("the collation `roster` does not ignore letter case correctly")
        return problems

    def _queries(self, orders: Mapping[str, Iterable[Order]]) -> Iterator[Query]:
        for statement in self.statements.values():
            if statement.cardinality == "list":
                yield from variants(statement, tuple(orders.get(statement.name, (Order(),))))
            else:
                yield statement.query


def _given(filters: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name, value in filters.items() if value is not None)


def _columns(query: Query) -> frozenset[str]:
    if query.row is None:
        return frozenset()
    row = Row.types.get(query.row)
    return frozenset({f"row type {query.row}"}) if row is None else frozenset(row.columns)
