"""A held connection for reads, with queries prepared on it by name."""

from __future__ import annotations

from itertools import count
from typing import Any

import asyncpg

from service.database.rows import record_class
from service.database.servers import Connection
from service.database.statements import Query

PREPARED = 256  # queries kept on a connection; filters and plans have many combinations


class ReadConnection:
    """One held connection and the queries that are prepared on it."""

    def __init__(self, connection: Connection, *, names: bool) -> None:
        self.connection = connection
        self._numbers = count() if names else None
        self._prepared: dict[str, Any] = {}

    async def run(self, query: Query, arguments: list[Any]) -> Any:
        """Run the query; its cardinality decides the form of the result."""
        prepared = self._prepared.pop(query.sql, None)
        if prepared is None:
            prepared = await self._prepare(query)
        elif self._numbers is not None:
            self._prepared[query.sql] = prepared  # the most recently used is the last
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
