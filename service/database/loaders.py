"""Loaders: the rows of many keys in one statement, kept until the request ends or writes.

A caller passes all keys of a level at once. Keys of other requests may leave in the same statement, see `read_pool`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

from service.database.connection import Database
from service.database.pages import Bounds, Columns
from service.database.read_pool import CALLER, Found, Parameters

Results: TypeAlias = dict[Any, asyncio.Future[Found]]


class PageRequest(Protocol):
    """A page between two cursors; see `service.pagination.Window`."""

    @property
    def bounds(self) -> Bounds:
        """The form of the page."""

    @property
    def parameters(self) -> Parameters:
        """The parameters of the page, with one row more than its size."""

    @property
    def text_parameters(self) -> Parameters:
        """The parameters of the page, with its size."""


class Loaders:
    """The loaders of one HTTP request, shared by all operations of its batch.

    `shielded` protects results from the cancellation of one of their callers: graphql-core cancels single fields, while
    a plan is only cancelled as a whole.
    """

    def __init__(self, database: Database) -> None:
        self.shielded = False
        CALLER.set(self)
        self._database = database
        self._results: dict[Any, Results] = {}

    def row_type(self, statement: str) -> str:
        """Return the name of the type of a statement's rows, empty without one."""
        return self._database.statements[statement].row or ""

    def load(
        self, statement: str, keys: Iterable[Any], *, columns: Columns | None = None, **parameters: Any
    ) -> Awaitable[Found]:
        """Return the rows of the keys, by key; `columns` are those that are needed, None for all."""
        given = tuple(parameters.items())
        send = partial(self._database.load_rows, statement, parameters=given, columns=columns)
        return self._load((statement, columns, given), keys, send)

    def load_pages(
        self, statement: str, keys: Iterable[Any], request: PageRequest, columns: Columns | None = None
    ) -> Awaitable[Found]:
        """Return the rows of a page of each parent's list, by parent."""
        bounds, parameters = request.bounds, request.parameters
        send = partial(self._database.load_pages, statement, bounds=bounds, parameters=parameters, columns=columns)
        return self._load((statement, columns, bounds, parameters), keys, send)

    def load_texts(
        self, statement: str, keys: Iterable[Any], request: PageRequest, columns: Columns
    ) -> Awaitable[Found]:
        """Return a page of each parent's list as JSON text, by parent."""
        bounds, parameters = request.bounds, request.text_parameters
        send = partial(self._database.load_texts, statement, bounds=bounds, parameters=parameters, columns=columns)
        return self._load(("text", statement, columns, bounds, parameters), keys, send)

    async def one(self, statement: str, key: Any, *, columns: Columns | None = None, **parameters: Any) -> Any:
        """Return the row of the key, or None."""
        rows = (await self.load(statement, (key,), columns=columns, **parameters)).get(key)
        return rows[0] if rows else None

    async def page(self, statement: str, key: Any, request: PageRequest) -> Sequence[Any]:
        """Return the rows of a page of the parent's list."""
        return (await self.load_pages(statement, (key,), request)).get(key, [])

    def load_counts(self, statement: str, keys: Iterable[Any]) -> Awaitable[Found]:
        """Return the Count of each parent's list, by parent."""
        return self._load(statement, keys, partial(self._database.load_counts, statement))

    def forget(self) -> None:
        """Send later requests to the database, because something was written."""
        self._results = {}

    def _load(
        self, source: Any, keys: Iterable[Any], send: Callable[[Sequence[Any]], asyncio.Future[Found]]
    ) -> Awaitable[Found]:
        """Return the rows of the keys, by key; `send` requests those that were not requested before."""
        results = self._results.get(source)
        if results is None:
            results = self._results[source] = {}
        wanted = dict.fromkeys(keys)
        missing = [key for key in wanted if key not in results]
        if missing:
            results |= dict.fromkeys(missing, send(missing))
        futures = {results[key] for key in wanted}
        if len(futures) != 1:
            return _merged(futures)
        future = futures.pop()
        return asyncio.shield(future) if self.shielded else future


async def _merged(futures: Iterable[asyncio.Future[Found]]) -> Found:
    found: dict[Any, Sequence[Any]] = {}
    for rows in await asyncio.gather(*map(asyncio.shield, futures)):
        found |= rows
    return found
