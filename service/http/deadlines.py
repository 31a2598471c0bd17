"""Deadlines of requests. One check a second costs less than a timer for each request."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
CHECK_SECONDS = 1.0


class Deadlines:
    """Ends work that takes longer than `seconds`, up to a second later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started: dict[asyncio.Task[Any], float] = {}  # the oldest first, because all have the same time
        self._overdue: set[asyncio.Task[Any]] = set()
        self._watching = False

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of the work. TimeoutError if it was ended."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101  (a coroutine runs in a task)
        self._started[task] = loop.time()
        if not self._watching:
            self._watching = True
            loop.call_later(CHECK_SECONDS, self._check, loop)
        try:
            return await work
        except asyncio.CancelledError:
            if task not in self._overdue:
                raise
            raise TimeoutError from None
        finally:
            self._started.pop(task, None)
            if task in self._overdue:  # also if another error has taken the place of the cancellation
                self._overdue.discard(task)
                task.uncancel()

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        latest = loop.time() - self._seconds
        while self._started:
            task, started = next(iter(self._started.items()))
            if started > latest:
                break
            del self._started[task]
            self._overdue.add(task)
            task.cancel()
        self._watching = bool(self._started)
        if self._watching:
            loop.call_later(CHECK_SECONDS, self._check, loop)
