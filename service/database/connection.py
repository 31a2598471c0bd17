"""PostgreSQL: named statements, reads on held connections (see `read_pool`), writes in transactions (see `write_pool`).

A transaction belongs to one asyncio task.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, cast

import asyncpg
import orjson

from service.database import counts
from service.database.pages import Bounds, Columns, Order, page, pages_by_parent, rows, text, texts_by_parent, variants
from service.database.read_connection import PREPARED
from service.database.read_pool import Found, Parameters, ReadPool
from service.database.row_locks import RowLocks
from service.database.rows import Row
from service.database.servers import ANSWER_SECONDS, LOST, Connection, Servers
from service.database.statements import Query, Statement
from service.database.transaction import Transaction
from service.database.write_pool import WritePool
from service.parsing import format_datetime

OLDEST_VERSION = 15
ENCODING = "UTF8"
# Case must be ignored in the same way whatever the locale of the database; see sql/migrations/0001_foundation.sql
LETTER_CASE = "SELECT fold('MÜLLER IVAN') = 'müller ivan' AND fold(U&'\\0130') <> 'i' AND fold('ΟΔΟΣ') = fold('οδος')"
STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 2_000  # others must not wait for long behind a row that another session holds
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
# The rows of keys are always found by an index. Without this, PostgreSQL plans them again at most runs, because it
# estimates that a plan for the given number of keys is cheaper than one for any number.
GENERIC_PLANS = {"plan_cache_mode": "force_generic_plan"}


class UnsuitableServerError(Exception):
    """The PostgreSQL server or database cannot be used; the message says why."""


def json_text(value: Any) -> str:
    """Return the JSON text of a value, with times as DateTime and Date represent them."""
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
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=json_text, decoder=orjson.loads, format="text"
    )


class Database:
    """The connections of a process.

    A quarter of the `readers` look up rows by keys, so that these never wait for a list; another quarter reads pages of
    the lists of many parents, and the others whole lists. `writers` is the number of connections for writes; `options`
    are PostgreSQL settings for all of them. If the server accepts fewer than four connections, some requests fail.
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
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """`names` says whether statements are prepared under names, which some poolers cannot keep.

        `answer_seconds` is how long a statement of a write may take, for a server that does not answer.
        """
        self.url = url
        self.statements = statements
        servers, settings = Servers(url, init=codecs), SESSION_SETTINGS | dict(options or {})
        self._locks = RowLocks(max(1, writers // 2))
        self._writers = WritePool(
            servers,
            count=writers,
            settings=settings | {"lock_timeout": str(LOCK_TIMEOUT_MS)},
            # Their columns are named, so that a statement that was prepared before a migration still fits
            prepared=PREPARED if names else 0,
            answer_seconds=answer_seconds,
        )
        quarter, generic = max(1, readers // 4), settings | (GENERIC_PLANS if names else {})
        self._lookups = ReadPool(servers, count=quarter, settings=generic, names=names)
        self._pages = ReadPool(servers, count=quarter, settings=generic, names=names)
        self._lists = ReadPool(servers, count=max(1, readers - 2 * quarter), settings=settings, names=names)

    @property
    def reads(self) -> int:
        """The number of reads so far."""
        return self._lookups.runs + self._pages.runs + self._lists.runs

    async def connect(self) -> None:
        """Allow connections. They are opened when they are first needed, because the server may not be there yet."""
        await self._writers.open()

    async def close(self) -> None:
        """Close every connection."""
        for close in (self._lookups.close, self._pages.close, self._lists.close, self._writers.close):
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await close()

    async def read(self, name: str, /, **parameters: Any) -> Any:
        """Run a reading statement outside a transaction; the result is that of `Transaction.run`."""
        return await self._lookups.run(self.statements[name].query, parameters)

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
        return cast("Sequence[Any]", await self._lists.run(query, {**filters, **window}))

    async def read_page_text(
        self, name: str, bounds: Bounds, filters: Mapping[str, Any], window: Mapping[str, Any], columns: Columns
    ) -> str | None:
        """Return a page of a list as a JSON list, null for an empty page."""
        query = text(self.statements[name], bounds, _given(filters), columns)
        return cast("str | None", await self._lists.run(query, {**filters, **window}))

    def read_count(self, name: str, filters: Mapping[str, Any]) -> asyncio.Future[Found]:
        """Return the Count of a list, under the key None; filters that are None do not apply."""
        return asyncio.ensure_future(counts.of_list(self._lists, self.statements[name], _given(filters), filters))

    def load_rows(
        self, name: str, keys: Sequence[Any], parameters: Parameters = (), columns: Columns | None = None
    ) -> asyncio.Future[Found]:
        """Return the rows of the keys of a statement, by key; `columns` are SQL expressions, None for all columns."""
        statement = self.statements[name]
        return self._lookups.load(statement.query if columns is None else rows(statement, columns), parameters, keys)

    def load_pages(
        self,
        name: str,
        keys: Sequence[Any],
        bounds: Bounds,
        parameters: Parameters,
        columns: Columns | None = None,
    ) -> asyncio.Future[Found]:
        """Return the rows of a page of the list of each parent, by parent."""
        query = pages_by_parent(self.statements[name], bounds, columns)
        return self._pages.load(query, parameters, keys, lists=True)

    def load_texts(
        self, name: str, keys: Sequence[Any], bounds: Bounds, parameters: Parameters, columns: Columns
    ) -> asyncio.Future[Found]:
        """Return a row with `text` for each parent: a JSON list of a page of its list, null for an empty page."""
        query = texts_by_parent(self.statements[name], bounds, columns)
        return self._pages.load(query, parameters, keys, lists=True)

    def load_counts(self, name: str, keys: Sequence[Any]) -> asyncio.Future[Found]:
        """Return the Count of the list of each parent, by parent."""
        return asyncio.ensure_future(counts.by_parent(self._pages, self.statements[name], keys))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction that commits at the end of the block, and rolls back if it raises."""
        async with self._writers.transaction() as connection:
            yield Transaction(connection, self.statements, self._locks)

    async def run(self, name: str, /, **parameters: Any) -> Any:
        """Run one statement in a transaction of its own, in one round trip; it runs again if its connection is lost."""
        try:
            async with self.connection() as connection:
                return await Transaction(connection, self.statements).run(name, **parameters)
        except (asyncpg.ReadOnlySQLTransactionError, *LOST):
            async with self.transaction() as transaction:  # which replaces the connection
                return await transaction.run(name, **parameters)

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """Return a plain connection. TimeoutError if none becomes free."""
        return self._writers.connection()

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
