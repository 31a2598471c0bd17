"""Loaders: the rows of many keys in one statement, kept until the request ends or writes.

A caller passes all keys of a level at once. Keys of other requests may leave in the same statement, see `read_pool`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from service.database.connection import Database
from service.database.pages import Bounds, Columns
from service.database.read_pool import Found, Parameters

Results: TypeAlias = dict[Any, asyncio.Future[Found]]


class PageRequest(Protocol):
    """A page between two cursors; see `service.pagination.Window`."""

    @property
    def bounds(self) -> Bounds:
        """The form of the page."""

    @property
    def parameters(self) -> Parameters:
        """The parameters of the page."""


@dataclass(frozen=True, slots=True)
class Source:
    """A query that takes `keys` and returns a column `key`."""

    kind: str
    statement: str
    parameters: Parameters = ()
    bounds: Bounds | None = None
    columns: Columns | None = None


class Loaders:
    """The loaders of one HTTP request, shared by all operations of its batch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._results: dict[Source, Results] = {}

    def load(
        self, statement: str, keys: Iterable[Any], *, columns: Columns | None = None, **parameters: Any
    ) -> Awaitable[Found]:
        """Return the rows of the keys, by key; `columns` are those that are needed, None for all."""
        return self._load(Source("rows", statement, tuple(parameters.items()), None, columns), keys)

    def load_pages(
        self, statement: str, keys: Iterable[Any], request: PageRequest, columns: Columns | None = None
    ) -> Awaitable[Found]:
        """Return the rows of a page of each parent's list, by parent."""
        return self._load(Source("page", statement, request.parameters, request.bounds, columns), keys)

    async def one(self, statement: str, key: Any, *, columns: Columns | None = None, **parameters: Any) -> Any:
        """Return the row of the key, or None."""
        rows = (await self.load(statement, (key,), columns=columns, **parameters)).get(key)
        return rows[0] if rows else None

    async def page(self, statement: str, key: Any, request: PageRequest) -> Sequence[Any]:
        """Return the rows of a page of the parent's list."""
        return (await self.load_pages(statement, (key,), request)).get(key, [])

    def load_counts(self, statement: str, keys: Iterable[Any]) -> Awaitable[Found]:
        """Return the Count of each parent's list, by parent."""
        return self._load(Source("count", statement), keys)

    def forget(self) -> None:
        """Send later requests to the database, because something was written."""
        self._results = {}

    def _load(self, source: Source, keys: Iterable[Any]) -> Awaitable[Found]:
        wanted = dict.fromkeys(keys)
        results = self._results.setdefault(source, {})
        missing = [key for key in wanted if key not in results]
        if missing:
            results |= dict.fromkeys(missing, self._send(source, missing))
        futures = set(map(results.__getitem__, wanted))
        # The cancellation of one caller must not cancel the result of the others
        return asyncio.shield(futures.pop()) if len(futures) == 1 else _merged(futures)

    def _send(self, source: Source, keys: Sequence[Any]) -> asyncio.Future[Found]:
        if source.kind == "count":
            return self._database.load_counts(source.statement, keys)
        if source.bounds is not None:
            return self._database.load_pages(source.statement, keys, source.bounds, source.parameters, source.columns)
        return self._database.load_rows(source.statement, keys, source.parameters, source.columns)


async def _merged(futures: Iterable[asyncio.Future[Found]]) -> Found:
    found: dict[Any, Sequence[Any]] = {}
    for future in futures:
        found |= await asyncio.shield(future)
    return found
