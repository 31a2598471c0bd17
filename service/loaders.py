"""How the rows of many keys come in one statement: a generic batching loader; no entity appears here.

A loader statement takes `:keys` and answers with a column `key`. What is asked for while the event loop is busy with
one level of a document goes into one round trip, and the answer is kept until the request ends or writes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from service.database import Database

Source = tuple[str, tuple[tuple[str, Any], ...]]


class Loaders:
    """The loaders of one HTTP request, shared by all operations of its batch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._answers: dict[Source, dict[str, asyncio.Future[list[Any]]]] = {}
        self._waiting: dict[Source, dict[str, asyncio.Future[list[Any]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def many(self, statement: str, key: str, **parameters: Any) -> list[Any]:
        """The rows of the key, in the statement's order."""
        source: Source = (statement, tuple(parameters.items()))
        answers = self._answers.setdefault(source, {})
        answer = answers.get(key)
        if answer is None:
            loop = asyncio.get_running_loop()
            answer = answers[key] = loop.create_future()
            waiting = self._waiting.get(source)
            if waiting is None:
                waiting = self._waiting[source] = {}
                loop.call_soon(self._dispatch, source)
            waiting[key] = answer
        # One caller's cancellation must not take the answer from the others
        return await asyncio.shield(answer)

    async def one(self, statement: str, key: str, **parameters: Any) -> Any:
        """The row of the key, or None."""
        rows = await self.many(statement, key, **parameters)
        return rows[0] if rows else None

    def forget(self) -> None:
        """After a write the next question goes to the database."""
        self._answers = {}

    def _dispatch(self, source: Source) -> None:
        task = asyncio.ensure_future(self._load(source, self._waiting.pop(source)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, source: Source, answers: dict[str, asyncio.Future[list[Any]]]) -> None:
        statement, parameters = source
        try:
            rows = await self._database.read(statement, keys=list(answers), **dict(parameters))
        except Exception as error:
            for answer in answers.values():
                if not answer.done():
                    answer.set_exception(error)
            return
        found: dict[str, list[Any]] = {key: [] for key in answers}
        for row in rows:
            found[row["key"]].append(row)
        for key, answer in answers.items():
            if not answer.done():
                answer.set_result(found[key])
