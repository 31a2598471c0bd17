"""Named statements inside one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.database.row_locks import CROWDED_MS, RowLocks
from service.database.rows import record_class
from service.database.servers import Connection
from service.database.statements import Query, Statement


class Transaction:
    """Named statements inside one transaction."""

    def __init__(
        self, connection: Connection, statements: Mapping[str, Statement], locks: RowLocks | None = None
    ) -> None:
        self.connection = connection
        self.statements = statements
        self._locks = locks

    async def run(self, name: str, /, **parameters: Any) -> Any:
        """Run a statement; its cardinality decides the result: a row or None, rows, a value, or nothing."""
        statement = self.statements[name]
        arguments = [parameters[parameter] for parameter in statement.query.parameters]
        if self._locks is None or not statement.locks_rows:
            return await self._run(statement.query, arguments)
        with self._locks.waiting((name, *map(str, arguments))) as crowded:
            if crowded:
                await self.connection.execute(f"SET LOCAL lock_timeout = {CROWDED_MS}")
            return await self._run(statement.query, arguments)

    async def _run(self, query: Query, arguments: Sequence[Any]) -> Any:
        if query.cardinality == "many":
            return await self.connection.fetch(query.sql, *arguments, record_class=record_class(query.row))
        if query.cardinality == "one":
            return await self.connection.fetchrow(query.sql, *arguments, record_class=record_class(query.row))
        if query.cardinality == "value":
            return await self.connection.fetchval(query.sql, *arguments)
        await self.connection.fetch(query.sql, *arguments)  # prepared, unlike `execute`
        return None

    async def run_with_row(self, name: str, reading: str, /, **parameters: Any) -> tuple[Any, Any]:
        """Run a changing statement together with one that reads a row. Return the result of `run`, and the row or None.

        It is one round trip, and the row is as of the moment when the change began; see `Statement.with_row`.
        """
        query = self.statements[name].with_row(self.statements[reading])
        if query is None:
            row = await self.run(reading, **parameters)
            return await self.run(name, **parameters), row
        arguments = [parameters[parameter] for parameter in query.parameters]
        rows = await self.connection.fetch(query.sql, *arguments, record_class=record_class(query.row))
        changed = rows if rows[0]["changed_rows"] else []
        if query.cardinality == "many":
            return changed, rows[0]
        return changed[0] if changed else None, rows[0]
