"""How the rows of many keys come in one statement: a generic batching loader; no entity appears here.

A loader statement takes `:keys` and answers with a column `key`. What is asked for while the event loop is busy with
one level of a document goes into one round trip, and the answer is kept until the request ends or writes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from service.database import Database

Source = tuple[str, tuple[tuple[str, Any], ...]]
Answers = dict[str, asyncio.Future[list[Any]]]


class Loaders:
    """The loaders of one HTTP request, shared by all operations of its batch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._answers: dict[Source, Answers] = {}
        self._waiting: dict[Source, Answers] = {}
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
                loop.call_soon(self._dispatch, source, waiting)
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
        # Who waits already is answered by the round trip under way, and nobody joins it any more
        self._waiting = {}

    def _dispatch(self, source: Source, waiting: Answers) -> None:
        if self._waiting.get(source) is waiting:
            del self._waiting[source]
        task = asyncio.ensure_future(self._load(source, waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, source: Source, waiting: Answers) -> None:
        statement, parameters = source
        found: dict[str, list[Any]] = {key: [] for key in waiting}
        try:
            for row in await self._database.read(statement, keys=list(waiting), **dict(parameters)):
                found[row["key"]].append(row)
        except Exception as error:
            for answer in waiting.values():
                answer.set_exception(error)
            return
        for key, answer in waiting.items():
            answer.set_result(found[key])
