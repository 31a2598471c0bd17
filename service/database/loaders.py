"""Loaders: the rows of many keys in one query.

What is requested while the event loop works on one level of a document leaves in one query. The result is kept until
the request ends or writes. The objects of a level do not request at the same moment: one with an empty list is a turn
of the loop ahead of one whose list has items, and the pages of a level come from queries of different length. So the
queries of a level start when those of the level above are done, and nothing was requested for a few turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from service.database.connection import Database
from service.database.pages import Bounds

Results: TypeAlias = dict[str, asyncio.Future[list[Any]]]
QUIET_TURNS = 2


class PageRequest(Protocol):
    """A page between two cursors; see `service.pagination.Window`."""

    @property
    def bounds(self) -> Bounds:
        """The form of the page."""

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        """The parameters of the page."""


@dataclass(frozen=True, slots=True)
class Source:
    """A query that takes `keys` and returns a column `key`; equal sources share a query."""

    kind: str
    statement: str
    parameters: tuple[tuple[str, Any], ...] = ()
    bounds: Bounds | None = None


class Loaders:
    """The loaders of one HTTP request, shared by all operations of its batch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._results: dict[Source, Results] = {}
        self._pending: dict[Source, Results] = {}
        self._requested = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def many(self, statement: str, key: str, **parameters: Any) -> list[Any]:
        """Return the rows of the key, in the order of the statement."""
        return await self._load(Source("rows", statement, tuple(parameters.items())), key)

    async def one(self, statement: str, key: str, **parameters: Any) -> Any:
        """Return the row of the key, or None."""
        rows = await self.many(statement, key, **parameters)
        return rows[0] if rows else None

    async def page(self, statement: str, key: str, request: PageRequest) -> list[Any]:
        """Return the rows of a page of the parent's list."""
        return await self._load(Source("page", statement, request.parameters, request.bounds), key)

    async def count(self, statement: str, key: str) -> int:
        """Return the number of rows in the parent's list."""
        rows = await self._load(Source("count", statement), key)
        return int(rows[0]["count"]) if rows else 0

    def forget(self) -> None:
        """Send later requests to the database, because something was written."""
        self._results = {}
        # Seal the pending batch: its queries may start before the write
        pending, self._pending = self._pending, {}
        self._send(pending)

    async def _load(self, source: Source, key: str) -> list[Any]:
        results = self._results.setdefault(source, {})
        result = results.get(key)
        if result is None:
            loop = asyncio.get_running_loop()
            result = results[key] = loop.create_future()
            if not self._pending:
                loop.call_soon(self._turn, self._pending, 0, 0)
            self._pending.setdefault(source, {})[key] = result
            self._requested += 1
        # The cancellation of one caller must not cancel the result of the others
        return await asyncio.shield(result)

    def _turn(self, pending: dict[Source, Results], requested: int, quiet: int) -> None:
        if self._pending is not pending:
            return
        quiet = quiet + 1 if requested == self._requested else 0
        if quiet < QUIET_TURNS:
            asyncio.get_running_loop().call_soon(self._turn, pending, self._requested, quiet)
        elif not self._tasks:
            self._pending = {}
            self._send(pending)

    def _send(self, pending: dict[Source, Results]) -> None:
        for source, results in pending.items():
            task = asyncio.ensure_future(self._run(source, results))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._pending and not self._tasks:
            self._turn(self._pending, -1, 0)

    async def _run(self, source: Source, pending: Results) -> None:
        found: dict[str, list[Any]] = {key: [] for key in pending}
        try:
            for row in await self._query(source, list(pending)):
                found[row["key"]].append(row)
        except Exception as error:
            for result in pending.values():
                result.set_exception(error)
            return
        for key, result in pending.items():
            result.set_result(found[key])

    def _query(self, source: Source, keys: list[str]) -> Awaitable[Sequence[Any]]:
        if source.kind == "count":
            return self._database.read_counts_by_parent(source.statement, keys)
        if source.bounds is not None:
            return self._database.read_pages_by_parent(source.statement, keys, source.bounds, dict(source.parameters))
        return self._database.read(source.statement, keys=keys, **dict(source.parameters))
