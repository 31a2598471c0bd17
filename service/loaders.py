"""How the rows of many keys come in one statement: a generic batching loader; no entity appears here.

A loader statement takes `:keys` and answers with a column `key`. What is asked for while the event loop is busy with
one level of a document goes into one round trip, and the answer is kept until the request ends or writes.

The objects of one level do not ask at the same time: one with an empty list is a turn of the loop ahead of one whose
list has items, and the pages of a level come from statements that take longer or shorter. So the statements of a level
begin when those of the level above have ended, and nobody has asked anything for a few turns.
"""

from __future__ import annotations

import asyncio
from typing import Any

from service.database import Database

Source = tuple[str, tuple[tuple[str, Any], ...]]
Answers = dict[str, asyncio.Future[list[Any]]]
QUIET_TURNS = 2


class Loaders:
    """The loaders of one HTTP request, shared by all operations of its batch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._answers: dict[Source, Answers] = {}
        self._waiting: dict[Source, Answers] = {}
        self._asked = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def many(self, statement: str, key: str, **parameters: Any) -> list[Any]:
        """The rows of the key, in the statement's order."""
        source: Source = (statement, tuple(parameters.items()))
        answers = self._answers.setdefault(source, {})
        answer = answers.get(key)
        if answer is None:
            loop = asyncio.get_running_loop()
            answer = answers[key] = loop.create_future()
            if not self._waiting:
                loop.call_soon(self._turn, self._waiting, 0, 0)
            self._waiting.setdefault(source, {})[key] = answer
            self._asked += 1
        # One caller's cancellation must not take the answer from the others
        return await asyncio.shield(answer)

    async def one(self, statement: str, key: str, **parameters: Any) -> Any:
        """The row of the key, or None."""
        rows = await self.many(statement, key, **parameters)
        return rows[0] if rows else None

    def forget(self) -> None:
        """After a write the next question goes to the database."""
        self._answers = {}
        # Nobody joins those who wait already
        waiting, self._waiting = self._waiting, {}
        self._send(waiting)

    def _turn(self, waiting: dict[Source, Answers], asked: int, quiet: int) -> None:
        if self._waiting is not waiting:
            return
        quiet = quiet + 1 if asked == self._asked else 0
        if quiet < QUIET_TURNS:
            asyncio.get_running_loop().call_soon(self._turn, waiting, self._asked, quiet)
        elif not self._tasks:
            self._waiting = {}
            self._send(waiting)

    def _send(self, waiting: dict[Source, Answers]) -> None:
        for source, answers in waiting.items():
            task = asyncio.ensure_future(self._load(source, answers))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._waiting and not self._tasks:
            self._turn(self._waiting, -1, 0)

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
